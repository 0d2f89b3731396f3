"""What hangs together, by pairs of numbers: connected components in arrays, by rounds over all pairs at once."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


def components(pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Every number of the pairs (64 bits) with the smallest number of those that it hangs together with."""
    flat = np.fromiter((number for pair in pairs for number in pair), np.int64)
    numbers = np.unique(flat)
    place = np.searchsorted(numbers, flat)
    del flat
    roots = hang_together(place[::2], place[1::2], len(numbers))
    for start in range(0, len(numbers), 10_000):
        some = slice(start, start + 10_000)
        yield from zip(numbers[some].tolist(), numbers[roots[some]].tolist(), strict=True)


def hang_together(a: Numbers, b: Numbers, count: int) -> Numbers:
    """Of each number from 0 to `count` the smallest one of its component, where each `a` hangs together with a `b`."""
    roots = np.arange(count, dtype=np.int64)
    while True:
        mine, theirs = roots[a], roots[b]
        apart = mine != theirs
        if not apart.any():
            return roots
        mine, theirs = mine[apart], theirs[apart]
        np.minimum.at(roots, np.maximum(mine, theirs), np.minimum(mine, theirs))
        while not np.array_equal(further := roots[roots], roots):
            roots = further
