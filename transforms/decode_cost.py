"""What decoding a picture may cost, whatever the size of its file: passes over its pixels, and processor time."""

import io
import re
import time
from typing import Final

MOST_SCANS: Final = 64
"""Of a progressive JPEG; encoders write about ten. Each costs a pass over all pixels, though it has a few bytes."""
DEAR_SCANS: Final = 20
"""Of more than these a new file is stored: crops and thumbnails decode what is stored again and again."""
MOST_SEGMENTS: Final = 10_000
"""Of a JPEG before its end."""
MOST_SECONDS: Final = 10.0
"""Processor time that reading one file may take."""

_MARKER: Final = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""A marker among coded data, where 0xFF stands before a zero or a restart otherwise."""
_BARE: Final = frozenset({0x01, 0xD8})
_END: Final = 0xD9
_SCAN: Final = 0xDA


class CostError(ValueError):
    """Decoding the file costs too much; the message is one line."""


class WatchedFile(io.BytesIO):
    """A file whose reader has so much processor time. Decoders read in pieces; those that take a file whole (WebP,
    TIFF, AVIF) are held by the number of pixels alone.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._until = time.thread_time() + MOST_SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file's. Raises `CostError` once the time is up."""
        if time.thread_time() > self._until:
            raise CostError(f"reading it takes more than {MOST_SECONDS:g} s")
        return super().read(size)


def count_scans(data: bytes) -> int:
    """Scans of the first picture of a JPEG's file, as far as its markers can be followed. Raises `CostError`."""
    scans, segments, at = 0, 0, 0
    while found := _MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == _END:
            break
        scans += marker == _SCAN
        segments += 1
        if scans > MOST_SCANS or segments > MOST_SEGMENTS:
            raise CostError(f"a JPEG of more than {MOST_SCANS} scans or {MOST_SEGMENTS:,} segments")
        if marker not in _BARE:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))  # thumbnails and profiles have markers too
    return scans
