"""Near-copies of questions about one picture, by MinHash; no pair is compared that cannot be near."""

import zlib
from array import array
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np

from gog.transforms.duplicates.key_table import KeyTable, key_of
from gog.transforms.verify.normalise import normalise, unspaced

SIMILARITY: Final = 0.9
"""Jaccard similarity of near-copies of a question: in twenty words, one other word is already another question."""

_ROWS: Final = 4
_PERMUTATIONS: Final = 64
_RNG: Final = np.random.default_rng(20260113)
_FACTORS: Final = (_RNG.integers(1, 2**63, _PERMUTATIONS, dtype=np.uint64) * np.uint64(2) + np.uint64(1))[:, None]
_OFFSETS: Final = _RNG.integers(0, 2**63, _PERMUTATIONS, dtype=np.uint64)[:, None]
_ANSWERS: Final = 20
"""Accepted answers of an item that are looked at."""
_CROWDED: Final = 16
"""Questions of a picture that are compared for one band: what thousands share (`what is number`) tells none apart."""

Words = frozenset[str]


@lru_cache(4096)
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


def _keys(words: Words) -> tuple[bytes, ...]:
    """The bands, and all words as one."""
    return (*minhash_bands(words), "\n".join(sorted(words)).encode("utf-8", "replace"))


class NearDuplicates:
    """An index that finds, as items come in, the earliest one of the same picture whose question is near.

    Holds about 100 bytes an item beside its question, and as many again where items share pictures. Questions are
    compared only where pictures are the same or alike, and hashed only then. Of thousands about one picture, those with
    the same words are always found, and others among the first that share each band.
    """

    def __init__(self, least_similarity: float = SIMILARITY) -> None:
        """`least_similarity` of the questions' words."""
        self._least = least_similarity
        self._first = KeyTable()
        """Items by picture, until another comes: then their questions are hashed."""
        self._compared: set[int] = set()
        """Pictures whose items are in `_questions`."""
        self._questions = KeyTable()
        """Items by picture and MinHash band, and by all words."""
        self._texts = bytearray()
        self._ends = array("Q")

    def add_or_find(
        self, item_id: str, pictures: Sequence[str], question: str, answers: Sequence[str] = ()
    ) -> str | None:
        """The id of the earliest near-copy, or None after the new item was added.

        `pictures` are names of the item's picture and of those that it is like; it is kept under the first. Where both
        have answers, near-copies have one in common: two price tags are alike but for what is asked.
        """
        forms = (normalise(answer) or answer for answer in answers[:_ANSWERS])
        mine = frozenset(f"{key_of(form.encode('utf-8', 'surrogatepass')):016x}" for form in forms)
        keys = [key_of(picture.encode()) for picture in dict.fromkeys(pictures)]
        known = [key for key in keys if key in self._compared or self._first.find(key)]
        bands: tuple[bytes, ...] = ()
        if known:
            words = shingles(question)
            bands = _keys(words)
            hits = {order for key in known for order in self._near_questions(key, words, bands)}
            for order in sorted(hits):
                earlier, _, theirs = self._item(order)
                if not (mine and theirs) or mine & theirs:
                    return earlier
        order = len(self._ends)
        self._texts += f"{item_id}\0{' '.join(sorted(mine))}\0{question}".encode("utf-8", "surrogatepass")
        self._ends.append(len(self._texts))
        if keys[0] in self._compared:
            self._add(order, keys[0], bands)
        else:
            self._first.add(keys[0], order)
        return None

    def _near_questions(self, picture: int, words: Words, bands: tuple[bytes, ...]) -> list[int]:
        """Items of a picture whose questions are near."""
        if picture not in self._compared:
            self._compared.add(picture)
            for order in self._first.find(picture):
                self._add(order, picture, _keys(shingles(self._item(order)[1])))
        orders = {
            order for i, band in enumerate(bands) for order in self._questions.find(key_of(picture, i, band), _CROWDED)
        }
        return [order for order in orders if similarity(shingles(self._item(order)[1]), words) >= self._least]

    def _add(self, order: int, picture: int, bands: tuple[bytes, ...]) -> None:
        for i, band in enumerate(bands):
            key = key_of(picture, i, band)
            if len(self._questions.find(key, _CROWDED)) < _CROWDED:
                self._questions.add(key, order)

    def _item(self, order: int) -> tuple[str, str, frozenset[str]]:
        """Id, question, and hashes of the answers."""
        start = self._ends[order - 1] if order else 0
        text = self._texts[start : self._ends[order]].decode("utf-8", "surrogatepass")
        item_id, answers, question = text.split("\0", 2)
        return item_id, question, frozenset(answers.split())
