"""What decoding a picture may cost, whatever the size of its file: passes over its pixels, and processor time."""

import io
import re
import struct
import time
from collections.abc import Iterator
from math import ceil
from typing import Final

MOST_SCANS: Final = 64
"""Of a progressive JPEG; encoders write about ten. Each costs a pass over all pixels, though it has a few bytes."""
DEAR_SCANS: Final = 20
"""Of more than these a new file is stored: crops and thumbnails decode what is stored again and again."""
MOST_SEGMENTS: Final = 10_000
"""Of a JPEG before its end; of a PNG of more a new file is stored."""
MOST_BLOCKS: Final = 2_000_000
"""Precincts and code-blocks of a JPEG 2000: each takes half a kilobyte, though the file need not say anything of it."""
MOST_LAYERED: Final = 10_000_000
"""Those times its layers."""
MOST_SECONDS: Final = 10.0
"""Processor time that reading one file may take."""

_MARKER: Final = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""A marker among coded data, where 0xFF stands before a zero or a restart otherwise."""
_BARE: Final = frozenset({0x01, 0xD8})
_END: Final = 0xD9
_SCAN: Final = 0xDA
_CODESTREAM: Final = re.compile(rb"\xff\x4f\xff\x51")
_TILE_PART: Final = re.compile(rb"\xff\x90\x00\x0a")
_COD, _COC, _DATA = 0xFF52, 0xFF53, 0xFF93


class CostError(ValueError):
    """Decoding the file costs too much; the message is one line."""


class WatchedFile(io.BytesIO):
    """A file whose reader has so much processor time. Decoders read in pieces; those that take a file whole (WebP,
    TIFF, AVIF, JPEG 2000) are held by the number of pixels, and by what their headers say.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._until = time.thread_time() + MOST_SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file's. Raises `CostError` once the time is up."""
        if time.thread_time() > self._until:
            raise CostError(f"reading it takes more than {MOST_SECONDS:g} s")
        return super().read(size)


def is_dear(data: bytes, kind: str) -> bool:
    """Whether decoding the file, of a format by Pillow's name, costs so much that a new one is stored.

    Raises `CostError` where it costs too much.
    """
    if kind == "JPEG":
        return count_scans(data) > DEAR_SCANS
    if kind == "JPEG2000":
        check_blocks(data)
    return kind == "PNG" and count_chunks(data) > MOST_SEGMENTS


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


def count_chunks(data: bytes) -> int:
    """Chunks of a PNG, no more than one beyond `MOST_SEGMENTS`."""
    at, chunks = 8, 0
    while at < len(data) and chunks <= MOST_SEGMENTS:
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        chunks += 1
    return chunks


def check_blocks(data: bytes) -> None:
    """Raises `CostError` on a JPEG 2000 of more blocks than are decoded in seconds: its decoder makes all of them,
    with all layers, before it reads the first.
    """
    sizes = [
        struct.unpack_from(">8IH", data, found.end() + 4)
        for found in _CODESTREAM.finditer(data)
        if found.end() + 38 <= len(data)
    ]
    starts = [found.end() - 2 for found in _CODESTREAM.finditer(data)] + [
        found.start() for found in _TILE_PART.finditer(data)
    ]
    layers, styles = 1, list[bytes]()
    for marker, segment in (part for start in starts for part in _segments(data, start)):
        if marker == _COD and len(segment) >= 10:
            layers = max(layers, int.from_bytes(segment[2:4], "big"))
            styles.append(segment[:1] + segment[5:])
        elif marker == _COC:
            # The number of the component takes two bytes where there are many of them.
            styles += [segment[at:] for at in (1, 2) if len(segment) >= at + 6]
    for size in sizes:
        for style in set(styles):
            blocks = _blocks(size, style)
            if blocks > MOST_BLOCKS or blocks * layers > MOST_LAYERED:
                raise CostError(f"a JPEG 2000 of more than {MOST_BLOCKS:,} blocks, or {MOST_LAYERED:,} in all layers")


def _segments(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Markers of a header of a JPEG 2000, from one on, with what they hold."""
    while at + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, at)
        if marker == _DATA or marker < 0xFF00 or length < 2:
            return
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length


def _blocks(size: tuple[int, ...], style: bytes) -> int:
    """Precincts and code-blocks of a picture of a size (as SIZ has it), each part coded in a style (as COD has it)."""
    right, bottom, left, top, wide, high, _, _, components = size
    if not (wide and high):
        return 0
    width, height = max(0, right - left), max(0, bottom - top)
    tiles = (ceil(width / wide) + 1) * (ceil(height / high) + 1) if wide < width or high < height else 1
    levels, exponents = min(style[1], 32), style[6:] if style[0] & 1 else b""
    block_w, block_h = (style[2] & 15) + 2, (style[3] & 15) + 2
    total = 0
    for level in range(levels + 1):
        smaller = levels - level
        each = exponents[level] if level < len(exponents) else 0xFF
        part_w, part_h = each & 15, each >> 4
        w, h = (max(1, ceil(min(side, whole) / 2**smaller)) for side, whole in ((wide, width), (high, height)))
        # A precinct of a level above the lowest has half its width in each band of it.
        half = min(1, level)
        in_w, in_h = min(block_w, max(0, part_w - half)), min(block_h, max(0, part_h - half))
        total += ceil(w / 2**part_w) * ceil(h / 2**part_h) + ceil(w / 2**in_w) * ceil(h / 2**in_h)
    return total * tiles * components
