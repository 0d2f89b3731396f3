"""`corpus:` a text search over local pages: BM25 over their passages, memory-mapped.

bm25s (of the `pipelines` extra) makes an index; searching one takes numpy alone.

A score is the passage's BM25 score (Lucene's variant, which never exceeds the sum of the query words' weights)
divided by that sum: 0 when no word of the query is in the passage, towards 1 when all are, often. A word that no
passage has weighs as one that a single passage has would, so strange queries score low.

Folder: `index.json`; `weights.npy`, `passages.npy`, `starts.npy` (the score of each word in each passage that has it,
by word) and `words.json` (the number of each word); `passages.jsonl`, `rows.npy` (offset and length in it).
"""

import hashlib
import json
import logging
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from gog.schemas import FailureClass, Hit, canonical_json
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import Provider
from gog.transforms.services.search.excerpts import excerpt, passages, query_words, sentences, words
from gog.transforms.services.search.index_folder import (
    IndexFolderError,
    building,
    clean,
    has_index,
    index_of,
    read_head,
    write_head,
)

PASSAGE: Final = 1500
"""Characters of a passage, about; a longer paragraph is cut between sentences."""
SNIPPET: Final = 320
TITLE_WEIGHT: Final = 4
"""A word of the title counts as often."""
MAX_PAGE: Final = 1_000_000
FORMAT: Final = f"bm25v2t{TITLE_WEIGHT}"


class CorpusReport(NamedTuple):
    """What became of the pages: how many are in the index, their passages, and why others are not (url, reason)."""

    pages: int
    passages: int
    skipped: tuple[tuple[str, str], ...]


def build_corpus(articles: Iterable[tuple[str, str, str]], folder: Path, *, name: str | None = None) -> CorpusReport:
    """Write an index of pages (url, title, text) into a folder, replacing an earlier one.

    Pages without an address or a word are left out and reported; text after the first million characters is not
    read.
    """
    skipped: list[tuple[str, str]] = []
    tokens: list[list[str]] = []
    rows: list[tuple[int, int]] = []
    digest, at, pages = hashlib.sha256(FORMAT.encode()), 0, 0
    with building(folder) as fresh:
        with (fresh / "passages.jsonl").open("wb") as handle:
            for number, (url, title, text) in enumerate(articles):
                address, heading = clean(url, 2000), clean(title, 300)
                body = text[:MAX_PAGE].encode("utf-8", "replace").decode("utf-8")
                reason = "no address" if not address else "no words" if not words(f"{heading} {body}") else ""
                if reason:
                    skipped.append((address or f"page {number}", reason))
                    continue
                pages += 1
                for passage in passages(body, PASSAGE) if words(body) else [heading]:
                    entry = {"url": address, "title": heading, "text": passage}
                    line = f"{canonical_json(entry)}\n".encode()
                    handle.write(line)
                    digest.update(line)
                    rows.append((at, len(line)))
                    at += len(line)
                    tokens.append(words(heading) * TITLE_WEIGHT + words(passage))
        np.save(fresh / "rows.npy", np.array(rows, np.int64).reshape(-1, 2))
        _index(tokens, fresh)
        head = {"format": FORMAT, "name": clean(name or folder.name, 80), "pages": pages, "passages": len(rows)}
        write_head(fresh, "corpus", {**head, "version": digest.hexdigest()[:12]})
    return CorpusReport(pages, len(rows), tuple(skipped))


