"""Whether one small picture shows a part of another: the part is fitted, and details are compared.

Two pictures with the same lowest frequencies need not be the same. Here the four edges of the part are fitted by
Gauss-Newton steps on grey values (Lucas and Kanade 1981, with gain and offset), and what decides is the correlation of
what stands out from its surroundings, everywhere alike: skies and shadows that look alike are left out.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gog.transforms.duplicates.fingerprints import Interval, Small

Doubles = npt.NDArray[np.float64]

_CELLS: Final = 32
_STEPS: Final = 6
_LONGEST: Final = 0.04
"""Furthest that an edge moves in a step, as a fraction of the side."""
_OUTSIDE: Final = 0.06
_LEAST: Final = 0.4
_AROUND: Final = 3
_CALM: Final = 0.3
"""Share of the whole picture's contrast below which a place counts as calm."""
_TINTS: Final = 8
_COLOURLESS: Final = 3.0
_REACH: Final = np.clip(np.arange(_CELLS)[:, None] + np.arange(-_AROUND, _AROUND + 1), 0, _CELLS - 1)
_MEANS: Final = np.eye(_CELLS)[_REACH].mean(axis=1)
"""Each row takes the mean of the cells around one; what lies outside repeats the edge's."""
_MIDDLES: Final = (np.arange(_CELLS) + 0.5) / _CELLS


class Fit(NamedTuple):
    """The part of the larger picture that the smaller one shows, and how well details agree (-1 to 1)."""

    score: float
    rows: Interval
    columns: Interval


def fit(part: Small, whole: Small, rows: Interval, columns: Interval) -> Fit:
    """Fit the part of `whole` that `part` shows, from a first guess, and score it."""
    seen = _sample(part.grey.astype(np.float64), (0.0, 1.0), (0.0, 1.0))
    details = _details(seen)
    other = whole.grey.astype(np.float64)
    edges = np.array([*rows, *columns], dtype=np.float64)
    best = Fit(-1.0, rows, columns)
    for step in range(_STEPS + 1):
        now = (float(edges[0]), float(edges[1])), (float(edges[2]), float(edges[3]))
        shown = _sample(other, *now)
        score = _correlation(details, _details(shown))
        if score > best.score:
            best = Fit(score, *now)
        moved = _step(seen, shown, edges) if step < _STEPS else None
        if moved is None or float(np.abs(moved).max()) < 1e-3:
            break
        edges = edges + moved
        low, high = edges[::2], edges[1::2]
        if low.min() < -_OUTSIDE or high.max() > 1 + _OUTSIDE or (high - low).min() < _LEAST:
            break
    return best


def tint_agreement(part: Small, whole: Small, rows: Interval, columns: Interval) -> float:
    """How well the layout of colours agrees (-1 to 1), whatever the saturation and the cast; 1 where one has no colour.

    Flags, charts and logos can agree in every shade of grey and differ in colour.
    """
    mine = _tints(part, (0.0, 1.0), (0.0, 1.0))
    theirs = _tints(whole, rows, columns)
    if min(float(mine.std()), float(theirs.std())) < _COLOURLESS:
        return 1.0
    return _correlation(mine, theirs)


def _tints(small: Small, rows: Interval, columns: Interval) -> Doubles:
    """Cb and Cr of the cells of a part, each less its mean."""
    side = len(small.tint)
    down, across = _cells(rows, _TINTS, side), _cells(columns, _TINTS, side)
    found = np.stack([down @ small.tint[:, :, channel] @ across.T for channel in (0, 1)])
    tints: Doubles = found - found.mean(axis=(1, 2), keepdims=True)
    return tints


def _step(seen: Doubles, shown: Doubles, edges: Doubles) -> Doubles | None:
    """How far each edge should move for `shown` to become `seen`, up to gain and offset; None when nothing says."""
    down, across = np.gradient(shown)
    tall, wide = (edges[1] - edges[0]) / _CELLS, (edges[3] - edges[2]) / _CELLS
    y, x = _MIDDLES[:, None], _MIDDLES[None, :]
    columns = np.stack(
        [down * (1 - y) / tall, down * y / tall, across * (1 - x) / wide, across * x / wide, shown,
         np.ones_like(shown)], axis=-1,
    ).reshape(-1, 6)  # fmt: skip
    normal = columns.T @ columns
    normal += np.diag(1e-6 * np.diag(normal) + 1e-9)
    solved = np.linalg.solve(normal, columns.T @ seen.ravel())
    if not np.isfinite(solved).all() or solved[4] < 1e-3:
        return None
    moved: Doubles = np.clip(solved[:4] / solved[4], -_LONGEST, _LONGEST)
    return moved


def _sample(picture: Doubles, rows: Interval, columns: Interval) -> Doubles:
    """Mean grey values of `_CELLS` x `_CELLS` equal cells of a part; what lies outside repeats the edge's."""
    side = len(picture)
    return _cells(rows, _CELLS, side) @ picture @ _cells(columns, _CELLS, side).T


def _cells(interval: Interval, cells: int, side: int) -> Doubles:
    """How much of each pixel of a side (columns) is in each cell of an interval of it (rows); each row adds to 1."""
    start, stop = interval
    edges = (start + (stop - start) * np.arange(cells + 1) / cells) * side
    # How much of each pixel lies before each edge; the first and last pixel go on for ever.
    before = edges[:, None] - np.arange(side)[None, :]
    covered = np.clip(before, 0, 1)
    covered[:, 0] = np.minimum(before[:, 0], 1)
    covered[:, -1] = np.maximum(before[:, -1], 0)
    return np.diff(covered, axis=0) * (cells / (side * (stop - start)))


def _details(picture: Doubles) -> Doubles:
    """The picture less the mean around each place, over the contrast around it.

    Without the second, a dark corner in an empty picture would outweigh all else, and there are many of those.
    """
    details = picture - _around(picture)
    contrast = _around(details * details) + (_CALM * float(details.std())) ** 2
    return details / np.sqrt(np.maximum(contrast, 1e-6))


def _around(picture: Doubles) -> Doubles:
    """The mean around each place."""
    mean: Doubles = _MEANS @ picture @ _MEANS.T
    return mean


def _correlation(a: Doubles, b: Doubles) -> float:
    a, b = a - a.mean(), b - b.mean()
    lengths = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / lengths if lengths > 1e-6 else 0.0
