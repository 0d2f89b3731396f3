"""Images by their hash: the protocol of a store, and pixels that are kept decoded for a while."""

from typing import Final, Protocol

from PIL import Image

from gog.transforms.images import decode_image
from gog.transforms.recent import Recent


class ImageStore(Protocol):
    """Image bytes by their sha256."""

    def read(self, sha256: str) -> bytes:
        """The bytes; `KeyError` when there are none."""

    def has(self, sha256: str) -> bool:
        """Whether the bytes are there."""

    def put(self, data: bytes, suffix: str) -> str:
        """Keep the bytes (suffix `jpg`, `png` or `webp`), once; returns their sha256."""

    def __hash__(self) -> int:
        """A store is hashed by what it is, not by what it holds: what was made of its images is remembered by it."""


def same_store(store: ImageStore) -> ImageStore:
    """The store itself, where what opens one is asked for."""
    return store


def open_image(store: ImageStore, sha256: str) -> Image.Image:
    """A stored image's upright RGB pixels, kept decoded for a while: an episode cuts many crops of one image.

    The image is shared: cut from it, never change it. `KeyError` when it is not in the store, `ImageError` when it is
    no image.
    """
    image = _DECODED.get(sha256)
    return image if image is not None else _DECODED.put(sha256, decode_image(store.read(sha256)))


def _pixel_bytes(image: Image.Image) -> int:
    """As Pillow keeps them."""
    return 4 * image.width * image.height


_DECODED: Final = Recent[str, Image.Image](64 << 20, _pixel_bytes)
