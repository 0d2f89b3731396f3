"""Images by their hash: the protocol of a store, and pixels that are kept decoded for a while."""

import threading
from collections import OrderedDict
from typing import Final, Protocol

from PIL import Image

from gog.transforms.images import decode_image


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


class DecodedImages:
    """Decoded images by sha256, the least recently used dropped: an episode cuts many crops of one image.

    Thread-safe. The images are shared: cut from them, never change them.
    """

    def __init__(self, max_bytes: int) -> None:
        """Hold at most `max_bytes` of pixels (4 bytes each, as Pillow keeps them); always at least the last image."""
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._images: OrderedDict[str, Image.Image] = OrderedDict()
        self._bytes = 0

    def get(self, store: ImageStore, sha256: str) -> Image.Image:
        """The image's upright RGB pixels. `KeyError` when it is not in the store, `ImageError` when it is no image."""
        with self._lock:
            if (image := self._images.get(sha256)) is not None:
                self._images.move_to_end(sha256)
                return image
        image = decode_image(store.read(sha256))
        with self._lock:
            if (earlier := self._images.get(sha256)) is not None:
                return earlier
            self._images[sha256] = image
            self._bytes += _pixel_bytes(image)
            while self._bytes > self._max_bytes and len(self._images) > 1:
                _, old = self._images.popitem(last=False)
                self._bytes -= _pixel_bytes(old)
        return image


_DECODED: Final = DecodedImages(64 << 20)


def open_image(store: ImageStore, sha256: str) -> Image.Image:
    """A stored image's upright RGB pixels, from the process's `DecodedImages` where it is there. Never change it."""
    return _DECODED.get(store, sha256)


def _pixel_bytes(image: Image.Image) -> int:
    return 4 * image.width * image.height
