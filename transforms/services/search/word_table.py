"""The words of passages, scored by BM25 (`word_scores`) and memory-mapped.

A score is the passage's BM25 score (Lucene's variant, which never exceeds the sum of the query words' weights)
divided by that sum: 0 when no word of the query is in the passage, towards 1 when all are, often. A word that no
passage has weighs as one that a single passage has would, so strange queries score low.

Files: `weights.npy`, `passages.npy`, `starts.npy` (the score of each word in each passage that has it, by word) and
`words.json` (the number of each word).
"""

import json
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gog.transforms.services.search.excerpts import query_words


class WordTable:
    """The files of a folder, opened."""

    def __init__(self, folder: Path, passages: int) -> None:
        """Of so many passages. Raises `OSError`, `ValueError`, `KeyError` and `TypeError` where they are damaged."""
        self._passages = passages
        self._weights: NDArray[np.float32] = np.load(folder / "weights.npy", mmap_mode="r", allow_pickle=False)
        self._where: NDArray[np.int32] = np.load(folder / "passages.npy", mmap_mode="r", allow_pickle=False)
        self._starts: NDArray[np.int64] = np.load(folder / "starts.npy", mmap_mode="r", allow_pickle=False)
        self._vocabulary: dict[str, int] = json.loads((folder / "words.json").read_text("utf-8"))
        if not len(self._weights) == len(self._where) == self._starts[-1]:
            raise ValueError("its arrays differ in length")

    def weights(self, query: str) -> dict[str, float]:
        """What each word that a query is about weighs: inverse document frequency, as Lucene has it."""
        return {word: self._weight(word) for word in query_words(query)}

    def scores(self, weights: dict[str, float]) -> NDArray[np.float64]:
        """Of each passage, for weighted words; four decimals."""
        raw = np.zeros(self._passages, np.float64)
        for word in weights:
            if word in self._vocabulary:
                found = self._found(self._vocabulary[word])
                raw[self._where[found]] += self._weights[found]
        return np.round(raw / sum(weights.values()), 4) if weights else raw

    def _weight(self, word: str) -> float:
        number = self._vocabulary.get(word)
        count = 1
        if number is not None:
            found = self._found(number)
            count = found.stop - found.start
        return math.log(1 + (self._passages - count + 0.5) / (count + 0.5))

    def _found(self, word: int) -> slice:
        return slice(int(self._starts[word]), int(self._starts[word + 1]))
