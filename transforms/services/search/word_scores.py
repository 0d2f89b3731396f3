"""Scores of words in passages (BM25, Lucene's variant), written for a `WordTable`, with what they are made of.

Beside its files: `counts.npy` (how often the passage has the word, for each score) and `lengths.npy` (words of each
passage), by which an index is changed without its texts.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

K1: Final = 1.5
"""How soon more of a word says no more."""
B: Final = 0.75
"""How far a longer passage needs more of it."""

Numbers = NDArray[np.int64]


class WordScores:
    """The files of a folder, word by word."""

    def __init__(self, folder: Path, having: Numbers, most: int, lengths: Numbers) -> None:
        """Of so many passages that have each word, `most` times at most, and of their lengths. Raises `OSError`."""
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(having)])
        self._rarity = np.log(1 + (len(lengths) - having + 0.5) / (having + 0.5)).astype(np.float32)
        self._lengths, self._usual = lengths, float(lengths.mean()) if len(lengths) else 1.0
        self._free = starts[:-1].copy()
        np.save(folder / "starts.npy", starts)
        np.save(folder / "lengths.npy", lengths.astype(np.int32))
        self._weights = _table(folder / "weights.npy", np.dtype(np.float32), int(starts[-1]))
        self._where = _table(folder / "passages.npy", np.dtype(np.int32), int(starts[-1]))
        self._counts = _table(folder / "counts.npy", np.min_scalar_type(most), int(starts[-1]))

    def add(self, words: NDArray[np.integer], counts: NDArray[np.int32], passages: Numbers) -> None:
        """Words, how often a passage has each, and the passage: of a word in the order of passages, and behind those
        that came before.
        """
        order = np.argsort(words, kind="stable")
        word, count, passage = words[order], counts[order], passages[order]
        found, first, often = np.unique(word, return_index=True, return_counts=True)
        at = np.repeat(self._free[found] - first, often) + np.arange(len(word))
        full = K1 * (1 - B + B * self._lengths[passage] / self._usual) + count
        self._weights[at] = self._rarity[word] * (count / full)
        self._where[at] = passage
        self._counts[at] = count
        self._free[found] += often


def _table(file: Path, kind: np.dtype[np.generic], size: int) -> NDArray[np.generic]:
    if not size:  # nothing can be mapped
        np.save(file, np.zeros(0, kind))
        return np.zeros(0, kind)
    return np.lib.format.open_memmap(file, "w+", kind, (size,))
