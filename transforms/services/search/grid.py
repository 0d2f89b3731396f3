"""The `grid` embedder: mean colours of a coarse grid in CIELAB, over several trimmed views, with numpy alone.

A crop is seldom cut exactly: it has a margin around the thing, or misses a strip of it. So both sides are looked
at through views that leave out strips of various widths, and the best pair of views counts.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

COLUMNS: Final = 9
ROWS: Final = 6
DIMENSIONS: Final = COLUMNS * ROWS * 3
NAME: Final = f"grid{COLUMNS}x{ROWS}v1"
"""Part of an index's version: another grid makes other embeddings."""

_WIDE, _HIGH = 72, 48
CHROMA: Final = 0.5
"""Weight of a and b against L: in CIELAB, saturated colours lie too far apart for this use."""

PICTURE_TRIMS: Final = ((0.0, 0.0), (0.05, 0.05), (0.1, 0.0), (0.0, 0.1), (0.1, 0.1))
"""Shares left out at either end of an axis of a picture in the index; every pair of axes is a view."""
QUERY_TRIMS: Final = (
    (0.0, 0.0),
    (0.05, 0.05),
    (0.085, 0.085),
    (0.13, 0.13),
    (0.03, 0.14),
    (0.14, 0.03),
)

_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32)
_TO_XYZ /= np.array([[0.9505], [1.0], [1.089]], np.float32)


def lab(rgb: Floats) -> Floats:
    """CIELAB (D65) of sRGB values from 0 to 255, shape (..., 3): L 0 to 100, a and b about -100 to 100."""
    unit = rgb / np.float32(255)
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    parts = (116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2]))
    return np.stack(parts, -1).astype(np.float32)


@cache
def _averages(trims: tuple[tuple[float, float], ...], cells: int, size: int) -> Floats:
    """Matrix (trims * cells, size): each row averages one cell of one trimmed axis."""
    out = np.zeros((len(trims), cells, size), np.float32)
    for t, (low, high) in enumerate(trims):
        edges = np.linspace(low * size, (1 - high) * size, cells + 1)
        for c in range(cells):
            pixels = np.arange(size)
            share = np.minimum(pixels + 1, edges[c + 1]) - np.maximum(pixels, edges[c])
            out[t, c] = np.maximum(share, 0) / (edges[c + 1] - edges[c])
    return out.reshape(-1, size)


def views(image: Image.Image, trims: Sequence[tuple[float, float]]) -> Floats:
    """Embeddings of every view of an RGB image, shape (len(trims) ** 2, DIMENSIONS).

    Distances between them are root mean squares over the cells, in the unit of L.
    """
    trims = tuple(trims)
    small = np.asarray(image.resize((_WIDE, _HIGH), Image.Resampling.BOX), np.float32)
    rows = _averages(trims, ROWS, _HIGH) @ small.reshape(_HIGH, _WIDE * 3)
    cells = np.einsum("cw,rwk->rck", _averages(trims, COLUMNS, _WIDE), rows.reshape(-1, _WIDE, 3), optimize=True)
    grid = lab(cells) * np.array([1, CHROMA, CHROMA], np.float32)
    n = len(trims)
    split = grid.reshape(n, ROWS, n, COLUMNS, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(split.reshape(n * n, DIMENSIONS)) / np.float32(np.sqrt(COLUMNS * ROWS))
