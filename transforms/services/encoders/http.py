"""`https://HOST/v1#MODEL`: a server that embeds, as OpenAI's `/v1/embeddings` and vLLM's pooling models do.

Texts go many in one request, as `input`. A picture goes alone, as a data URL in `messages`: so vLLM takes it. A server
that answers only one of the two can be used for what it answers. The key is in GOG_ENCODER_KEY.
"""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gog.schemas import FailureClass
from gog.transforms.images import encode, media_type
from gog.transforms.services.encoders.encoder import Encoder, Vectors, unit
from gog.transforms.services.http import call_json, key_in
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import Opening, Provider, ProviderError

KEY: Final = "GOG_ENCODER_KEY"
_TEXTS: Final = 64
"""Texts a request."""
_LONGEST: Final = 30_000
"""Characters of a text that are sent: servers refuse what is far too long, and cut the rest."""
_TIMEOUT_S: Final = 120.0
_SIDE: Final = 1024
"""A larger picture is scaled down to such a longer side before it is sent."""


class RemoteEncoder:
    """A model behind an endpoint."""

    precision, sees, reads = "", True, True

    def __init__(self, url: str, model: str, key: str) -> None:
        """`url` is that of the API, up to `/v1`."""
        self.id = f"http:{model}"
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        self._url = parts._replace(path=path if path.endswith("/embeddings") else f"{path}/embeddings").geturl()
        self._model, self._key = model, key

    async def pictures(self, pictures: Sequence[Image.Image]) -> Vectors:
        """Vectors of pictures. Raises `ServiceError`."""
        rows = await asyncio.gather(*map(self._picture, pictures))
        return unit(np.stack(rows), len(pictures))

    async def texts(self, texts: Sequence[str], *, asks: bool) -> Vectors:
        """Vectors of texts. Raises `ServiceError`."""
        parts = [texts[at : at + _TEXTS] for at in range(0, len(texts), _TEXTS)]
        rows = await asyncio.gather(*(self._ask({"input": [t[:_LONGEST] for t in part]}, len(part)) for part in parts))
        return unit(np.concatenate(rows), len(texts))

    async def _picture(self, picture: Image.Image) -> NDArray[np.float32]:
        data = await asyncio.to_thread(_file, picture)
        url = f"data:{media_type(data)};base64,{base64.b64encode(data).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}]
        row: NDArray[np.float32] = (await self._ask({"messages": [{"role": "user", "content": content}]}, 1))[0]
        return row

    async def _ask(self, payload: Mapping[str, Any], count: int) -> NDArray[np.float32]:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        asked = {"model": self._model, "encoding_format": "float", **payload}
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                said = await call_json("POST", self._url, headers=headers, payload=asked, secrets=(self._key,))
        except TimeoutError:
            raise ServiceError(FailureClass.TIMEOUT, f"no embeddings within {_TIMEOUT_S:g} s") from None
        return read_embeddings(said, count)


def read_embeddings(said: Any, count: int) -> NDArray[np.float32]:
    """The vectors of a reply, by their `index`. Raises `ServiceError` where they are not one each."""
    try:
        entries = {int(entry.get("index", at)): entry["embedding"] for at, entry in enumerate(said["data"])}
        rows = [np.asarray(entries[at], np.float32) for at in range(count)]
        if len(said["data"]) != count or len({row.shape for row in rows}) > 1 or rows[0].ndim != 1:
            raise ValueError("it is not one vector each")
        return np.stack(rows)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        shown = f"{type(error).__name__}: {error}"[:100]
        raise ServiceError(FailureClass.MALFORMED, f"no {count} embeddings in the reply ({shown})") from None


def _file(picture: Image.Image) -> bytes:
    if max(picture.size) > _SIDE:
        picture = picture.copy()
        picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return encode(picture)[0]


def _endpoint(opening: Opening) -> tuple[str, str]:
    """Base URL and model. Raises `ProviderError`."""
    url, _, model = opening.rest.partition("#")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ProviderError(f"{url!r} is no URL of an endpoint") from None
    if key := key_in(url):
        raise ProviderError(
            f"{parts.scheme}://{host}: no key, or what may be one, in an address ({key}); the key goes into the "
            f"variable {KEY}"
        )
    if not host or not model.strip():
        raise ProviderError(f"{opening.address!r}: write the host, and the model behind a #: {ENCODER.example}")
    return url, model.strip()


def _fits(opening: Opening) -> bool:
    _endpoint(opening)
    return True


ENCODER = Provider[Encoder](
    name="http",
    example="http://127.0.0.1:8000/v1#MODEL",
    key=KEY,
    key_needed=False,
    fits=_fits,
    open=lambda opening: RemoteEncoder(*_endpoint(opening), opening.key),
)
