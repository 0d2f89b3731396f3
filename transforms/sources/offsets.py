"""Where things with a name lie in large files: a sorted table of 64-bit hashes, 24 bytes an entry."""

import hashlib
from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


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
        keys, files, offsets, sizes = array("Q"), array("L"), array("Q"), array("Q")
        for name, place in entries:
            keys.append(_hash(name))
            files.append(place.file)
            offsets.append(place.offset)
            sizes.append(place.size)
        order = np.argsort(np.frombuffer(keys, np.uint64) if keys else np.zeros(0, np.uint64), kind="stable")
        self._keys = _taken(keys, order)
        self._files, self._offsets, self._sizes = (_taken(a, order) for a in (files, offsets, sizes))

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, name: str) -> Place | None:
        """The place of a name, None where it has none."""
        key = _hash(name)
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        if at == len(self._keys) or int(self._keys[at]) != key:
            return None
        return Place(int(self._files[at]), int(self._offsets[at]), int(self._sizes[at]))


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")


def _taken(values: "array[int]", order: NDArray[np.intp]) -> NDArray[np.uint64]:
    if not values:
        return np.zeros(0, np.uint64)
    return np.array(values, np.uint64)[order]
