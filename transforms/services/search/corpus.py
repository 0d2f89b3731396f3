"""`corpus:` a text search over local pages: by the words of their passages (`word_table`), and with an encoder also by
what they mean; the two rankings are fused.

Folder: `index.json`; the files of `word_table`; `passages.jsonl`, `rows.npy` (offset and length in it),
`page_sizes.npy` (passages of each page); with an encoder those of `passage_vectors`.
"""

import asyncio
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from gog.schemas import FailureClass, Hit, canonical_json
from gog.transforms.image_store import ImageStore
from gog.transforms.services.encoders.encoder import Encoder
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import Opening, Provider, ProviderError
from gog.transforms.services.search.begun import Begun
from gog.transforms.services.search.counted_blocks import COUNTS, GROWING, LINES, PAGES, SIZES, counted_blocks
from gog.transforms.services.search.encoders_of import NamedEncoder, check_encoder, encoder_of
from gog.transforms.services.search.excerpts import excerpt, sentences
from gog.transforms.services.search.fusion import DAMPING, fuse
from gog.transforms.services.search.index_folder import (
    HeldFile,
    IndexFolderError,
    building,
    clean,
    opened,
    write_head,
)
from gog.transforms.services.search.index_place import head_of, index_of
from gog.transforms.services.search.passage_blocks import TITLE_WEIGHT, Page, to_encode
from gog.transforms.services.search.passage_vectors import PassageVectors, PassageVectorWriter
from gog.transforms.services.search.ranking import best
from gog.transforms.services.search.stored_image import stored_image
from gog.transforms.services.search.vector_cells import Cells, cells_in
from gog.transforms.services.search.word_table import WordTable
from gog.transforms.services.search.word_writer import WordWriter

SNIPPET: Final = 320
DEPTH: Final = 200
"""Passages of each ranking that are fused."""
FORMAT: Final = f"bm25v2t{TITLE_WEIGHT}"


class CorpusReport(NamedTuple):
    """What became of the pages: how many are in the index, their passages, and why others are not (url, reason)."""

    pages: int
    passages: int
    skipped: tuple[tuple[str, str], ...]
    cells: Cells | None
    """Where passages are searched in cells."""


def build_corpus(
    articles: Iterable[Page],
    folder: Path,
    *,
    name: str | None = None,
    encoder: NamedEncoder | None = None,
    known: Path | None = None,
) -> CorpusReport:
    """Write an index of pages (url, title, text) into a folder, replacing an earlier one.

    Pages without an address or a word are left out and reported; text after the first million characters is not
    read. What is done when a build is ended stays beside the folder, and the next goes on with it: the index has the
    same bytes. Words are counted by all processes of `gog.transforms.cores`. Vectors that the earlier index has, or the
    one in the folder `known`, are taken from there. Raises `ServiceError` where the encoder fails.
    """
    skipped: list[tuple[str, str]] = []
    digest, paired = hashlib.sha256(FORMAT.encode()), False
    sizes, pages = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    with building(folder) as fresh, closing(Begun(folder, f"{FORMAT} {encoder is not None}", GROWING)) as begun:
        vectors = PassageVectorWriter(encoder, folder, fresh, known or folder) if encoder else None
        writer = WordWriter()
        for block, done in counted_blocks(articles, begun, writer, encoded=encoder is not None):
            digest.update(done.pieces[LINES])
            sizes.append(np.frombuffer(done.pieces[SIZES], np.int32))
            pages.append(np.frombuffer(done.pieces[PAGES], np.int32))
            skipped += [(where, why) for where, why in done.said["skipped"]]
            paired = paired or done.said["paired"]
            if vectors:
                for address, text in to_encode(block):
                    vectors.add(address, text)
        shutil.copyfile(begun.folder / LINES, fresh / LINES)
        writer.finish(begun.folder / COUNTS, fresh)
        told = vectors.finish() if vectors else {}
        head = finish_corpus(fresh, clean(name or folder.name, 80), digest, sizes, pages, paired=paired, vectors=told)
    begun.drop()
    if vectors:
        vectors.done()
    return CorpusReport(head["pages"], head["passages"], tuple(skipped), cells_in(head))


