"""Files of a gallery's folder: `index.json`, `embeddings.npy`, `meta.jsonl`, `rows.npy` (offset and length in
`meta.jsonl` and in `thumbnails.bin`), `thumbnails.bin` (JPEGs).
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gog.schemas import Hit, canonical_json
from gog.transforms.image_store import ImageStore
from gog.transforms.images import jpeg, sha256_hex
from gog.transforms.services.search.index_folder import HeldFile, write_head
from gog.transforms.services.search.index_parts import Staying, copy_spans

THUMBNAIL: Final = 224
"""Pixels of its longer side."""
EMBEDDINGS: Final = "embeddings.npy"


class GalleryWriter:
    """Writes an index's files into a folder: entries and thumbnails while it is open, and then `finish`."""

    def __init__(self, folder: Path, embedder: str) -> None:
        """`embedder` names what makes the embeddings."""
        self._folder, self._embedder, self._digest = folder, embedder, hashlib.sha256(embedder.encode())
        self._meta, self._thumbs = (folder / "meta.jsonl").open("wb"), (folder / "thumbnails.bin").open("wb")
        self._rows: list[list[int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._meta.close()
        self._thumbs.close()

    def __len__(self) -> int:
        """Pictures so far."""
        return len(self._rows)

    def add(self, line: bytes, thumbnail: bytes) -> None:
        """The next picture: its line of `meta.jsonl`, and its thumbnail's file."""
        self._rows.append([self._meta.tell(), len(line), self._thumbs.tell(), len(thumbnail)])
        self._meta.write(line)
        self._thumbs.write(thumbnail)
        self._digest.update(line)

    def copy(self, part: Staying) -> None:
        """The pictures that stay of another index. Raises `ValueError` where it is damaged."""
        rows = part.load("rows")[part.stays]
        lengths, moved = rows[:, [1, 3]], rows.copy()
        moved[:, [0, 2]] = np.cumsum(lengths, axis=0) - lengths + [self._meta.tell(), self._thumbs.tell()]
        self._rows += moved.tolist()
        copy_spans(part.folder / "meta.jsonl", rows[:, 0], rows[:, 1], self._line)
        copy_spans(part.folder / "thumbnails.bin", rows[:, 2], rows[:, 3], self._thumbs.write)

    def _line(self, data: bytes) -> None:
        self._meta.write(data)
        self._digest.update(data)

    def finish(self, head: dict[str, Any]) -> None:
        """Write where each picture's bytes are, and the head, last of all files: `name`, `views` (rows of the
        embeddings a picture), and whatever else whoever reads them wants to know.
        """
        if cells := head.get("approximate"):
            self._digest.update(canonical_json(cells).encode())
        np.save(self._folder / "rows.npy", np.array(self._rows, np.int64).reshape(-1, 4))
        known = {"embedder": self._embedder, "pictures": len(self._rows), "version": self._digest.hexdigest()[:12]}
        write_head(self._folder, "gallery", {**head, **known})


class GalleryEntries:
    """What is told of each picture."""

    def __init__(self, folder: Path, images: ImageStore) -> None:
        """Thumbnails of hits go to `images`."""
        self._images = images
        self._rows: NDArray[np.int64] = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
        self._meta, self._thumbs = HeldFile(folder / "meta.jsonl"), HeldFile(folder / "thumbnails.bin")

    def __len__(self) -> int:
        """Pictures."""
        return len(self._rows)

    def hit(self, rank: int, index: int, score: float) -> Hit:
        """The picture of a number, as a hit. Raises `OSError`, `ValueError`, `ValidationError` where it is damaged."""
        start, length, thumb_start, thumb_length = (int(v) for v in self._rows[index])
        entry = json.loads(self._meta.read(start, length))
        sha256 = entry["thumbnail_sha256"]
        if not self._images.has(sha256):
            thumbnail = self._thumbs.read(thumb_start, thumb_length)
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


def thumbnail_of(image: Image.Image) -> bytes:
    """The file of a small copy."""
    small = image.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return jpeg(small, 85, subsampling=-1)
