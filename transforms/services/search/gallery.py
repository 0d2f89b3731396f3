"""`gallery:` an image search over a local folder: exact search over the embeddings of its pictures.

A score is made of the distance d between grids (root mean square over the cells, in the unit of CIELAB's L):
`1 / (1 + (d / 14.3) ** 4)`. Measured on scenes of the bundled world (crops padded by a tenth on each side): of 600
crops around the right flag 98% score above 0.8; of 1,324 crops of the background, of decoys, of boxes with an IoU of
a third, and of whole scenes of small flags, 97% score below 0.6 (of the decoys 90%).

Folder: `index.json`, `embeddings.npy`, `meta.jsonl`, `rows.npy` (offset and length in `meta.jsonl` and in
`thumbnails.bin`), `thumbnails.bin` (JPEGs).
"""

import asyncio
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from gog.schemas import FailureClass, Hit, canonical_json
from gog.transforms.image_store import ImageStore
from gog.transforms.images import ImageError, ImageLimits, decode_image, jpeg, load_image, sha256_hex
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import Provider
from gog.transforms.services.search import grid
from gog.transforms.services.search.index_folder import (
    IndexFolderError,
    building,
    clean,
    has_index,
    index_of,
    read_head,
    write_head,
)

HALF_SCORE: Final = 14.3
"""Distance whose score is one half."""
MANY: Final = 4000
"""Above so many pictures, each is kept as one view instead of 25, so that 100,000 take 66 MB."""
IN_THREAD: Final = 20_000
"""From so many embeddings on, a search leaves the event loop: before, the hand-over costs more than it frees."""
THUMBNAIL: Final = 224
_LIMITS: Final = ImageLimits(min_side=2)
_WHOLE: Final = ((0.0, 0.0),)
_SETTINGS: Final = [grid.PICTURE_TRIMS, grid.QUERY_TRIMS, grid.CHROMA, HALF_SCORE, MANY, THUMBNAIL]
EMBEDDER: Final = f"{grid.NAME}-{hashlib.sha256(canonical_json(_SETTINGS).encode()).hexdigest()[:8]}"
"""Names everything that changes the hits for equal pictures."""


class GalleryReport(NamedTuple):
    """What became of the pictures: how many are in the index, and why the others are not (url or number, reason)."""

    pictures: int
    skipped: tuple[tuple[str, str], ...]


def build_gallery(
    pictures: Iterable[tuple[str, str, str, bytes]], folder: Path, *, name: str | None = None
) -> GalleryReport:
    """Write an index of pictures (url, title, snippet, file) into a folder, replacing an earlier one.

    Unreadable pictures, and those without an address, are left out and reported. The name (the folder's, unless
    given) is part of the service's id.
    """
    embeddings: list[grid.Floats] = []
    skipped: list[tuple[str, str]] = []
    with building(folder) as fresh:
        with GalleryWriter(fresh) as writer:
            for number, (url, title, snippet, data) in enumerate(pictures):
                address = clean(url, 2000)
                try:
                    image = load_image(data, _LIMITS).image
                except ImageError as error:
                    skipped.append((address or f"picture {number}", str(error)))
                    continue
                if not address:
                    skipped.append((f"picture {number}", "no address"))
                    continue
                embeddings.append(_picture_views(image, len(embeddings)))
                thumbnail = _thumbnail(image)
                entry = {"url": address, "title": clean(title, 300), "snippet": clean(snippet, 1000)}
                hashes = {"sha256": sha256_hex(data), "thumbnail_sha256": sha256_hex(thumbnail)}
                writer.add(f"{canonical_json({**entry, **hashes})}\n".encode(), thumbnail)
        count = len(embeddings)
        views = len(grid.PICTURE_TRIMS) ** 2 if 0 < count <= MANY else 1
        table = np.zeros((0, grid.DIMENSIONS + 2), np.float32)
        if count:
            table = np.concatenate([_with_norms(e[:views]) for e in embeddings])
        writer.finish(table, views, clean(name or folder.name, 80))
    return GalleryReport(count, tuple(skipped))