def finish_corpus(
    folder: Path,
    name: str,
    digest: "hashlib._Hash",
    sizes: Sequence[NDArray[np.int32]],
    pages: Sequence[NDArray[np.int32]],
    *,
    paired: bool,
    vectors: dict[str, Any],
) -> dict[str, Any]:
    """Write where the lines of passages are, of these sizes, how many a page has, and the head, last of all files.

    `digest` is of the format and all lines; `paired` is whether a passage has letters that are taken in pairs;
    `vectors` is what the head says of them. Returns the head.
    """
    lengths, of_pages = np.concatenate(sizes).astype(np.int64), np.concatenate(pages)
    np.save(folder / "rows.npy", np.stack([np.cumsum(lengths) - lengths, lengths], axis=1))
    np.save(folder / "page_sizes.npy", of_pages)
    if paired:
        digest.update(b"pairs of letters")
    if vectors:
        digest.update(vectors["embedder"].encode())
    if cells := vectors.get("approximate"):
        digest.update(canonical_json(cells).encode())
    head = {"format": FORMAT, "name": name, "pages": len(of_pages), "passages": len(lengths)}
    head |= {"paired": True} if paired else {}
    head |= {**vectors, "version": digest.hexdigest()[:12]}
    write_head(folder, "corpus", head)
    return head


def _encoder_of(folder: Path, head: dict[str, Any], calls: bool) -> Encoder | None:
    if head.get("format") != FORMAT:
        raise IndexFolderError(f"{folder} has the format {head.get('format')!r}, not {FORMAT!r}: build it anew")
    return encoder_of(folder, head, calls=calls)


class Corpus:
    """Text search over one folder; fills `TextSearch`."""

    def __init__(self, folder: Path, head: dict[str, Any], encoder: Encoder | None) -> None:
        """Use `Corpus.open`."""
        self._name, self._version = str(head["name"]), str(head["version"])
        self._rows: NDArray[np.int64] = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
        self._passages = HeldFile(folder / "passages.jsonl")
        if len(self._rows) != head["passages"]:
            raise ValueError(f"{len(self._rows)} passages instead of {head['passages']}")
        self._words = WordTable(folder, len(self._rows))
        self._encoder = encoder
        asked = head if encoder else {}
        self._vectors = PassageVectors(folder, len(self._rows), asked) if "encoder" in head else None

    @classmethod
    def open(cls, folder: Path, *, calls: bool = True) -> Self:
        """The index in a folder, with its encoder if it will be asked (`calls`).

        Raises `IndexFolderError`, and `ProviderError` where the encoder is not to be had.
        """
        return opened(folder, "corpus", lambda head: cls(folder, head, _encoder_of(folder, head, calls)))

    @property
    def id(self) -> str:
        """`corpus:NAME@VERSION`; the version is a hash of the passages, with an encoder of that and the fusion too."""
        fused = f"-{DAMPING}" if self._vectors else ""
        return f"corpus:{self._name}@{self._version}{fused}"

    def __len__(self) -> int:
        """Passages in the index."""
        return len(self._rows)

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """The best passage of each of the best pages, as a snippet: what stands around the sentence that fits best.

        A score is that of the passage's words, or with an encoder of the ranks alone: 1 where a page is first by its
        words and by what it means. A query without words, or without an encoder with none that a page has, finds
        nothing. Raises `ServiceError`: `server` when the index is damaged, and as the encoder does.
        """
        weights = self._words.weights(query)
        if not weights or top_k < 1 or not len(self):
            return ()
        scores = self._words.scores(weights)
        meant = await self._meant(query, self._vectors) if self._vectors else []
        with self._reading():
            if self._vectors is None:
                ranked = self._by_words(scores, top_k)
            else:
                worded = [at for at, score in best(scores, DEPTH) if score > 0]
                found = fuse([worded, meant], self._vectors.pages)
                ranked = [(one.passage, one.score) for one in found[:top_k]]
            return tuple(self._hit(rank, at, score, weights) for rank, (at, score) in enumerate(ranked, 1))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, KeyError, ValidationError) as error:
            raise ServiceError(FailureClass.SERVER, f"the index {self.id} is damaged: {error}") from error

    @property
    def sees(self) -> bool:
        """Whether pictures find pages: the encoder has a tower of pictures, too."""
        return self._encoder is not None and self._encoder.sees

    @property
    def encoded(self) -> bool:
        """Whether an encoder read it."""
        return self._vectors is not None

    async def of_picture(self, image: Image.Image, top_k: int) -> tuple[Hit, ...]:
        """The best passage of each of the pages that fit an RGB picture best. Raises `ServiceError`."""
        if top_k < 1 or not len(self):
            return ()
        if self._encoder is None or self._vectors is None:
            raise ServiceError(FailureClass.SETUP, f"{self.id} was opened for a replay, without its encoder")
        (vector,) = await self._encoder.pictures([image])
        chosen: dict[int, tuple[int, float]] = {}
        for at, score in await asyncio.to_thread(self._vectors.table.nearest, vector, DEPTH):
            chosen.setdefault(int(self._vectors.pages[at]), (at, score))
        with self._reading():
            found = list(chosen.values())[:top_k]
            return tuple(self._hit(rank, at, score, {}) for rank, (at, score) in enumerate(found, 1))

    async def _meant(self, query: str, vectors: PassageVectors) -> list[int]:
        """Passages that mean what a query does, best first."""
        if self._encoder is None:
            raise ServiceError(FailureClass.SETUP, f"{self.id} was opened for a replay, without its encoder")
        (vector,) = await self._encoder.texts([clean(query, 4000)], asks=True)
        return [at for at, _ in await asyncio.to_thread(vectors.table.nearest, vector, DEPTH)]

    def _by_words(self, scores: NDArray[np.float64], top_k: int) -> list[tuple[int, float]]:
        """The best passage of each of the best pages, with its score."""
        chosen: dict[str, tuple[int, float]] = {}
        seen, depth = 0, 4 * top_k
        while len(chosen) < top_k and seen < len(scores):
            ranked = [(index, score) for index, score in best(scores, depth) if score > 0]
            for index, score in ranked[seen:]:
                if len(chosen) < top_k:
                    chosen.setdefault(self._entry(index)["url"], (index, min(1.0, score)))
            if len(ranked) < depth:
                break
            seen, depth = depth, 8 * depth
        return list(chosen.values())

    def _hit(self, rank: int, index: int, score: float, weights: dict[str, float]) -> Hit:
        """A passage as a hit; its snippet goes on into the passages beside it, where there is room."""
        entry = self._entry(index)
        own, beside = (
            sentences(entry["text"]),
            self._vectors.beside(index) if self._vectors else range(index, index + 1),
        )
        before = [line for at in range(beside.start, index) for line in sentences(self._entry(at)["text"])]
        after = [line for at in range(index + 1, beside.stop) for line in sentences(self._entry(at)["text"])]
        among = range(len(before), len(before) + len(own))
        return Hit(
            rank=rank,
            title=entry["title"],
            url=entry["url"],
            snippet=excerpt([*before, *own, *after], weights, SNIPPET, among=among),
            score=score,
        )

    def _entry(self, index: int) -> dict[str, str]:
        start, length = (int(v) for v in self._rows[index, :2])
        entry: dict[str, str] = json.loads(self._passages.read(start, length))
        return entry


