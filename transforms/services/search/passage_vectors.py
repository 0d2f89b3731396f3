"""Vectors of a corpus' passages.

Files: `embeddings.npy` (with the cells of `vector_cells` where there are many), `keys.bin` (the hash of what was
encoded, a passage) and `pages.npy` (the number of its page).
"""

import hashlib
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gog.transforms.services.encoders.encoder import Vectors
from gog.transforms.services.search.encoders_of import NamedEncoder
from gog.transforms.services.search.index_folder import IndexFolderError, read_head
from gog.transforms.services.search.index_parts import Staying
from gog.transforms.services.search.kept_vectors import KeptVectors
from gog.transforms.services.search.vector_cells import Earlier, check_rows, earlier_cells, open_vectors, write_cells
from gog.transforms.services.search.vector_table import VectorBuilder, write_rows

KEY: Final = 32
"""Bytes of a hash."""
ROWS: Final = "embeddings.npy"


class PassageVectorWriter:
    """Encodes passages as they come, and writes the files."""

    def __init__(self, named: NamedEncoder, folder: Path, fresh: Path, known: Path) -> None:
        """Into `fresh`, which will stand in the place of `folder`; vectors of the index in `known` are taken."""
        self.embedder = named.encoder.id
        self._named, self._known, self._fresh = named, known, fresh
        self._kept = KeptVectors(folder, self.embedder)
        self._kept.take(*_earlier(known, self.embedder))
        self._builder = VectorBuilder[str](fresh / ROWS, self._kept, self._encode, check_rows)
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
        cells = write_cells(self._fresh / ROWS, earlier_cells(self._known, "corpus", origin))
        return {"embedder": self.embedder, **self._named.head(), **cells}

    def done(self) -> None:
        """The index is in its place."""
        self._kept.drop()


class PassageVectors:
    """The files of a folder, opened."""

    def __init__(self, folder: Path, passages: int, head: dict[str, Any]) -> None:
        """Of so many passages. Raises `OSError` and `ValueError` where they are damaged, and as `open_vectors`."""
        rows = np.load(folder / ROWS, mmap_mode="r", allow_pickle=False)
        self.pages: NDArray[np.int64] = np.load(folder / "pages.npy", allow_pickle=False)
        if not len(rows) == len(self.pages) == passages:
            raise ValueError(f"{len(rows)} vectors for {passages} passages")
        self.table = open_vectors(folder / ROWS, head)

    def beside(self, passage: int) -> range:
        """The passage, with the one before and the one after it that are of the same page."""
        near = range(max(0, passage - 1), min(len(self.pages), passage + 2))
        same = [at for at in near if self.pages[at] == self.pages[passage]]
        return range(same[0], same[-1] + 1)


def merge_vectors(
    parts: list[Staying], folder: Path, head: Mapping[str, Any], origin: NDArray[np.int64]
) -> dict[str, Any]:
    """Write the files of what stays of the parts, whose first is the index of this head; returns what the new head says
    of them. `origin` has the number of each passage in it, or -1. Raises `ValueError` where they do not fit.
    """
    write_rows(folder / ROWS, [(part.load("embeddings"), np.flatnonzero(part.stays)) for part in parts])
    with (folder / "keys.bin").open("wb") as file:
        for part in parts:
            keys = np.fromfile(part.folder / "keys.bin", np.uint8).reshape(-1, KEY)
            file.write(keys[part.stays].tobytes())
    pages, count = [], 0
    for part in parts:
        numbers = part.load("pages")
        pages.append(numbers[part.stays] + count)
        count += int(numbers.max(initial=-1)) + 1
    # Numbered as they come.
    _, first, numbers = np.unique(np.concatenate(pages), return_index=True, return_inverse=True)
    np.save(folder / "pages.npy", np.argsort(np.argsort(first))[numbers].astype(np.int64))
    cells = write_cells(folder / ROWS, Earlier(parts[0].folder, dict(head), origin))
    return {name: head[name] for name in ("embedder", "encoder", "precision") if name in head} | cells


def _earlier(folder: Path, embedder: str) -> tuple[list[bytes], Vectors]:
    """Hashes and vectors of an earlier index's passages, if the same encoder made them."""
    try:
        if read_head(folder, "corpus").get("embedder") == embedder:
            rows: Vectors = np.load(folder / ROWS, mmap_mode="r", allow_pickle=False)
            keys = (folder / "keys.bin").read_bytes()
            if len(keys) == KEY * len(rows):
                return [keys[at : at + KEY] for at in range(0, len(keys), KEY)], rows
    except (IndexFolderError, OSError, ValueError):
        pass  # what is damaged is built anew
    return [], np.zeros((0, 1), np.float32)
