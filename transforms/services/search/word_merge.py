"""Words of passages out of several indexes, by what these keep of them: no text is read again."""

import json
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gog.schemas import canonical_json
from gog.transforms.services.search.index_parts import Staying
from gog.transforms.services.search.word_scores import Numbers, WordScores

_BLOCK: Final = 1 << 22
"""Scores that are read at once, about."""


def merge_words(parts: Sequence[Staying], folder: Path) -> None:
    """Write the files of `word_scores` and `words.json` of what stays, one part behind the other.

    Words are numbered as they come in the parts; one that no passage has any more is left out. Raises `OSError`, and
    `ValueError` where a part is damaged.
    """
    vocabulary: dict[str, int] = {}
    known = [_numbered(part.folder, vocabulary) for part in parts]
    lengths = np.concatenate([part.load("lengths")[part.stays] for part in parts]).astype(np.int64)
    having, most = np.zeros(len(vocabulary), np.int64), 0
    for words, counts, _ in _all(parts, known):
        having += np.bincount(words, minlength=len(having))
        most = max(most, int(counts.max(initial=0)))
    there = having > 0
    numbers = np.cumsum(there) - 1
    left = {word: int(numbers[at]) for word, at in vocabulary.items() if there[at]}
    (folder / "words.json").write_text(canonical_json(left), "utf-8")
    del vocabulary, left
    scores = WordScores(folder, having[there], most, lengths)
    for words, counts, passages in _all(parts, known):
        scores.add(numbers[words], counts, passages)


def _numbered(folder: Path, vocabulary: dict[str, int]) -> Numbers:
    """Of each word of an index its number among all."""
    own: dict[str, int] = json.loads((folder / "words.json").read_text("utf-8"))
    ordered = (word for word, _ in sorted(own.items(), key=itemgetter(1)))
    return np.array([vocabulary.setdefault(word, len(vocabulary)) for word in ordered], np.int64)


def _all(parts: Sequence[Staying], known: Sequence[Numbers]) -> Iterator[tuple[Numbers, NDArray[np.int32], Numbers]]:
    """Of all parts, by and by: words, how often a passage has each, and the passage's new number."""
    first = 0
    for part, numbers in zip(parts, known, strict=True):
        passages = np.where(part.stays, np.cumsum(part.stays) - 1 + first, -1)
        for words, counts, where in _scores(part):
            to = passages[where]
            stays = to >= 0
            yield numbers[words[stays]], counts[stays].astype(np.int32), to[stays]
        first += int(part.stays.sum())


def _scores(part: Staying) -> Iterator[tuple[Numbers, NDArray[np.integer], NDArray[np.int32]]]:
    starts, where, counts = (part.load(name) for name in ("starts", "passages", "counts"))
    if not len(where) == len(counts) == starts[-1]:
        raise ValueError("its arrays differ in length")
    first = 0
    while first < len(starts) - 1:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _BLOCK, "right")) - 1)
        words = np.repeat(np.arange(first, last), np.diff(starts[first : last + 1]))
        yield words, counts[starts[first] : starts[last]], where[starts[first] : starts[last]]
        first = last
