"""The images of the requests under way, and no others: a model sees what the request carries."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

LIMIT_BYTES: Final = 512 << 20
"""Of all images under way together."""


class TooManyImagesError(Exception):
    """The images under way would take more memory than they may."""


class Pictures:
    """Image bytes by their sha256, as long as somebody holds them. An `ImageStore`."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._blobs: dict[str, bytes] = {}
        self._holders: Counter[str] = Counter()
        self._size = 0

    def read(self, sha256: str) -> bytes:
        """The bytes; `KeyError` when nobody holds them."""
        return self._blobs[sha256]

    def has(self, sha256: str) -> bool:
        """Whether somebody holds them."""
        return sha256 in self._blobs

    def put(self, data: bytes, suffix: str) -> str:
        """Hold the bytes for good; returns their sha256. Raises `TooManyImagesError`."""
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 not in self._blobs:
            if self._size + len(data) > self._limit:
                raise TooManyImagesError
            self._blobs[sha256] = data
            self._size += len(data)
        self._holders[sha256] += 1
        return sha256

    @contextmanager
    def held(self, images: Iterable[bytes]) -> Iterator[None]:
        """Hold the images meanwhile. Raises `TooManyImagesError`."""
        mine: list[str] = []
        try:
            mine.extend(self.put(data, "") for data in images)
            yield
        finally:
            for sha256 in mine:
                self._release(sha256)

    def _release(self, sha256: str) -> None:
        self._holders[sha256] -= 1
        if not self._holders[sha256]:
            del self._holders[sha256]
            self._size -= len(self._blobs.pop(sha256))
