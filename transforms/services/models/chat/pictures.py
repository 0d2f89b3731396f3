"""Images as data URLs within a model's pixel budget."""

import asyncio
import base64
import io
import math
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from PIL import Image

from gog.schemas import BoxError, FailureClass
from gog.transforms.image_store import ImageStore
from gog.transforms.images import ImageError, decode_image
from gog.transforms.recent import Recent
from gog.transforms.services.loop import joined
from gog.transforms.services.models.chat.settings import ModelSettings
from gog.transforms.services.protocols import ServiceError

REMEMBERED_BYTES: Final = 32 << 20
_QUALITY: Final = 90


def fitted_size(width: int, height: int, settings: ModelSettings) -> tuple[int, int] | None:
    """Size (width, height) to which an image is resized for the model, or None where it is within the budget.

    With a family, the model's own smart resize: whatever is sent, the endpoint's processor (of the same limits) brings
    it to the very size that `gog.schemas.boxes` reckons with for the original. Raises `BoxError` on an aspect ratio
    above 200.
    """
    least, most = settings.least_pixels, settings.most_pixels
    if settings.backbone:
        backbone = replace(settings.backbone, min_pixels=least, max_pixels=most)
        factor = backbone.factor
        rounded = round(width / factor) * factor, round(height / factor) * factor
        size = backbone.resized(width, height)
        # Thin images near a limit are no fixed point of the resize: only as they are do they come out as reckoned.
        settled = backbone.resized(*size) == size
        return size if settled and size != rounded else None
    scale = 1.0
    if width * height > most:
        scale = math.sqrt(most / (width * height))
    elif width * height < least:
        scale = math.sqrt(least / (width * height))
    if scale == 1.0:
        return None
    turn = math.floor if scale < 1 else math.ceil
    return max(1, turn(width * scale)), max(1, turn(height * scale))


def encode_picture(data: bytes, settings: ModelSettings) -> tuple[bytes, str]:
    """Bytes to send and their type (`jpeg`, `png` or `webp`): the very file where it may be, else a new one.

    Raises `BoxError` and `ImageError`.
    """
    kind, (width, height) = _header(data)
    size = fitted_size(width, height, settings)
    if size is None and kind in settings.image_types:
        return data, kind
    image = decode_image(data)
    if size is not None:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    kind = "jpeg" if "jpeg" in settings.image_types else settings.image_types[0]
    out = io.BytesIO()
    if kind == "png":
        image.save(out, "PNG", compress_level=4)
    elif kind == "webp":
        image.save(out, "WEBP", quality=_QUALITY)
    else:
        image.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue(), kind


def _header(data: bytes) -> tuple[str, tuple[int, int]]:
    """Type and size of a file of ours, without decoding it."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as opened:
            kind = "jpeg" if opened.format in ("JPEG", "MPO") else str(opened.format).lower()
            return kind, opened.size
    except Exception:  # whatever a damaged header does to Pillow; decoding says what is wrong
        image = decode_image(data)
        return "", image.size


class Pictures:
    """Data URLs of stored images, the least recently used forgotten. For one event loop at a time."""

    def __init__(self, images: ImageStore, settings: ModelSettings, max_bytes: int = REMEMBERED_BYTES) -> None:
        """Remember at most `max_bytes` of URLs, and always the last one."""
        self._images, self._settings = images, settings
        self._urls: Recent[str, str] = Recent(max_bytes, len)
        self._making: dict[str, asyncio.Task[str]] = {}

    async def urls(self, hashes: Iterable[str]) -> dict[str, str]:
        """The URL of each image. Raises `ServiceError`: not_found, bad_request."""
        return {sha256: await self._url(sha256) for sha256 in dict.fromkeys(hashes)}

    async def _url(self, sha256: str) -> str:
        if (url := self._urls.get(sha256)) is not None:
            return url
        # Off the loop: resizing takes tens of milliseconds.
        return await joined(self._making, sha256, partial(asyncio.to_thread, self._make, sha256))

    def _make(self, sha256: str) -> str:
        try:
            data, kind = encode_picture(self._images.read(sha256), self._settings)
        except KeyError:
            raise ServiceError(FailureClass.NOT_FOUND, f"no image {sha256[:12]}") from None
        except (ImageError, BoxError) as error:
            raise ServiceError(FailureClass.BAD_REQUEST, f"image {sha256[:12]}: {error}") from None
        return self._urls.put(sha256, f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}")
