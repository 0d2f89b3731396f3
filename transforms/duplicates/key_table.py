"""A table of 64-bit numbers by 64-bit key that grows: 16 bytes an entry, where Python's dicts take a hundred.

What is new lies in a dict; full ones become sorted arrays, and arrays of a like size are merged, so that there are
few of them however much comes in.
"""

import hashlib
import sys
from typing import Final

import numpy as np
from numpy.typing import NDArray

_FRESH: Final = 1 << 15
"""Entries that the dict takes before they are sorted away."""

Numbers = NDArray[np.uint64]


def key_of(*parts: int | bytes) -> int:
    """A key of several parts: two keys are the same by chance in one of 2^64 pairs."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part.to_bytes(8, "little") if isinstance(part, int) else part)
    return int.from_bytes(digest.digest(), "little")


class KeyTable:
    """Numbers by key; a key may have several, which come in no particular order."""

    def __init__(self) -> None:
        self._fresh: dict[int, list[int]] = {}
        self._held = 0
        self._sorted: list[tuple[Numbers, Numbers]] = []
        """Keys, ascending, and their numbers; each array more than twice as long as the next."""

    def __len__(self) -> int:
        return self._held + sum(len(keys) for keys, _ in self._sorted)

    def add(self, key: int, number: int) -> None:
        """Put a number (64 bits, not negative) under a key."""
        self._fresh.setdefault(key, []).append(number)
        self._held += 1
        if self._held >= _FRESH:
            self._settle()

    def find(self, key: int, most: int = sys.maxsize) -> list[int]:
        """Numbers of a key: all, or `most` of them."""
        values = self._fresh.get(key, [])[:most]
        wanted = np.uint64(key)
        for keys, numbers in self._sorted:
            start = int(keys.searchsorted(wanted))
            if start < len(keys) and keys[start] == wanted:
                stop = min(int(keys.searchsorted(wanted, "right")), start + most - len(values))
                values += numbers[start:stop].tolist()
        return values

    def _settle(self) -> None:
        """Sort away what is new."""
        keys = np.repeat(
            np.fromiter(self._fresh, np.uint64, len(self._fresh)), [len(numbers) for numbers in self._fresh.values()]
        )
        numbers = np.fromiter((n for held in self._fresh.values() for n in held), np.uint64, self._held)
        self._fresh, self._held = {}, 0
        self._sorted.append(_in_order(keys, numbers))
        while len(self._sorted) > 1 and len(self._sorted[-2][0]) <= 2 * len(self._sorted[-1][0]):
            (keys, numbers), (more_keys, more_numbers) = self._sorted.pop(), self._sorted.pop()
            joined = np.concatenate((keys, more_keys)), np.concatenate((numbers, more_numbers))
            self._sorted.append(_in_order(*joined))


def _in_order(keys: Numbers, numbers: Numbers) -> tuple[Numbers, Numbers]:
    order = np.argsort(keys)
    return keys[order], numbers[order]
