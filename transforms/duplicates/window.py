"""Which pictures of the last rows may be parts of a picture, or hold it as a part: by the fingerprints of their parts.

Cosines are reckoned in whole numbers, so that what is found does not hang on how pictures are put together for it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gog.transforms import cores
from gog.transforms.duplicates.fingerprints import PARTS, Floats, Interval, Small, parts

WINDOW: Final = 4096
"""Rows read last, among whose pictures parts are looked for: 24 kB each."""
LOOKED_AT: Final = 4
"""Candidates that are fitted, of each kind: the best."""
_COSINE: Final = 0.8
"""Least cosine of the fingerprints of a picture and of a part that are worth a look."""
_SCALE: Final = 4000
"""Whole numbers of a fingerprint: products of two lengths stay below 2^24, up to which `float32` is exact."""
_LEAST: Final = _COSINE * _SCALE**2
_TOGETHER: Final = 64
"""Pictures that are compared with others at once."""
_PRODUCT: Final = 16
"""Rows of a product: a library of linear algebra would spread large ones over threads that wait for each other."""
Whole = npt.NDArray[np.int16]
Places = npt.NDArray[np.int64]


class Shown(NamedTuple):
    """A picture at the place of the first row that shows it; `small` is None where its file is gone or unread."""

    place: int
    """Number of the row in the order of the source."""
    sha256: str
    phash: int
    small: Small | None = None


class Candidate(NamedTuple):
    """An earlier picture, and which part of the larger of the two the smaller may show."""

    earlier: Shown
    rows: Interval
    columns: Interval
    within_earlier: bool


class _Block(NamedTuple):
    """Pictures that came one after another."""

    pictures: tuple[Shown, ...]
    places: Places
    parts: Whole


class Window:
    """The pictures of the last rows."""

    def __init__(self, rows: int = WINDOW) -> None:
        self._rows = rows
        self._blocks: deque[_Block] = deque()
        self._by_place: dict[int, Shown] = {}

    def get(self, place: int) -> Shown | None:
        """The picture at a place, if it is among the last ones."""
        return self._by_place.get(place)

    def add(self, pictures: Iterable[Shown]) -> None:
        """Know pictures, in their order."""
        known = ((picture, picture.small) for picture in pictures if picture.small is not None)
        while held := tuple(islice(known, _TOGETHER)):
            some = tuple(picture for picture, _ in held)
            self._let_go(some[0].place)
            numbers = np.stack([np.rint(parts(small.grey) * _SCALE).astype(np.int16) for _, small in held])
            self._blocks.append(_Block(some, np.array([picture.place for picture in some]), numbers))
            self._by_place.update((picture.place, picture) for picture in some)

    def meet(self, pictures: Sequence[Shown]) -> Iterator[list[Candidate]]:
        """Know pictures, in their order; of each that is made small, those of the last rows with the nearest parts."""
        for start in range(0, len(pictures), _TOGETHER):
            some = pictures[start : start + _TOGETHER]
            small = [picture.place for picture in some if picture.small is not None]
            self.add(some)
            found = dict(zip(small, self._nearest(self._blocks[-1]), strict=True)) if small else {}
            yield from (found.get(picture.place, []) for picture in some)

    def _let_go(self, place: int) -> None:
        """Forget those that are beyond the rows before a place."""
        while self._blocks and self._blocks[0].places[-1] <= place - self._rows:
            for picture in self._blocks.popleft().pictures:
                del self._by_place[picture.place]

    def _nearest(self, asked: _Block) -> Iterator[list[Candidate]]:
        mine, places = asked.parts.astype(np.float32), asked.places

        def cosines(block: _Block) -> tuple[Floats, Floats]:
            theirs = block.parts.astype(np.float32)
            apart = places[:, None] - block.places
            near = (apart > 0) & (apart < self._rows)
            return (
                np.where(near, _best(theirs, mine[:, 0]).T, -1),
                np.where(near, _best(mine, theirs[:, 0]), -1),
            )

        with ThreadPoolExecutor(cores.width()) as threads:
            both = [np.concatenate(found, axis=1) for found in zip(*threads.map(cosines, self._blocks), strict=True)]
        earlier = [
            (picture, numbers)
            for block in self._blocks
            for picture, numbers in zip(block.pictures, block.parts, strict=True)
        ]
        for number in range(len(asked.pictures)):
            candidates = []
            for within_earlier, best in zip((True, False), both, strict=True):
                worth = np.flatnonzero(best[number] >= _LEAST)
                for place in worth[np.argsort(-best[number][worth], kind="stable")][:LOOKED_AT]:
                    other, theirs = earlier[place]
                    of, whole = (theirs, mine[number]) if within_earlier else (mine[number], theirs)
                    part = int((of.astype(np.float32) @ whole[0].astype(np.float32)).argmax())
                    candidates.append(Candidate(other, *PARTS[part], within_earlier))
            yield candidates


def _best(parts_of: Floats, wholes: Floats) -> Floats:
    """Of each picture (rows), the highest product of one of its parts with each whole (columns)."""
    columns = parts_of.transpose(0, 2, 1)
    best = [
        np.matmul(wholes[start : start + _PRODUCT], columns).max(axis=2) for start in range(0, len(wholes), _PRODUCT)
    ]
    return np.concatenate(best, axis=1)