def _fits(opening: Opening) -> bool:
    check_encoder(head_of(opening, "corpus"), opening)
    return True


class PagesOfPicture:
    """A corpus that is asked with pictures; fills `ImageSearch`."""

    def __init__(self, corpus: Corpus, images: ImageStore) -> None:
        """`corpus` has an encoder of both; pictures are in `images`."""
        self._corpus, self._images = corpus, images
        self.id = corpus.id

    async def search(self, image_sha256: str, top_k: int) -> tuple[Hit, ...]:
        """The pages that fit a stored image best. Raises `ServiceError`."""
        image = await asyncio.to_thread(stored_image, self._images, image_sha256)
        return await self._corpus.of_picture(image, top_k)


def _by_picture(opening: Opening) -> PagesOfPicture:
    corpus = Corpus.open(index_of(opening, "corpus"), calls=opening.calls)
    if not corpus.encoded or (opening.calls and not corpus.sees):
        raise ProviderError(f"{opening.address}: pictures find no pages there: no encoder of it sees pictures")
    return PagesOfPicture(corpus, opening.images)


IMAGE_SEARCH = Provider(
    name="corpus",
    rest="path",
    example="corpus:index",
    embedded=True,
    fits=_fits,
    open=_by_picture,
)
TEXT_SEARCH = Provider(
    name="corpus",
    rest="path",
    example="corpus:atlas",
    embedded=True,
    fits=_fits,
    open=lambda opening: Corpus.open(index_of(opening, "corpus"), calls=opening.calls),
)
