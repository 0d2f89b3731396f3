"""Near-duplicates: images by perceptual hash, questions by MinHash; no pair is compared that cannot be near.

A 64-bit hash is cut into `distance + 1` bands: two hashes within the distance agree on at least one band, so looking
up bands finds every near one (exact, no estimate). Bands take every n-th bit, because neighbouring bits of a
perceptual hash go together.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from gog.transforms.verify.normalise import normalise, unspaced

BITS: Final = 64
DISTANCE: Final = 4
"""Bits in which the perceptual hashes of near-copies may differ."""
SIMILARITY: Final = 0.9
"""Jaccard similarity of near-copies of a question: in twenty words, one other word is already another question."""

_ROWS: Final = 4
_PERMUTATIONS: Final = 64
_RNG: Final = np.random.default_rng(20260113)
_FACTORS: Final = (_RNG.integers(1, 2**63, _PERMUTATIONS, dtype=np.uint64) * np.uint64(2) + np.uint64(1))[:, None]
_OFFSETS: Final = _RNG.integers(0, 2**63, _PERMUTATIONS, dtype=np.uint64)[:, None]
_ONES: Final = np.array([value.bit_count() for value in range(2**16)], dtype=np.uint8)

Words = frozenset[str]


def hamming(a: int, b: int) -> int:
    """Bits in which two hashes differ."""
    return (a ^ b).bit_count()


def band_masks(distance: int) -> tuple[int, ...]:
    """Masks of the `distance + 1` bands that share out the bits of a hash."""
    if not 0 <= distance < BITS:
        raise ValueError(f"a distance lies between 0 and {BITS - 1}, not {distance}")
    return tuple(sum(1 << bit for bit in range(band, BITS, distance + 1)) for band in range(distance + 1))


def shingles(question: str) -> Words:
    """Words and pairs of neighbouring words of a question, normalised; characters where a script has no spaces."""
    words: list[str] = []
    for word in normalise(question).split():
        words.extend(word if unspaced(word) else [word])
    return frozenset(words) | {f"{a} {b}" for a, b in pairwise(words)}


def similarity(a: Words, b: Words) -> float:
    """Jaccard similarity; two empty sets are the same."""
    return len(a & b) / len(a | b) if a or b else 1.0


def minhash_bands(words: Words) -> tuple[bytes, ...]:
    """MinHash signature (64 permutations) cut into 16 bands; sets of similarity 0.9 share one but for 1 in 10^7."""
    if not words:
        return (b"",)
    hashed = np.fromiter((zlib.crc32(word.encode("utf-8", "replace")) for word in words), np.uint64, len(words))
    signature = ((hashed * _FACTORS + _OFFSETS) >> np.uint64(32)).min(axis=1).astype(np.uint32)
    raw, size = signature.tobytes(), 4 * _ROWS
    return tuple(raw[start : start + size] for start in range(0, len(raw), size))


@dataclass(slots=True)
class _SameHash:
    """The items of one perceptual hash; their questions are hashed when first compared with another."""

    waiting: list[tuple[int, str, str]] = field(default_factory=list)
    known: dict[int, tuple[str, Words]] = field(default_factory=dict)
    bands: dict[tuple[int, bytes], list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, order: int, item_id: str, words: Words, bands: tuple[bytes, ...]) -> None:
        self.known[order] = (item_id, words)
        for key in enumerate(bands):
            self.bands[key].append(order)

    def nearest(self, words: Words, bands: tuple[bytes, ...], least: float) -> int | None:
        """Order of the earliest item whose question is near."""
        for order, item_id, question in self.waiting:
            waited = shingles(question)
            self.add(order, item_id, waited, minhash_bands(waited))
        self.waiting.clear()
        candidates = {order for key in enumerate(bands) for order in self.bands.get(key, ())}
        near = [order for order in candidates if similarity(self.known[order][1], words) >= least]
        return min(near, default=None)


class NearDuplicates:
    """An index that finds, as items come in, the earliest one whose image and question are both near."""

    def __init__(self, distance: int = DISTANCE, least_similarity: float = SIMILARITY) -> None:
        """`distance` in bits of the perceptual hash, `least_similarity` of the questions' words."""
        self._distance, self._least = distance, least_similarity
        self._masks = band_masks(distance)
        self._bands: list[dict[int, list[int]]] = [defaultdict(list) for _ in self._masks]
        self._images: dict[int, _SameHash] = {}
        self._count = 0

    def add_or_find(self, item_id: str, phash_hex: str, question: str) -> str | None:
        """The id of the earliest near-copy, or None after the new item was added."""
        value = int(phash_hex, 16)
        near = self._near_images(value)
        words: Words = shingles(question) if near else frozenset()
        bands = minhash_bands(words) if near else ()
        if near:
            hits = [(order, image) for image in near if (order := image.nearest(words, bands, self._least)) is not None]
            if hits:
                order, image = min(hits, key=lambda hit: hit[0])
                return image.known[order][0]
        own = self._images.get(value)
        if own is None:
            own = self._images[value] = _SameHash()
            for band, mask in zip(self._bands, self._masks, strict=True):
                band[value & mask].append(value)
        if near:
            own.add(self._count, item_id, words, bands)
        else:
            own.waiting.append((self._count, item_id, question))
        self._count += 1
        return None

    def _near_images(self, value: int) -> list[_SameHash]:
        found = {
            other
            for band, mask in zip(self._bands, self._masks, strict=True)
            for other in band.get(value & mask, ())
            if (value ^ other).bit_count() <= self._distance
        }
        return [self._images[other] for other in sorted(found)]


