"""Near-duplicates: images by perceptual hash, questions by MinHash; no pair is compared that cannot be near.

A 64-bit hash is cut into `distance + 1` bands: two hashes within the distance agree on at least one band, so looking
up bands finds every near one (exact, no estimate). Bands take every n-th bit, because neighbouring bits of a
perceptual hash go together.
"""

import zlib
from array import array
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from gog.transforms.duplicates.key_table import KeyTable, key_of
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


class NearDuplicates:
    """An index that finds, as items come in, the earliest one whose image and question are both near.

    Holds about 250 bytes an item beside its question, and as many again where items share images: a million of them
    fit into half a gigabyte. Questions are compared only where images are near, and hashed only then.
    """

    def __init__(self, distance: int = DISTANCE, least_similarity: float = SIMILARITY) -> None:
        """`distance` in bits of the perceptual hash, `least_similarity` of the questions' words."""
        self._distance, self._least = distance, least_similarity
        self._masks = band_masks(distance)
        self._images = KeyTable()
        """Perceptual hashes, each once, by band."""
        self._first = KeyTable()
        """The first item of each perceptual hash, by the hash: its question is hashed when another comes near."""
        self._compared: set[int] = set()
        """Perceptual hashes whose first item is in `_questions`."""
        self._questions = KeyTable()
        """Items by perceptual hash and MinHash band."""
        self._texts = bytearray()
        self._ends = array("Q")

    def add_or_find(self, item_id: str, phash_hex: str, question: str) -> str | None:
        """The id of the earliest near-copy, or None after the new item was added."""
        value = int(phash_hex, 16)
        near = self._near_images(value)
        if near:
            words = shingles(question)
            bands = minhash_bands(words)
            hits = [order for image in near for order in self._near_questions(image, words, bands)]
            if hits:
                return self._item(min(hits))[0]
        order = len(self._ends)
        self._texts += f"{item_id}\0{question}".encode("utf-8", "surrogatepass")
        self._ends.append(len(self._texts))
        if value not in near:
            for band, mask in enumerate(self._masks):
                self._images.add(key_of(band, value & mask), value)
        if near:
            self._compared.add(value)
            self._add(order, value, bands)
        else:
            self._first.add(value, order)
        return None

    def _near_images(self, value: int) -> set[int]:
        return {
            other
            for band, mask in enumerate(self._masks)
            for other in self._images.find(key_of(band, value & mask))
            if (value ^ other).bit_count() <= self._distance
        }

    def _near_questions(self, image: int, words: Words, bands: tuple[bytes, ...]) -> list[int]:
        """Items of an image whose questions are near."""
        if image not in self._compared:
            self._compared.add(image)
            for order in self._first.find(image):
                self._add(order, image, minhash_bands(shingles(self._item(order)[1])))
        orders = {order for i, band in enumerate(bands) for order in self._questions.find(key_of(image, i, band))}
        return [order for order in orders if similarity(shingles(self._item(order)[1]), words) >= self._least]

    def _add(self, order: int, image: int, bands: tuple[bytes, ...]) -> None:
        for i, band in enumerate(bands):
            self._questions.add(key_of(image, i, band), order)

    def _item(self, order: int) -> tuple[str, str]:
        """Id and question."""
        start = self._ends[order - 1] if order else 0
        item_id, _, question = self._texts[start : self._ends[order]].decode("utf-8", "surrogatepass").partition("\0")
        return item_id, question


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
