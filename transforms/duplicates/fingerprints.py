"""Fingerprints of images: the lowest spatial frequencies of a small grey picture, of the whole or of a part of it.

A part needs no pixels of its own: the cosine transform of an interval of rows (or columns) is a small matrix, so all
parts on the grid of `INTERVALS` come out of one product. A mirror image has the same numbers with other signs.
Brightness (the constant term) and contrast (the length) are left out.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]
Thumbs = npt.NDArray[np.uint8]
Interval = tuple[float, float]

SIDE: Final = 64
"""Pixels of a grey thumbnail, both ways: the picture is stretched to a square, so a box in fractions stays one."""
TINT_SIDE: Final = 16
"""The same of its colours, which eyes and JPEG see coarsely too."""
SIZE: Final = 35
"""Numbers in a fingerprint."""

_FREQUENCIES: Final = 8
_PAIRS: Final = sorted(
    ((u, v) for u in range(_FREQUENCIES) for v in range(_FREQUENCIES) if u + v),
    key=lambda pair: (pair[0] ** 2 + pair[1] ** 2, pair),
)[:SIZE]
_ROWS: Final = np.array([u for u, _ in _PAIRS])
_COLUMNS: Final = np.array([v for _, v in _PAIRS])
# Photographs have about 1/f of amplitude at frequency f. Evening that out wholly would make much of frequencies that a
# crop a little beside the grid shifts most.
_WEIGHTS: Final = ((_ROWS**2 + _COLUMNS**2) ** 0.375).astype(np.float32)
MIRROR: Final = np.where(_COLUMNS % 2, -1, 1).astype(np.float32)
"""Signs that turn the fingerprint of an image into that of its mirror image."""
_BLANK: Final = 2.0


def _steps(share: float, count: int) -> list[Interval]:
    return [(start, start + share) for start in np.linspace(0, 1 - share, count).tolist()]


INTERVALS: Final[tuple[Interval, ...]] = (
    *_steps(1.0, 1), *_steps(0.93, 3), *_steps(0.865, 4), *_steps(0.8, 6),
)  # fmt: skip
"""Parts of a side on the grid, from the whole down to 80%; a view is one for the rows and one for the columns."""
VIEWS: Final = len(INTERVALS) ** 2


def view_box(view: int) -> tuple[Interval, Interval]:
    """The part that a view shows: rows and columns, as fractions."""
    return INTERVALS[view // len(INTERVALS)], INTERVALS[view % len(INTERVALS)]


class Small(NamedTuple):
    """A small picture: grey (`SIDE` x `SIDE`), and colours without brightness (`TINT_SIDE` x `TINT_SIDE` x Cb, Cr)."""

    grey: Thumbs
    tint: Thumbs


def thumbnail(image: Image.Image) -> Small:
    """The image made small."""
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    small = rgb.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0).convert("YCbCr")
    grey = np.array(small.getchannel("Y"), dtype=np.uint8)
    tint = np.array(small.resize((TINT_SIDE, TINT_SIDE), Image.Resampling.BOX), dtype=np.uint8)[:, :, 1:]
    return Small(grey, np.ascontiguousarray(tint))


def mirrored(small: Small) -> Small:
    """The small picture of the mirror image."""
    return Small(np.ascontiguousarray(small.grey[:, ::-1]), np.ascontiguousarray(small.tint[:, ::-1]))


def blank(small: Small) -> bool:
    """Whether there is nothing to recognise an image by: one even shade."""
    return float(small.grey.std()) < _BLANK


def _cosines(interval: Interval) -> Floats:
    """Integrals of the cosine waves of an interval over the pixels of a side: frequencies x `SIDE`."""
    start, stop = interval
    width = stop - start
    edges = np.clip(np.linspace(0, 1, SIDE + 1), start, stop) - start
    wave = np.arange(_FREQUENCIES)[:, None]
    waves = np.sin(np.pi * wave * edges / width) / (np.pi * np.maximum(wave, 1)) * np.sqrt(2)
    return np.diff(np.where(wave == 0, edges / width, waves), axis=1).astype(np.float32)


def _stacked(intervals: Sequence[Interval]) -> Floats:
    return np.concatenate([_cosines(interval) for interval in intervals])


_WHOLE: Final = _stacked(INTERVALS[:1])
_GRID: Final = _stacked(INTERVALS)

_COARSE: Final[tuple[Interval, ...]] = (
    *_steps(1.0, 1), *_steps(0.85, 3), *_steps(0.72, 5), *_steps(0.61, 8), *_steps(0.52, 11),
)  # fmt: skip
_COARSE_GRID: Final = np.stack([_cosines(interval) for interval in _COARSE])
_CHOSEN: Final = tuple(
    (down, across)
    for down, (top, bottom) in enumerate(_COARSE)
    for across, (left, right) in enumerate(_COARSE)
    if not (down and across) or abs((bottom - top) - (right - left)) < 1e-6
)
PARTS: Final = tuple((_COARSE[down], _COARSE[across]) for down, across in _CHOSEN)
"""Parts down to a half of a side, rows and columns: of the picture's shape, or with one side whole. The first is the
whole."""


def fingerprints(thumbs: Thumbs) -> Floats:
    """Fingerprints (n x `SIZE`, of length 1) of whole grey thumbnails (n x `SIDE` x `SIDE`)."""
    waves = _WHOLE @ thumbs.astype(np.float32) @ _WHOLE.T
    return _scaled(waves[..., _ROWS, _COLUMNS])


def views(thumb: Thumbs) -> Floats:
    """Fingerprints (`VIEWS` x `SIZE`) of all parts on the grid; view 0 is the whole."""
    count = len(INTERVALS)
    waves = (_GRID @ thumb.astype(np.float32) @ _GRID.T).reshape(count, _FREQUENCIES, count, _FREQUENCIES)
    return _scaled(waves[:, _ROWS, :, _COLUMNS].transpose(1, 2, 0).reshape(VIEWS, SIZE))


def parts(thumb: Thumbs) -> Floats:
    """Fingerprints (`PARTS` x `SIZE`) of the parts on the coarse grid; part 0 is the whole."""
    # In small products: a library of linear algebra would spread large ones over threads that wait for each other.
    waves = (_COARSE_GRID @ thumb.astype(np.float32)) @ _COARSE_GRID.reshape(-1, SIDE).T
    waves = waves.reshape(len(_COARSE), _FREQUENCIES, len(_COARSE), _FREQUENCIES)
    down, across = zip(*_CHOSEN, strict=True)
    return _scaled(waves[np.array(down)[:, None], _ROWS, np.array(across)[:, None], _COLUMNS])


def _scaled(numbers: Floats) -> Floats:
    weighted = numbers * _WEIGHTS
    length = np.linalg.norm(weighted, axis=-1, keepdims=True)
    scaled: Floats = (weighted / np.maximum(length, 1e-6)).astype(np.float32)
    return scaled
