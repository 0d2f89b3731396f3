"""Where things with a name lie in large files: a sorted table of 64-bit hashes, 32 bytes an entry."""

import hashlib
from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Place(NamedTuple):
    """Bytes `offset` to `offset + size` of file number `file`."""

    file: int
    offset: int
    size: int


class Offsets:
    """Places by name. Two names may share a hash, though in a million this is a chance of 1 in 30 million: where it
    matters, the reader compares the name that lies there.
    """

    def __init__(self, entries: Iterable[tuple[str, Place]]) -> None:
        """Of entries whose name comes twice, the first counts."""
        numbers = array("Q")
        for name, place in entries:
            numbers.extend((_hash(name), *place))
        table = np.array(numbers, np.uint64).reshape(-1, 4)
        order = np.argsort(table[:, 0], kind="stable")
        self._keys, self._places = table[order, 0], table[order, 1:]

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, name: str) -> Place | None:
        """The place of a name, None where it has none."""
        key = _hash(name)
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        if at == len(self._keys) or int(self._keys[at]) != key:
            return None
        return Place(*self._places[at].tolist())


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")
