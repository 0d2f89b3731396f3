"""Scores the words of passages as they come, for a `WordTable`: BM25, Lucene's variant.

What is held in memory is the vocabulary and some numbers a passage; the counts of words wait in a file.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gog.schemas import canonical_json

K1: Final = 1.5
"""How soon more of a word says no more."""
B: Final = 0.75
"""How far a longer passage needs more of it."""
_BUFFER: Final = 1 << 20
_BLOCK: Final = 1 << 22
"""Counts that are scored at once, about."""


class WordWriter:
    """Takes the words of passages, and writes the files."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._waiting = folder, folder / "counts.tmp"
        self._file = self._waiting.open("wb")
        self._numbers: dict[str, int] = {}
        self._counts = array("i")
        """Pairs: a word's number, and how often a passage has it."""
        self._sizes, self._lengths = array("i"), array("i")
        """Different words of each passage, and all of them."""

    def add(self, tokens: Sequence[str]) -> None:
        """The next passage."""
        counts = Counter(tokens)
        for word, count in counts.items():
            self._counts.append(self._numbers.setdefault(word, len(self._numbers)))
            self._counts.append(count)
        self._sizes.append(len(counts))
        self._lengths.append(len(tokens))
        if len(self._counts) >= _BUFFER:
            self._flush()

    def finish(self) -> None:
        """Write the files. Raises `OSError`."""
        self._flush()
        self._file.close()
        (self._folder / "words.json").write_text(canonical_json(self._numbers), "utf-8")
        words, passages = len(self._numbers), len(self._sizes)
        self._numbers = {}
        having = np.zeros(words, np.int64)
        for counts, _ in self._blocks():
            having += np.bincount(counts[:, 0], minlength=words)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(having)])
        rarity = np.log(1 + (passages - having + 0.5) / (having + 0.5)).astype(np.float32)
        np.save(self._folder / "starts.npy", starts)
        weights, where = (
            self._table("weights.npy", np.float32, int(starts[-1])),
            self._table("passages.npy", np.int32, int(starts[-1])),
        )
        lengths, free = np.array(self._lengths, np.int64), starts[:-1].copy()
        usual = float(lengths.mean()) if passages else 1.0
        for counts, of in self._blocks():
            order = np.argsort(counts[:, 0], kind="stable")
            word, count, passage = counts[order, 0], counts[order, 1], of[order]
            found, first, sizes = np.unique(word, return_index=True, return_counts=True)
            at = np.repeat(free[found] - first, sizes) + np.arange(len(word))
            weights[at] = rarity[word] * (count / (K1 * (1 - B + B * lengths[passage] / usual) + count))
            where[at] = passage
            free[found] += sizes
        self._waiting.unlink()

    def close(self) -> None:
        """Of an ended build."""
        self._file.close()

    def _flush(self) -> None:
        self._counts.tofile(self._file)
        del self._counts[:]

    def _table(self, name: str, kind: type[np.generic], size: int) -> NDArray[np.generic]:
        if not size:  # nothing can be mapped
            np.save(self._folder / name, np.zeros(0, kind))
            return np.zeros(0, kind)
        return np.lib.format.open_memmap(self._folder / name, "w+", kind, (size,))

    def _blocks(self) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
        """Counts of some passages, shape (n, 2), and the passage of each."""
        ends = np.cumsum(np.array(self._sizes, np.int64))
        first = 0
        while first < len(ends):
            start = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, start + _BLOCK, "right")))
            count = 2 * (int(ends[last - 1]) - start)
            counts = np.fromfile(self._waiting, np.int32, count, offset=8 * start).reshape(-1, 2)
            yield counts, np.repeat(np.arange(first, last), self._sizes[first:last])
            first = last
