"""Image searches that want an address: the picture is lent to the web, searched with, and taken away again."""

import asyncio
import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from gog.schemas import FailureClass, Hit
from gog.transforms.image_store import ImageStore
from gog.transforms.images import ImageError, ImageLimits, encode, load_image
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import Opening, Provider
from gog.transforms.services.public_addresses import is_public
from gog.transforms.services.public_web import Allow, fetch_public
from gog.transforms.services.search.results import Found, Locale
from gog.transforms.services.search.settings import SearchSettings
from gog.transforms.services.search.upload import Uploader, uploader_for

THUMBNAIL_BYTES: Final = 1 << 20
THUMBNAIL_S: Final = 8.0
_SIDE: Final = 224
"""Longest side of a kept thumbnail, in pixels."""
_LIMITS: Final = ImageLimits(min_side=8, max_pixels=4_000_000)


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """How many hits of a search get a thumbnail, from the first; `allow` is the fetcher's."""

    count: int = 0
    allow: Allow = is_public


@dataclass
class Lens(ABC):
    """An image search by address; a provider adds `name` and `matches`."""

    key: str = field(repr=False)
    locale: Locale
    images: ImageStore = field(repr=False)
    uploader: Uploader = field(repr=False)
    thumbnails: Thumbnails = Thumbnails()
    url: str = ""
    """Root of the API; the provider's own where it is empty."""
    name: ClassVar[str]

    @property
    def id(self) -> str:
        """`PROVIDER:lens:COUNTRY-LANGUAGE`, and how many thumbnails are fetched, if any."""
        few = f"+{self.thumbnails.count}thumbnails" if self.thumbnails.count else ""
        return f"{self.name}:{self.locale}{few}"

    @abstractmethod
    async def matches(self, url: str, top_k: int) -> tuple[Found, ...]:
        """Results for the picture at an address. Raises `ServiceError`."""

    async def search(self, image_sha256: str, top_k: int) -> tuple[Hit, ...]:
        """Pages with pictures like a stored one, best first, without scores: these engines tell none.

        Raises `ServiceError`: `not_found` when the image is not stored.
        """
        try:
            data = self.images.read(image_sha256)
        except KeyError:
            raise ServiceError(FailureClass.NOT_FOUND, f"image {image_sha256} is not stored") from None
        async with self.uploader.lent(data, image_sha256) as address:
            found = await self.matches(address, top_k)
        return await self._illustrated(found)

    async def _illustrated(self, found: Sequence[Found]) -> tuple[Hit, ...]:
        count = self.thumbnails.count
        hashes = await asyncio.gather(*(self._thumbnail(one.thumbnail) for one in found[:count]))
        some = (
            one.hit.model_copy(update={"thumbnail_sha256": sha256})
            for one, sha256 in zip(found[:count], hashes, strict=True)
        )
        return (*some, *(one.hit for one in found[count:]))

    async def _thumbnail(self, address: str) -> str | None:
        """Hash of a thumbnail, made small and kept; None where it cannot be had: a hit is a hit without it."""
        if not address:
            return None
        try:
            data = inline(address) if address.startswith("data:") else await self._fetched(address)
            small, suffix = await asyncio.to_thread(_small, data)
        except (ServiceError, ImageError):
            return None
        return self.images.put(small, suffix)

    async def _fetched(self, address: str) -> bytes:
        fetched = await fetch_public(
            address,
            limit_bytes=THUMBNAIL_BYTES,
            timeout_s=THUMBNAIL_S,
            types=("image/",),
            allow=self.thumbnails.allow,
        )
        return fetched.data


def _small(data: bytes) -> tuple[bytes, str]:
    image = load_image(data, _LIMITS).image.copy()
    image.thumbnail((_SIDE, _SIDE))
    return encode(image)


def inline(address: str) -> bytes:
    """The bytes of a `data:` address in base64. Raises `ServiceError` (`bad_request`)."""
    head, _, body = address.partition(",")
    if not head.endswith(";base64") or len(body) > THUMBNAIL_BYTES * 4 // 3:
        raise ServiceError(FailureClass.BAD_REQUEST, "no data address of a small picture")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise ServiceError(FailureClass.BAD_REQUEST, "no base64") from None


def lens_provider(name: str, key: str, lens: type[Lens]) -> Provider[Lens]:
    """A provider of a search by address, priced apart from the text search of the same name."""

    def open_lens(opening: Opening) -> Lens:
        settings, uploader = opening.of(SearchSettings), uploader_for(opening)
        return lens(opening.key, settings.locale, opening.images, uploader, Thumbnails(settings.thumbnails))

    def fits(opening: Opening) -> bool:
        return not opening.rest and uploader_for(opening) is not None

    return Provider(name=name, example=f"{name}:", key=key, price=f"{name}:lens", fits=fits, open=open_lens)
