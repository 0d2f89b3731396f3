"""Whether a picture was cut out of another, pixel for pixel, through something that is drawn there.

For drawings in two colours, where a shape that agrees proves nothing: an `a` is in every `ä`. But only a cut leaves an
edge that goes through the drawing.
"""

from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from gog.transforms.duplicates.fingerprints import Interval

Levels = npt.NDArray[np.int16]

_SEARCHED: Final = 0.015
"""How far beside its fitted place a part is looked for, as a fraction of the whole's side."""
_FURTHEST: Final = 16
"""The same in pixels, at most."""
_PROBED: Final = 12
"""Rows and columns that are compared first."""
_SAME: Final = 3
"""Greatest difference of pixels that are the same, in levels."""
_INK: Final = 64
"""Distance from the background from which a pixel is drawn, in levels."""
_CUT: Final = 3
"""Least pixels in a row of an edge that goes through a drawing."""


def cut_out(part: Image.Image, whole: Image.Image, rows: Interval, columns: Interval) -> bool:
    """Whether `part` is a piece of `whole` near the fitted place, of the same scale, whose edge cuts a drawing."""
    piece, picture = _grey(part), _grey(whole)
    place = _place(piece, picture, rows, columns)
    return place is not None and _cuts(piece, picture, *place)


def _grey(image: Image.Image) -> Levels:
    return np.asarray(image.convert("L"), dtype=np.int16)


def _place(piece: Levels, picture: Levels, rows: Interval, columns: Interval) -> tuple[int, int] | None:
    """Row and column of the picture where the piece lies; None where it does not."""
    height, width = piece.shape
    ways = []
    for (start, stop), side, length in ((rows, picture.shape[0], height), (columns, picture.shape[1], width)):
        middle, reach = (start + stop) / 2 * side - length / 2, min(_FURTHEST, 2 + round(_SEARCHED * side))
        ways.append(range(max(0, round(middle) - reach), min(side - length, round(middle) + reach) + 1))
    steps = (slice(None, None, max(1, height // _PROBED)), slice(None, None, max(1, width // _PROBED)))
    probe = piece[steps]
    for top, left in product(*ways):
        there = picture[top : top + height, left : left + width]
        if np.abs(there[steps] - probe).max() <= _SAME and np.abs(there - piece).max() <= _SAME:
            return top, left
    return None


def _cuts(piece: Levels, picture: Levels, top: int, left: int) -> bool:
    """Whether an edge of the piece that lies inside the picture goes through what is drawn, on both sides of it."""
    height, width = piece.shape
    background = np.bincount(picture.ravel(), minlength=256).argmax()
    drawn = np.abs(picture - np.int16(background)) > _INK
    inside = drawn[top : top + height, left : left + width]
    if min(inside.mean(), 1 - inside.mean()) < 0.01:
        return False
    edges = []
    if top:
        edges.append(drawn[top - 1 : top + 1, left : left + width])
    if top + height < len(picture):
        edges.append(drawn[top + height - 1 : top + height + 1, left : left + width])
    if left:
        edges.append(drawn[top : top + height, left - 1 : left + 1].T)
    if left + width < picture.shape[1]:
        edges.append(drawn[top : top + height, left + width - 1 : left + width + 1].T)
    return any(int(edge.all(axis=0).sum()) >= _CUT for edge in edges)
