"""Counts the words of passages for `WordScores`.

Words are counted in blocks of passages, anywhere (`WordCounts`), and numbered as they come (`WordWriter`). What is held
in memory is the vocabulary and some numbers a passage; the counts wait in a file.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gog.schemas import canonical_json
from gog.transforms.services.search.word_scores import WordScores

_BLOCK: Final = 1 << 22
"""Counts that are scored at once, about."""


class CountedWords(NamedTuple):
    """The words of some passages in a row."""

    vocabulary: list[str]
    """As they come, each once."""
    counts: bytes
    """Pairs (int32): a word's number, and how often a passage has it; passage by passage."""
    lengths: bytes
    """Pairs (int32): different words of a passage, and all of them."""


class WordCounts:
    """Counts the words of passages as they come; a word's number is its place in their vocabulary."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._counts, self._lengths = array("i"), array("i")

    def add(self, tokens: Sequence[str]) -> None:
        """The next passage."""
        counts = Counter(tokens)
        for word, count in counts.items():
            self._counts.append(self._numbers.setdefault(word, len(self._numbers)))
            self._counts.append(count)
        self._lengths.extend((len(counts), len(tokens)))

    def counted(self) -> CountedWords:
        """All of them."""
        return CountedWords(list(self._numbers), self._counts.tobytes(), self._lengths.tobytes())


class WordWriter:
    """Numbers the words of blocks that come in order, and writes the files."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._lengths: list[NDArray[np.int32]] = []

    def numbered(self, block: CountedWords) -> CountedWords:
        """The next block by its words' numbers in the index; its vocabulary is then what is new."""
        new = [word for word in block.vocabulary if word not in self._numbers]
        self._learn(new, block.lengths)
        numbers = np.array([self._numbers[word] for word in block.vocabulary], np.int32)
        pairs = np.frombuffer(block.counts, np.int32).reshape(-1, 2).copy()
        pairs[:, 0] = numbers[pairs[:, 0]]
        return CountedWords(new, pairs.tobytes(), block.lengths)

    def again(self, vocabulary: Iterable[str], lengths: bytes) -> None:
        """The next block, which was numbered when a build was begun."""
        self._learn(vocabulary, lengths)

    def _learn(self, vocabulary: Iterable[str], lengths: bytes) -> None:
        for word in vocabulary:
            self._numbers[word] = len(self._numbers)
        self._lengths.append(np.frombuffer(lengths, np.int32).reshape(-1, 2))

    def finish(self, waiting: Path, folder: Path) -> None:
        """Write the files into a folder; `waiting` has the numbered counts of all blocks. Raises `OSError`."""
        (folder / "words.json").write_text(canonical_json(self._numbers), "utf-8")
        told = np.concatenate([np.zeros((0, 2), np.int32), *self._lengths])
        sizes, lengths = told[:, 0], told[:, 1].astype(np.int64)
        having, most = np.zeros(len(self._numbers), np.int64), 0
        self._numbers = {}
        for counts, _ in _blocks(waiting, sizes):
            having += np.bincount(counts[:, 0], minlength=len(having))
            most = max(most, int(counts[:, 1].max(initial=0)))
        scores = WordScores(folder, having, most, lengths)
        for counts, of in _blocks(waiting, sizes):
            scores.add(counts[:, 0], counts[:, 1], of)


def _blocks(waiting: Path, sizes: NDArray[np.int32]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
    """Counts of some passages, shape (n, 2), and the passage of each."""
    ends = np.cumsum(sizes, dtype=np.int64)
    first = 0
    while first < len(ends):
        start = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, start + _BLOCK, "right")))
        count = 2 * (int(ends[last - 1]) - start)
        counts = np.fromfile(waiting, np.int32, count, offset=8 * start).reshape(-1, 2)
        yield counts, np.repeat(np.arange(first, last), sizes[first:last])
        first = last
