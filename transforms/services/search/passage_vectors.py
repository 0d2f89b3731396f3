"""Vectors of a corpus' passages.

Files: `embeddings.npy`, `keys.bin` (the hash of what was encoded, a passage) and `pages.npy` (the number of its page).
"""

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gog.transforms.services.encoders.encoder import Vectors
from gog.transforms.services.search.encoders_of import NamedEncoder
from gog.transforms.services.search.index_folder import IndexFolderError, read_head
from gog.transforms.services.search.kept_vectors import KeptVectors
from gog.transforms.services.search.vector_table import VectorBuilder, VectorTable

_KEY: Final = 32
"""Bytes of a hash."""


class PassageVectorWriter:
    """Encodes passages as they come, and writes the files."""

    def __init__(self, named: NamedEncoder, folder: Path, fresh: Path) -> None:
        """Into `fresh`, which will stand in the place of `folder`."""
        self.embedder = named.encoder.id
        self._named, self._fresh, self._raw = named, fresh, fresh / "embedding"
        self._kept = KeptVectors(folder, self.embedder)
        self._kept.take(*_earlier(folder, self.embedder))
        self._builder = VectorBuilder[str](self._raw, self._kept, self._encode)
        self._keys = (fresh / "keys.bin").open("wb")
        self._pages: list[int] = []
        self._numbers: dict[str, int] = {}

    async def _encode(self, texts: list[str]) -> Vectors:
        # By length: a batch is as long as its longest text.
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        found = await self._named.encoder.texts([texts[at] for at in order], asks=False)
        rows = np.empty_like(found)
        rows[order] = found
        return rows

    def add(self, address: str, text: str) -> None:
        """The next passage: its page's address, and what is read of it. Raises `ServiceError`."""
        key = hashlib.sha256(text.encode()).digest()
        self._keys.write(key)
        self._builder.add(key, text)
        self._pages.append(self._numbers.setdefault(address, len(self._numbers)))

    def finish(self) -> dict[str, Any]:
        """Write the files; returns what the head says of them. Raises `ServiceError`."""
        np.save(self._fresh / "embeddings.npy", self._builder.finish())
        np.save(self._fresh / "pages.npy", np.array(self._pages, np.int64))
        self._keys.close()
        self._raw.unlink(missing_ok=True)
        return {"embedder": self.embedder, **self._named.head()}

    def done(self) -> None:
        """The index is in its place."""
        self._kept.drop()


class PassageVectors:
    """The files of a folder, opened."""

    def __init__(self, folder: Path, passages: int) -> None:
        """Of so many passages. Raises `OSError` and `ValueError` where they are damaged."""
        rows = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
        self.pages: NDArray[np.int64] = np.load(folder / "pages.npy", allow_pickle=False)
        if not len(rows) == len(self.pages) == passages:
            raise ValueError(f"{len(rows)} vectors for {passages} passages")
        self.table = VectorTable(rows)

    def beside(self, passage: int) -> range:
        """The passage, with the one before and the one after it that are of the same page."""
        near = range(max(0, passage - 1), min(len(self.pages), passage + 2))
        same = [at for at in near if self.pages[at] == self.pages[passage]]
        return range(same[0], same[-1] + 1)


def _earlier(folder: Path, embedder: str) -> tuple[list[bytes], Vectors]:
    """Hashes and vectors of an earlier index's passages, if the same encoder made them."""
    try:
        if read_head(folder, "corpus").get("embedder") == embedder:
            rows: Vectors = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
            keys = (folder / "keys.bin").read_bytes()
            if len(keys) == _KEY * len(rows):
                return [keys[at : at + _KEY] for at in range(0, len(keys), _KEY)], rows
    except (IndexFolderError, OSError, ValueError):
        pass  # what is damaged is built anew
    return [], np.zeros((0, 1), np.float32)
