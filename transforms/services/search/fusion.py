"""Several rankings of passages as one of pages: reciprocal rank fusion."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

DAMPING: Final = 2
"""The usual 60 (Cormack, Clarke and Büttcher, 2009) is for many rankings that agree: of two, it puts what is in the
middle of both before what is first in one. docs/search.md has what it was chosen by.
"""


class Fused(NamedTuple):
    """A page, with its best passage; `score` is 1 where it is first in all rankings."""

    page: int
    passage: int
    score: float


def fuse(rankings: Sequence[Sequence[int]], page_of: Sequence[int] | NDArray[np.int64]) -> list[Fused]:
    """Pages, best first: the sum of 1 / (2 + rank) over the rankings that have it, its rank that of its best passage.

    Passages are numbers, best first; `page_of` has the page of each. Of equal pages the earlier comes first.
    """
    pages: dict[int, float] = {}
    passages: dict[int, dict[int, float]] = {}
    for ranking in rankings:
        ranks: dict[int, int] = {}
        for at, passage in enumerate(ranking, 1):
            page = int(page_of[passage])
            if page not in ranks:
                ranks[page] = len(ranks) + 1
                pages[page] = pages.get(page, 0.0) + 1 / (DAMPING + ranks[page])
            held = passages.setdefault(page, {})
            held[passage] = held.get(passage, 0.0) + 1 / (DAMPING + at)
    most = len(rankings) / (DAMPING + 1)
    found = []
    for page, score in pages.items():
        best = min(passages[page], key=lambda passage: (-passages[page][passage], passage))
        found.append(Fused(page, best, round(min(1.0, score / most), 4)))
    return sorted(found, key=lambda one: (-one.score, one.page))
