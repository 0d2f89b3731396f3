"""Ranks by scores."""

import numpy as np
from numpy.typing import NDArray


def best(scores: NDArray[np.float64], count: int) -> list[tuple[int, float]]:
    """Numbers and scores of the `count` highest, best first; of equal ones the earlier."""
    count = min(count, len(scores))
    if count < 1:
        return []
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    chosen = np.flatnonzero(scores >= least)
    first = chosen[np.argsort(-scores[chosen], kind="stable")][:count]
    return [(int(index), float(scores[index])) for index in first]
