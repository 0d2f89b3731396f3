"""Perceptual hashes that are near one another, by bands: no two are compared that cannot be near.

A 64-bit hash is cut into `distance + 1` bands: two hashes within the distance agree on at least one band, so looking
up bands finds every near one (exact, no estimate). Bands take every n-th bit, because neighbouring bits of a
perceptual hash go together.
"""

from array import array
from typing import Final

import numpy as np
from numpy.typing import NDArray

BITS: Final = 64
DISTANCE: Final = 4
"""Bits in which the perceptual hashes of near-copies may differ."""
CROWDED: Final = 4096
"""Hashes of a band that later ones are compared with: the first."""

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.uint32] | NDArray[np.int64]


def hamming(a: int, b: int) -> int:
    """Bits in which two hashes differ."""
    return (a ^ b).bit_count()


def band_masks(distance: int) -> tuple[int, ...]:
    """Masks of the `distance + 1` bands that share out the bits of a hash."""
    if not 0 <= distance < BITS:
        raise ValueError(f"a distance lies between 0 and {BITS - 1}, not {distance}")
    return tuple(sum(1 << bit for bit in range(band, BITS, distance + 1)) for band in range(distance + 1))


def nearest_first(phash: int, hashes: Hashes, numbers: Numbers, distance: int) -> list[int]:
    """Numbers of the hashes within the distance, each once: the nearest first, of equally near ones the lowest.

    `numbers[i]` is that of `hashes[i]`.
    """
    bits = np.bitwise_count(hashes ^ np.uint64(phash))
    found = {(int(bits[at]), int(numbers[at])) for at in np.flatnonzero(bits <= distance)}
    return [number for _, number in sorted(found)]


class HashesByBand:
    """Perceptual hashes in order, numbered from 0, each compared with the earlier ones that share a band with it.

    Holds 8 bytes a hash and 4 for each of its bands. What is compared grows with the hashes there are: at the default
    distance a picture meets one in 1,600 of those before it, at most `CROWDED` a band, and eight bytes each are read.
    """

    def __init__(self, distance: int = DISTANCE) -> None:
        """`distance` in bits."""
        self._distance = distance
        self._bands: list[tuple[int, dict[int, array[int]]]] = [(mask, {}) for mask in band_masks(distance)]
        """Of each band the numbers of the first hashes, by what they say there."""
        self._hashes = array("Q")

    def __len__(self) -> int:
        return len(self._hashes)

    def __getitem__(self, number: int) -> int:
        return self._hashes[number]

    def add(self, phash: int) -> None:
        """Know one more."""
        for mask, sharing in self._bands:
            held = sharing.setdefault(phash & mask, array("I"))
            if len(held) < CROWDED:
                held.append(len(self._hashes))
        self._hashes.append(phash)

    def near(self, phash: int) -> list[int]:
        """Numbers of those within the distance, the nearest first, of equally near ones the earliest."""
        sharing = [held for mask, by_band in self._bands if (held := by_band.get(phash & mask)) is not None]
        if not sharing:
            return []
        numbers = np.concatenate([np.frombuffer(held, np.uint32) for held in sharing])
        return nearest_first(phash, np.frombuffer(self._hashes, np.uint64)[numbers], numbers, self._distance)