def image_clusters(pairs: Iterable[tuple[str, str]], distance: int = DISTANCE) -> dict[str, str]:
    """Cluster of each item of (id, perceptual hash in hex): near images, and what is near to those, share one.

    A cluster is named by its smallest hash, so its name depends on nothing else.
    """
    hashes = {item_id: int(phash, 16) for item_id, phash in pairs}
    values = np.array(sorted(set(hashes.values())), dtype=np.uint64)
    roots = _roots(values, distance)
    names = {int(value): f"image:{int(values[root]):016x}" for value, root in zip(values, roots, strict=True)}
    return {item_id: names[value] for item_id, value in hashes.items()}


Indices = npt.NDArray[np.intp]


def _roots(values: npt.NDArray[np.uint64], distance: int) -> Indices:
    """Index of the first (smallest) value of each value's cluster; `values` are sorted and distinct."""
    parent: Indices = np.arange(len(values), dtype=np.intp)
    for mask in band_masks(distance):
        order: Indices = np.argsort(values & np.uint64(mask), kind="stable")
        banded = values[order] & np.uint64(mask)
        start: Indices = np.arange(len(values), dtype=np.intp)
        step = 0
        # Equal bands lie side by side: compare each with the next, then the one after, while the band is the same.
        while len(start):
            step += 1
            start = start[start < len(values) - step]
            start = start[banded[start] == banded[start + step]]
            a, b = order[start], order[start + step]
            near = _popcount(values[a] ^ values[b]) <= distance
            if near.any():
                _join(parent, a[near], b[near])
    return parent


def _popcount(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    counts: npt.NDArray[np.int64] = _ONES[values.view(np.uint16).reshape(-1, 4)].sum(axis=1, dtype=np.int64)
    return counts


def _join(parent: Indices, a: Indices, b: Indices) -> None:
    """Unite the clusters of each pair; afterwards every entry points straight at its root."""
    apart = parent[a] != parent[b]
    if not apart.any():
        return
    for one, other in zip(a[apart].tolist(), b[apart].tolist(), strict=True):
        low, high = sorted((_find(parent, one), _find(parent, other)))
        parent[high] = low
    while True:
        jumped = parent[parent]
        if np.array_equal(jumped, parent):
            return
        parent[:] = jumped


def _find(parent: Indices, index: int) -> int:
    while parent[index] != index:
        index = int(parent[index])
    return index