class GalleryWriter:
    """Writes an index's files into a folder: entries and thumbnails while it is open, and then `finish`."""

    def __init__(self, folder: Path, embedder: str = EMBEDDER) -> None:
        """`embedder` names what made the embeddings."""
        self._folder, self._embedder, self._digest = folder, embedder, hashlib.sha256(embedder.encode())
        self._meta, self._thumbs = (folder / "meta.jsonl").open("wb"), (folder / "thumbnails.bin").open("wb")
        self._rows: list[tuple[int, int, int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._meta.close()
        self._thumbs.close()

    def add(self, line: bytes, thumbnail: bytes) -> None:
        """The next picture: its line of `meta.jsonl`, and its thumbnail's file."""
        self._rows.append((self._meta.tell(), len(line), self._thumbs.tell(), len(thumbnail)))
        self._meta.write(line)
        self._thumbs.write(thumbnail)
        self._digest.update(line)

    def finish(self, table: grid.Floats, views: int, name: str) -> None:
        """Write the embeddings (pictures times `views` rows), where each picture's bytes are, and the head."""
        np.save(self._folder / "embeddings.npy", table)
        np.save(self._folder / "rows.npy", np.array(self._rows, np.int64).reshape(-1, 4))
        head = {"embedder": self._embedder, "name": name, "pictures": len(self._rows), "views": views}
        write_head(self._folder, "gallery", {**head, "version": self._digest.hexdigest()[:12]})


def _picture_views(image: Image.Image, number: int) -> grid.Floats:
    """All views, or the whole picture alone once there are too many pictures; the whole is always first."""
    return grid.views(image, grid.PICTURE_TRIMS if number < MANY else _WHOLE)


def _thumbnail(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return jpeg(small, 85, subsampling=-1)


def _with_norms(embeddings: grid.Floats) -> grid.Floats:
    """Columns e, |e|^2 and 1, so that one product with (-2 q, 1, |q|^2) gives squared distances."""
    norms = (embeddings * embeddings).sum(1, keepdims=True)
    return np.concatenate([embeddings, norms, np.ones_like(norms)], axis=1)


def score_of(distance: NDArray[np.float32]) -> NDArray[np.float64]:
    """Similarities, 0 to 1, of distances; four decimals, so that they do not depend on the order of sums."""
    return np.round(1 / (1 + (distance.astype(np.float64) / HALF_SCORE) ** 4), 4)


class Gallery:
    """Image search over one folder; fills `ImageSearch`."""

    def __init__(self, folder: Path, images: ImageStore, head: dict[str, Any]) -> None:
        """Use `Gallery.open`."""
        self._images = images
        self._name, self._version, self._views = str(head["name"]), str(head["version"]), int(head["views"])
        self._table: grid.Floats = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
        self._rows: NDArray[np.int64] = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
        self._meta, self._thumbs = folder / "meta.jsonl", folder / "thumbnails.bin"
        if self._table.shape != (len(self._rows) * self._views, grid.DIMENSIONS + 2):
            raise ValueError(f"{self._table.shape} embeddings for {len(self._rows)} pictures")

    @classmethod
    def open(cls, folder: Path, images: ImageStore) -> Self:
        """The index in a folder; thumbnails of hits go to `images`. Raises `IndexFolderError`."""
        head = read_head(folder, "gallery")
        if head.get("embedder") != EMBEDDER:
            raise IndexFolderError(
                f"{folder} was made with the embedder {head.get('embedder')!r}, this is {EMBEDDER!r}: build it anew"
            )
        try:
            return cls(folder, images, head)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IndexFolderError(f"{folder} is damaged ({error}); build it anew") from error

    @property
    def id(self) -> str:
        """`gallery:NAME@VERSION`; the version is a hash of the pictures, their texts and the embedder."""
        return f"gallery:{self._name}@{self._version}"

    def __len__(self) -> int:
        """Pictures in the index."""
        return len(self._rows)

    async def search(self, image_sha256: str, top_k: int) -> tuple[Hit, ...]:
        """The pictures most like a stored image, best first; of equal ones the earlier in the index.

        Raises `ServiceError`: `not_found` when the image is not stored, `bad_request` when it cannot be read.
        """
        if len(self._table) < IN_THREAD:
            return self._search(image_sha256, top_k)
        return await asyncio.to_thread(self._search, image_sha256, top_k)

    def _search(self, image_sha256: str, top_k: int) -> tuple[Hit, ...]:
        try:
            image = decode_image(self._images.read(image_sha256))
        except KeyError as error:
            raise ServiceError(FailureClass.NOT_FOUND, f"image {image_sha256} is not stored") from error
        except ImageError as error:
            raise ServiceError(FailureClass.BAD_REQUEST, str(error)) from error
        ranked = self.nearest(image, top_k)
        try:
            return tuple(self._hit(rank, index, score) for rank, (index, score) in enumerate(ranked, 1))
        except (OSError, ValueError, ValidationError) as error:
            raise ServiceError(FailureClass.SERVER, f"the index {self.id} is damaged: {error}") from error

    def nearest(self, image: Image.Image, top_k: int) -> list[tuple[int, float]]:
        """Numbers and scores of the pictures most like an RGB image, best first."""
        k = min(top_k, len(self))
        if k < 1:
            return []
        query = _with_norms(grid.views(image, grid.QUERY_TRIMS))
        query = np.concatenate([-2 * query[:, :-2], query[:, -1:], query[:, -2:-1]], axis=1)
        square = (self._table @ query.T).min(axis=1).reshape(-1, self._views).min(axis=1)
        scores = score_of(np.sqrt(np.maximum(square, 0)))
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        chosen = np.flatnonzero(scores >= least)
        best = chosen[np.argsort(-scores[chosen], kind="stable")][:k]
        return [(int(index), float(scores[index])) for index in best]

    def _hit(self, rank: int, index: int, score: float) -> Hit:
        start, length, thumb_start, thumb_length = (int(v) for v in self._rows[index])
        entry = json.loads(_read(self._meta, start, length))
        sha256 = entry["thumbnail_sha256"]
        if not self._images.has(sha256):
            thumbnail = _read(self._thumbs, thumb_start, thumb_length)
            if sha256_hex(thumbnail) != sha256:
                raise ValueError(f"thumbnail {index} differs from its hash")
            self._images.put(thumbnail, "jpg")
        return Hit(
            rank=rank,
            title=entry["title"],
            url=entry["url"],
            snippet=entry["snippet"],
            score=score,
            thumbnail_sha256=sha256,
        )


def _read(path: Path, start: int, length: int) -> bytes:
    with path.open("rb") as handle:
        handle.seek(start)
        return handle.read(length)


IMAGE_SEARCH = Provider(
    name="gallery",
    rest="path",
    example="gallery:atlas",
    embedded=True,
    fits=lambda opening: has_index(opening, "gallery"),
    open=lambda opening: Gallery.open(index_of(opening, "gallery"), opening.images),
)