def _index(tokens: list[list[str]], folder: Path) -> None:
    """Score the words of the passages, and write the arrays."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to DEBUG
    index = bm25s.BM25(method="lucene", backend="numpy", csc_backend="numpy", auto_compile=False)
    if tokens:
        index.index(tokens, show_progress=False)
        scores, vocabulary = index.scores, index.vocab_dict
    else:
        scores, vocabulary = {"data": [], "indices": [], "indptr": [0]}, {}
    np.save(folder / "weights.npy", np.asarray(scores["data"], np.float32))
    np.save(folder / "passages.npy", np.asarray(scores["indices"], np.int32))
    np.save(folder / "starts.npy", np.asarray(scores["indptr"], np.int64))
    numbers = {word: int(number) for word, number in vocabulary.items() if word}
    (folder / "words.json").write_text(canonical_json(numbers), "utf-8")


class Corpus:
    """Text search over one folder; fills `TextSearch`."""

    def __init__(self, folder: Path, head: dict[str, Any]) -> None:
        """Use `Corpus.open`."""
        self._name, self._version = str(head["name"]), str(head["version"])
        self._rows: NDArray[np.int64] = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
        self._passages = folder / "passages.jsonl"
        self._weights: NDArray[np.float32] = np.load(folder / "weights.npy", mmap_mode="r", allow_pickle=False)
        self._where: NDArray[np.int32] = np.load(folder / "passages.npy", mmap_mode="r", allow_pickle=False)
        self._starts: NDArray[np.int64] = np.load(folder / "starts.npy", mmap_mode="r", allow_pickle=False)
        self._vocabulary: dict[str, int] = json.loads((folder / "words.json").read_text("utf-8"))
        if len(self._rows) != head["passages"]:
            raise ValueError(f"{len(self._rows)} passages instead of {head['passages']}")
        if not len(self._weights) == len(self._where) == self._starts[-1]:
            raise ValueError("its arrays differ in length")

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The index in a folder. Raises `IndexFolderError`."""
        head = read_head(folder, "corpus")
        if head.get("format") != FORMAT:
            raise IndexFolderError(f"{folder} has the format {head.get('format')!r}, not {FORMAT!r}: build it anew")
        try:
            return cls(folder, head)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IndexFolderError(f"{folder} is damaged ({error}); build it anew") from error

    @property
    def id(self) -> str:
        """`corpus:NAME@VERSION`; the version is a hash of the passages."""
        return f"corpus:{self._name}@{self._version}"

    def __len__(self) -> int:
        """Passages in the index."""
        return len(self._rows)

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """The best passage of each of the best pages, as a snippet: what stands around the sentence that fits best.

        A query without words, or with none that a page has, finds nothing. Raises `ServiceError` (`server`) when
        the index is damaged.
        """
        asked = query_words(query)
        known = [word for word in asked if word in self._vocabulary]
        if not known or top_k < 1:
            return ()
        weights = {word: self._weight(word) for word in asked}
        raw = np.zeros(len(self), np.float64)
        for word in known:
            found = self._found(self._vocabulary[word])
            raw[self._where[found]] += self._weights[found]
        scores = np.round(raw / sum(weights.values()), 4)
        try:
            return tuple(self._hits(scores, weights, top_k))
        except (OSError, ValueError, KeyError, ValidationError) as error:
            raise ServiceError(FailureClass.SERVER, f"the index {self.id} is damaged: {error}") from error

    def _weight(self, word: str) -> float:
        """Inverse document frequency, as Lucene has it."""
        number = self._vocabulary.get(word)
        count = 1
        if number is not None:
            found = self._found(number)
            count = found.stop - found.start
        return math.log(1 + (len(self) - count + 0.5) / (count + 0.5))

    def _found(self, word: int) -> slice:
        return slice(int(self._starts[word]), int(self._starts[word + 1]))

    def _hits(self, scores: NDArray[np.float64], weights: dict[str, float], top_k: int) -> Iterator[Hit]:
        found = np.flatnonzero(scores > 0)
        ranked = found[np.argsort(-scores[found], kind="stable")]
        seen: set[str] = set()
        with self._passages.open("rb") as handle:
            for index in ranked:
                start, length = (int(v) for v in self._rows[index])
                handle.seek(start)
                entry = json.loads(handle.read(length))
                if entry["url"] in seen:
                    continue
                seen.add(entry["url"])
                yield Hit(
                    rank=len(seen),
                    title=entry["title"],
                    url=entry["url"],
                    snippet=excerpt(sentences(entry["text"]), weights, SNIPPET),
                    score=min(1.0, float(scores[index])),
                )
                if len(seen) == top_k:
                    return


TEXT_SEARCH = Provider(
    name="corpus",
    rest="path",
    example="corpus:atlas",
    embedded=True,
    fits=lambda opening: has_index(opening, "corpus"),
    open=lambda opening: Corpus.open(index_of(opening, "corpus")),
)
