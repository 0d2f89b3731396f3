"""Vectors of a corpus' passages.

Files: `embeddings.npy` (with the cells of `vector_cells` where there are many), `keys.bin` (the hash of what was
encoded, a passage) and `pages.npy` (the number of its page).
"""

import hashlib
from array import array
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gog.transforms.services.encoders.encoder import Vectors
from gog.transforms.services.search.encoders_of import NamedEncoder
from gog.transforms.services.search.index_folder import IndexFolderError, read_head
from gog.transforms.services.search.kept_vectors import KeptVectors
from gog.transforms.services.search.vector_cells import check_rows, earlier_cells, open_vectors, write_cells
from gog.transforms.services.search.vector_table import VectorBuilder

_KEY: Final = 32
"""Bytes of a hash."""
_ROWS: Final = "embeddings.npy"


class PassageVectorWriter:
    """Encodes passages as they come, and writes the files."""

    def __init__(self, named: NamedEncoder, folder: Path, fresh: Path) -> None:
        """Into `fresh`, which will stand in the place of `folder`."""
        self.embedder = named.encoder.id
        self._named, self._folder, self._fresh = named, folder, fresh
        self._kept = KeptVectors(folder, self.embedder)
        self._kept.take(*_earlier(folder, self.embedder))
        self._builder = VectorBuilder[str](fresh / _ROWS, self._kept, self._encode, check_rows)
        self._keys = (fresh / "keys.bin").open("wb")
        self._pages = array("q")
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
        origin = self._builder.finish()
        np.save(self._fresh / "pages.npy", np.array(self._pages, np.int64))
        self._keys.close()
        cells = write_cells(self._fresh / _ROWS, earlier_cells(self._folder, "corpus", origin))
        return {"embedder": self.embedder, **self._named.head(), **cells}

    def done(self) -> None:
        """The index is in its place."""
        self._kept.drop()


class PassageVectors:
    """The files of a folder, opened."""

    def __init__(self, folder: Path, passages: int, head: dict[str, Any]) -> None:
        """Of so many passages. Raises `OSError` and `ValueError` where they are damaged, and as `open_vectors`."""
        rows = np.load(folder / _ROWS, mmap_mode="r", allow_pickle=False)
        self.pages: NDArray[np.int64] = np.load(folder / "pages.npy", allow_pickle=False)
        if not len(rows) == len(self.pages) == passages:
            raise ValueError(f"{len(rows)} vectors for {passages} passages")
        self.table = open_vectors(folder / _ROWS, head)

    def beside(self, passage: int) -> range:
        """The passage, with the one before and the one after it that are of the same page."""
        near = range(max(0, passage - 1), min(len(self.pages), passage + 2))
        same = [at for at in near if self.pages[at] == self.pages[passage]]
        return range(same[0], same[-1] + 1)


def _earlier(folder: Path, embedder: str) -> tuple[list[bytes], Vectors]:
    """Hashes and vectors of an earlier index's passages, if the same encoder made them."""
    try:
        if read_head(folder, "corpus").get("embedder") == embedder:
            rows: Vectors = np.load(folder / _ROWS, mmap_mode="r", allow_pickle=False)
            keys = (folder / "keys.bin").read_bytes()
            if len(keys) == _KEY * len(rows):
                return [keys[at : at + _KEY] for at in range(0, len(keys), _KEY)], rows
    except (IndexFolderError, OSError, ValueError):
        pass  # what is damaged is built anew
    return [], np.zeros((0, 1), np.float32)
