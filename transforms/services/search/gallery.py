"""`gallery:` an image search over a local folder: the pictures that an encoder finds most like the one in question.

Without an encoder pictures are compared by the mean colours of a grid (`grid_table`), which was made for the flags of
the bundled world, and does not know a thing in another photograph.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from gog.schemas import FailureClass, Hit, canonical_json
from gog.transforms.image_store import ImageStore
from gog.transforms.images import ImageError, ImageLimits, load_image, sha256_hex
from gog.transforms.recent import Recent
from gog.transforms.services.encoders.encoder import Encoder
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import Opening, Provider, ProviderError
from gog.transforms.services.search.encoders_of import NamedEncoder, check_encoder, encoder_of
from gog.transforms.services.search.gallery_files import EMBEDDINGS, GalleryEntries, GalleryWriter, thumbnail_of
from gog.transforms.services.search.grid_table import EMBEDDER, GridTable, picture_views, table_of
from gog.transforms.services.search.index_folder import (
    MAX_ADDRESS,
    IndexFolderError,
    building,
    clean,
    opened,
    read_head,
)
from gog.transforms.services.search.index_place import head_of, index_of
from gog.transforms.services.search.kept_vectors import KeptVectors
from gog.transforms.services.search.stored_image import stored_image
from gog.transforms.services.search.vector_cells import (
    Cells,
    cells_in,
    check_rows,
    earlier_cells,
    open_vectors,
    write_cells,
)
from gog.transforms.services.search.vector_table import VectorBuilder

ENCODED: Final = 10_000
"""Vectors of pictures in question that are kept: rollouts of one question look at the same, and episodes again."""
_LIMITS: Final = ImageLimits(min_side=2)


class GalleryReport(NamedTuple):
    """What became of the pictures: how many are in the index, and why the others are not (url or number, reason)."""

    pictures: int
    skipped: tuple[tuple[str, str], ...]
    cells: Cells | None
    """Where they are searched in cells."""


def build_gallery(
    pictures: Iterable[tuple[str, str, str, bytes]],
    folder: Path,
    *,
    name: str | None = None,
    encoder: NamedEncoder | None = None,
    known: Path | None = None,
) -> GalleryReport:
    """Write an index of pictures (url, title, snippet, file) into a folder, replacing an earlier one.

    Unreadable pictures, and those without an address, are left out and reported. The name (the folder's, unless
    given) is part of the service's id. Vectors that the earlier index has, or the one in the folder `known`, are taken
    from there. Raises `ServiceError` where the encoder fails; what it has encoded is kept.
    """
    skipped: list[tuple[str, str]] = []
    with building(folder) as fresh:
        table = _Encoded(encoder, folder, fresh, known or folder) if encoder else _Grids(fresh)
        with GalleryWriter(fresh, table.embedder) as writer, closing(table):
            for address, title, snippet, data, image in _readable(pictures, skipped):
                sha256, thumbnail = sha256_hex(data), thumbnail_of(image)
                table.add(image, bytes.fromhex(sha256))
                entry = {"url": address, "title": clean(title, 300), "snippet": clean(snippet, 1000)}
                hashes = {"sha256": sha256, "thumbnail_sha256": sha256_hex(thumbnail)}
                writer.add(f"{canonical_json({**entry, **hashes})}\n".encode(), thumbnail)
            head = {**table.finish(), "name": clean(name or folder.name, 80)}
            writer.finish(head)
    table.done()
    return GalleryReport(len(writer), tuple(skipped), cells_in(head))


def _readable(
    pictures: Iterable[tuple[str, str, str, bytes]], skipped: list[tuple[str, str]]
) -> Iterator[tuple[str, str, str, bytes, Image.Image]]:
    """Those that go in; the others, and why, into `skipped`."""
    for number, (url, title, snippet, data) in enumerate(pictures):
        address = clean(url, MAX_ADDRESS)
        try:
            image = load_image(data, _LIMITS).image
        except ImageError as error:
            skipped.append((address or f"picture {number}", str(error)))
            continue
        if address:
            yield address, title, snippet, data, image
        else:
            skipped.append((f"picture {number}", "no address"))


class _Grids:
    """Embeddings of pictures without an encoder."""

    embedder = EMBEDDER

    def __init__(self, fresh: Path) -> None:
        self._file = fresh / EMBEDDINGS
        self._views: list[NDArray[np.float32]] = []

    def add(self, image: Image.Image, key: bytes) -> None:
        self._views.append(picture_views(image, len(self._views)))

    def finish(self) -> dict[str, Any]:
        table, views = table_of(self._views)
        np.save(self._file, table)
        return {"views": views}

    def close(self) -> None: ...

    def done(self) -> None: ...


class _Encoded:
    """Embeddings of pictures by an encoder."""

    def __init__(self, encoder: NamedEncoder, folder: Path, fresh: Path, known: Path) -> None:
        self._named, self._known, self._file = encoder, known, fresh / EMBEDDINGS
        self.embedder = encoder.encoder.id
        self._kept = KeptVectors(folder, self.embedder)
        self._kept.take(*_earlier(known, self.embedder))
        self._builder = VectorBuilder[Image.Image](self._file, self._kept, encoder.encoder.pictures, check_rows)

    def add(self, image: Image.Image, key: bytes) -> None:
        self._builder.add(key, image, image.width * image.height)

    def finish(self) -> dict[str, Any]:
        origin = self._builder.finish()
        cells = write_cells(self._file, earlier_cells(self._known, "gallery", origin))
        return {"views": 1, **self._named.head(), **cells}

    def close(self) -> None:
        self._builder.close()

    def done(self) -> None:
        self._kept.drop()


def _earlier(folder: Path, embedder: str) -> tuple[list[bytes], NDArray[np.float32]]:
    """Hashes of the pictures of an earlier index, and their embeddings, if the same encoder made them."""
    try:
        if read_head(folder, "gallery").get("embedder") == embedder:
            rows = np.load(folder / EMBEDDINGS, mmap_mode="r", allow_pickle=False)
            with (folder / "meta.jsonl").open("rb") as lines:
                keys = [bytes.fromhex(json.loads(line)["sha256"]) for line in lines]
            if len(keys) == len(rows):
                return keys, rows
    except (IndexFolderError, OSError, ValueError, KeyError, TypeError):
        pass  # what is damaged is built anew
    return [], np.zeros((0, 1), np.float32)


def _encoder_of(folder: Path, head: dict[str, Any], calls: bool) -> Encoder | None:
    if "encoder" not in head and head.get("embedder") != EMBEDDER:
        raise IndexFolderError(
            f"{folder} was made with the embedder {head.get('embedder')!r}, this is {EMBEDDER!r}: build it anew"
        )
    return encoder_of(folder, head, calls=calls)


class Gallery:
    """Image search over one folder; fills `ImageSearch`."""

    def __init__(self, folder: Path, images: ImageStore, head: dict[str, Any], encoder: Encoder | None) -> None:
        """Use `Gallery.open`."""
        self._images, self._encoder = images, encoder
        self._name, self._version = str(head["name"]), str(head["version"])
        self._entries = GalleryEntries(folder, images)
        table = np.load(folder / EMBEDDINGS, mmap_mode="r", allow_pickle=False)
        views = int(head["views"])
        if len(table) != len(self._entries) * views:
            raise ValueError(f"{table.shape} embeddings for {len(self._entries)} pictures")
        by_grid = not head.get("encoder")
        asked = head if encoder else {}
        self._table = GridTable(table, views) if by_grid else open_vectors(folder / EMBEDDINGS, asked)
        self._encoded = Recent[str, NDArray[np.float32]](ENCODED)

    @classmethod
    def open(cls, folder: Path, images: ImageStore, *, calls: bool = True) -> Self:
        """The index in a folder, with its encoder if it will be asked (`calls`); thumbnails of hits go to `images`.

        Raises `IndexFolderError`, and `ProviderError` where the encoder is not to be had.
        """
        return opened(folder, "gallery", lambda head: cls(folder, images, head, _encoder_of(folder, head, calls)))

    @property
    def id(self) -> str:
        """`gallery:NAME@VERSION`; the version is a hash of the pictures, their texts and the encoder."""
        return f"gallery:{self._name}@{self._version}"

    @property
    def words(self) -> "PicturesOfWords | None":
        """What finds pictures by words: there where the encoder has a tower of texts, too, or nobody will be asked."""
        reads = not self.by_grid and (self._encoder is None or self._encoder.reads)
        return PicturesOfWords(self) if reads else None

    @property
    def by_grid(self) -> bool:
        """Whether pictures are compared without an encoder."""
        return isinstance(self._table, GridTable)

    def __len__(self) -> int:
        """Pictures in the index."""
        return len(self._entries)

    async def search(self, image_sha256: str, top_k: int) -> tuple[Hit, ...]:
        """The pictures most like a stored image, best first; of equal ones the earlier in the index.

        Raises `ServiceError`: `not_found` when the image is not stored, `bad_request` when it cannot be read, and as
        the encoder does.
        """
        if top_k < 1 or not len(self):
            return ()
        return await asyncio.to_thread(self._hits, await self._question(image_sha256), top_k)

    async def of_words(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """The pictures that fit a text best. Raises `ServiceError`."""
        if top_k < 1 or not len(self) or not query.strip():
            return ()
        if self._encoder is None or isinstance(self._table, GridTable):
            raise ServiceError(FailureClass.SETUP, f"{self.id} was opened for a replay, without its encoder")
        (vector,) = await self._encoder.texts([clean(query, 4000)], asks=True)
        return await asyncio.to_thread(self._hits, vector, top_k)

    async def _question(self, sha256: str) -> Image.Image | NDArray[np.float32]:
        """What the table is asked with for a stored image, which is encoded once."""
        vector = self._encoded.get(sha256)
        if vector is not None:
            return vector
        image = await asyncio.to_thread(stored_image, self._images, sha256)
        if isinstance(self._table, GridTable):
            return image
        if self._encoder is None:
            raise ServiceError(FailureClass.SETUP, f"{self.id} was opened for a replay, without its encoder")
        (vector,) = await self._encoder.pictures([image])
        return self._encoded.put(sha256, np.asarray(vector))

    def _hits(self, question: Any, top_k: int) -> tuple[Hit, ...]:
        ranked = self._table.nearest(question, top_k)
        try:
            return tuple(self._entries.hit(rank, index, score) for rank, (index, score) in enumerate(ranked, 1))
        except (OSError, ValueError, ValidationError) as error:
            raise ServiceError(FailureClass.SERVER, f"the index {self.id} is damaged: {error}") from error


def _fits(opening: Opening) -> bool:
    check_encoder(head_of(opening, "gallery"), opening)
    return True


class PicturesOfWords:
    """A gallery that is asked by words; fills `TextSearch`."""

    def __init__(self, gallery: Gallery) -> None:
        """`gallery` has an encoder of both."""
        self._gallery = gallery
        self.id = gallery.id

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """The pictures that fit best. Raises `ServiceError`."""
        return await self._gallery.of_words(query, top_k)


def _by_words(opening: Opening) -> PicturesOfWords:
    words = Gallery.open(index_of(opening, "gallery"), opening.images, calls=opening.calls).words
    if words is None:
        raise ProviderError(f"{opening.address}: words find no pictures there: its encoder reads no texts")
    return words


TEXT_SEARCH = Provider(
    name="gallery",
    rest="path",
    example="gallery:index",
    embedded=True,
    fits=_fits,
    open=_by_words,
)
IMAGE_SEARCH = Provider(
    name="gallery",
    rest="path",
    example="gallery:atlas",
    embedded=True,
    fits=_fits,
    open=lambda opening: Gallery.open(index_of(opening, "gallery"), opening.images, calls=opening.calls),
)
