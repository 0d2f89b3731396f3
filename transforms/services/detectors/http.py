"""`http://HOST/PATH`, a detector of one's own behind HTTP. `#REVISION` behind the address tells its versions apart.

POST {"image": base64 of the file, "media_type": "image/jpeg", "phrases": ["clock", ...], "limit": 24}
200  {"detections": [{"box": [x1, y1, x2, y2] as fractions, "label": "clock", "score": 0.9}, ...]}
"""

import asyncio
import base64
from typing import Any
from urllib.parse import urldefrag, urlsplit

from gog.schemas import Box, BoxError, FailureClass, plain
from gog.transforms.image_store import ImageStore
from gog.transforms.images import media_type
from gog.transforms.services.detectors.settings import DetectSettings
from gog.transforms.services.http import call_json, key_in
from gog.transforms.services.protocols import Detection, ServiceError
from gog.transforms.services.provider import Opening, Provider, ProviderError

KEY = "GOG_DETECTOR_KEY"


class RemoteDetector:
    """A `Detector` over HTTP."""

    def __init__(self, address: str, images: ImageStore, settings: DetectSettings, key: str = "") -> None:
        """`key` is sent as a bearer token."""
        self._url, revision = urldefrag(address)
        parts = urlsplit(self._url)
        at = f"@{revision}" if revision else ""
        self.id = f"detector:{parts.hostname}{parts.path}{at}{settings.suffix}"
        self._images, self._settings, self._key = images, settings, key

    async def detect(self, image_sha256: str, phrases: tuple[str, ...]) -> tuple[Detection, ...]:
        """Detections, best first. Raises `ServiceError`."""
        try:
            data = await asyncio.to_thread(self._images.read, image_sha256)
        except KeyError:
            raise ServiceError(FailureClass.NOT_FOUND, f"no image {image_sha256[:12]}") from None
        payload = {
            "image": base64.b64encode(data).decode(),
            "media_type": media_type(data),
            "phrases": list(phrases),
            "limit": self._settings.limit,
        }
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        said = await call_json("POST", self._url, headers=headers, payload=payload, secrets=(self._key,))
        return read_detections(said, self._settings)


def read_detections(said: Any, settings: DetectSettings) -> tuple[Detection, ...]:
    """A reply as detections, best first; entries that are no boxes are left out. `ServiceError` where it is no list."""
    entries = said.get("detections") if isinstance(said, dict) else None
    if not isinstance(entries, list):
        raise ServiceError(FailureClass.MALFORMED, 'the detector\'s reply has no list "detections"')
    found = []
    for entry in entries:
        try:
            box = Box.checked(*(float(value) for value in entry["box"]))
            score, label = float(entry.get("score", 1.0)), entry.get("label", "")
        except (BoxError, TypeError, ValueError, KeyError, AttributeError, OverflowError):
            continue
        if settings.confidence <= score <= 1 and isinstance(label, str):
            found.append(Detection(box, plain(label)[:100], score))
    found.sort(key=lambda one: (-one.score, one.box))
    return tuple(found[: settings.limit])


def _fits(opening: Opening) -> bool:
    try:
        parts = urlsplit(opening.address)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        return False
    if host and (key := key_in(opening.address)):
        raise ProviderError(
            f"{parts.scheme}://{host}: no key, or what may be one, in an address ({key}); the key goes into the "
            f"variable {KEY}"
        )
    return bool(host)


DETECTOR = Provider(
    name="http",
    example="http://localhost:9000/detect",
    key=KEY,
    key_needed=False,
    price="detector",
    fits=_fits,
    open=lambda opening: RemoteDetector(opening.address, opening.images, opening.of(DetectSettings), opening.key),
)
