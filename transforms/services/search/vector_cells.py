"""Above a hundred thousand vectors those near to a query are compared alone, through faiss (extra `vectors`).

Each vector is in the cell of the centre that it is nearest to, as bytes (8 bits a number). A query looks into the
cells nearest to it (`probes`), takes what is best by the bytes, and scores that by the vectors themselves: what is
found has the score that an exact search gives it.

File: `cells.faiss`. What `index.json` says of it, `approximate`, is a `Cells`: among the rest how much of what an exact
search finds was found, when it was built.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gog.transforms.extras import install
from gog.transforms.services.encoders.encoder import Vectors
from gog.transforms.services.search.index_folder import IndexFolderError, read_head
from gog.transforms.services.search.ranking import best
from gog.transforms.services.search.vector_table import VectorTable, blocks, cosines

EXACT: Final = 100_000
"""Vectors of an index that is searched exactly, at most."""
RECALL: Final = 0.98
"""Of the nearest ten, found for a drawn row: the mean, less two standard errors, is to be no less."""
NEAREST: Final = 10
DRAWN: Final = 500
"""Rows that are asked for, each without itself."""
PROBES: Final = 8
"""Cells that a query looks into, at least."""
_LEARNT: Final = 32
"""Vectors a cell that the centres are learnt from."""
_GROWTH: Final = 2
"""Times as many vectors, or as few, as the centres were learnt for: then they are learnt anew."""
_CANDIDATES: Final = 50
"""That are taken by their bytes, at least, or twice as many as are asked for."""
_FILE: Final = "cells.faiss"


class Nearest(Protocol):
    """Vectors that can be searched."""

    def nearest(self, query: NDArray[np.float32], count: int) -> list[tuple[int, float]]:
        """Numbers and scores of the rows most like a vector, best first; of equal ones the earlier. It takes
        milliseconds of the thread that asks, and no other: searches go on beside it.
        """
        ...


class Cells(NamedTuple):
    """What an index says of its cells."""

    cells: int
    learnt_for: int
    """Vectors that the centres were learnt for."""
    probes: int
    recall_at_10: float
    holds: bool
    """Whether that is enough."""
    by: str
    sha256: str
    """Of the file: two builds on two machines may put a vector into another cell."""


def cells_in(head: dict[str, Any]) -> Cells | None:
    """What a head says of its cells; None where it has none."""
    return Cells(**head["approximate"]) if "approximate" in head else None


class Earlier(NamedTuple):
    """The index that is replaced."""

    folder: Path
    head: dict[str, Any]
    origin: NDArray[np.int64]
    """Of each row that now is: the number that it had there, or -1."""


def earlier_cells(folder: Path, kind: str, origin: NDArray[np.int64]) -> Earlier | None:
    """Of the index in a folder; None where there is none."""
    try:
        return Earlier(folder, read_head(folder, kind), origin)
    except IndexFolderError:
        return None


def check_library() -> None:
    """Raise `IndexFolderError` where faiss is not installed."""
    if find_spec("faiss") is None:
        raise IndexFolderError(
            f"more than {EXACT:,} vectors are searched through faiss, which is not installed: {install('vectors')}"
        )


def check_rows(rows: int) -> None:
    """Raise `IndexFolderError` as soon as an index that is being built needs what is not there."""
    if rows == EXACT + 1:
        check_library()


def write_cells(file: Path, earlier: Earlier | None) -> dict[str, Any]:
    """Write the cells of a file of vectors beside it, if they are many; returns what the head says of them.

    Vectors of the index that is replaced stay in their cells, unless there are by now many more or fewer.
    """
    shape = np.load(file, mmap_mode="r", allow_pickle=False).shape
    if shape[0] <= EXACT:
        return {}
    check_library()
    import faiss

    carried = _carried(earlier, shape) if earlier else None
    index, learnt_for, origin = carried or (_learnt(file, shape), shape[0], np.full(shape[0], -1))
    for start, block in blocks(file):
        new = np.flatnonzero(origin[start : start + len(block)] < 0)
        if len(new):
            index.add_with_ids(block[new], new + start)
    target = file.with_name(_FILE)
    faiss.write_index(index, str(target))
    count = int(index.nlist)
    del index, carried
    probes, recall, holds = _measured(file)
    with target.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    cells = Cells(count, learnt_for, probes, recall, holds, f"faiss {faiss.__version__}", sha256)
    return {"approximate": cells._asdict()}


def _learnt(file: Path, shape: tuple[int, int]) -> Any:
    """An empty index whose centres are learnt from a part of the vectors."""
    import faiss

    cells = 1 << round(np.log2(2 * shape[0] ** 0.5))
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(shape[1]), shape[1], cells, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
    )
    index.cp.seed, index.cp.niter, index.cp.spherical = 0, 10, True
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, _LEARNT
    step = max(1, shape[0] // (cells * _LEARNT))
    index.train(np.concatenate([block[-start % step :: step].copy() for start, block in blocks(file)]))
    return index


def _carried(earlier: Earlier, shape: tuple[int, int]) -> tuple[Any, int, NDArray[np.int64]] | None:
    """The cells of the earlier index with what stays, under its new numbers; None where they are not to be had."""
    import faiss

    head, path = earlier.head.get("approximate"), earlier.folder / _FILE
    if not isinstance(head, dict) or not path.is_file():
        return None
    try:
        learnt_for = int(head["learnt_for"])
        old = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    except (RuntimeError, KeyError, TypeError, ValueError):
        return None  # what is damaged is built anew
    # Where nothing stays they were learnt of other vectors: another encoder's, perhaps.
    fits = old.d == shape[1] and (earlier.origin >= 0).any()
    if not fits or not learnt_for / _GROWTH <= shape[0] <= learnt_for * _GROWTH:
        return None
    order = np.argsort(earlier.origin, kind="stable")
    held, lists, stays = earlier.origin[order], old.invlists, 0
    new = faiss.ArrayInvertedLists(old.nlist, old.code_size)
    for cell in range(old.nlist):
        size = lists.list_size(cell)
        if not size:
            continue
        ids = faiss.rev_swig_ptr(lists.get_ids(cell), size)
        codes = faiss.rev_swig_ptr(lists.get_codes(cell), size * old.code_size).reshape(size, -1)
        first = np.searchsorted(held, ids, "left")
        counts = np.searchsorted(held, ids, "right") - first
        numbers = order[np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())]
        kept = np.repeat(codes, counts, axis=0)
        if len(numbers):
            new.add_entries(cell, len(numbers), faiss.swig_ptr(numbers), faiss.swig_ptr(kept))
            stays += len(numbers)
    if stays != int((earlier.origin >= 0).sum()):
        return None
    new.this.disown()  # the index frees them
    old.replace_invlists(new, True)
    old.ntotal = stays
    return old, learnt_for, earlier.origin


def _measured(file: Path) -> tuple[int, float, bool]:
    """As many probes as it takes, or as there are cells; what share of the nearest ten is found with them, and
    whether that is enough.
    """
    rows = np.load(file, mmap_mode="r", allow_pickle=False)
    drawn = np.sort(np.random.default_rng(0).choice(len(rows), min(DRAWN, len(rows)), replace=False))
    asked = np.array(rows[drawn])
    least = _least(file, asked)
    table = CellTable(rows, file.parent, PROBES)
    while True:
        found = [table.nearest(query, NEAREST + 1) for query in asked]
        shares = np.array([_share(*one) for one in zip(found, drawn.tolist(), least.tolist(), strict=True)])
        holds = float(shares.mean() - 2 * shares.std() / len(shares) ** 0.5) >= RECALL
        if holds or table.probes >= table.cells:
            return table.probes, round(float(shares.mean()), 4), holds
        table.probes = min(2 * table.probes, table.cells)


def _least(file: Path, asked: Vectors) -> NDArray[np.float64]:
    """The score of the last of the nearest ten of each, beside itself."""
    top = np.zeros((len(asked), 0), np.float32)
    for _, block in blocks(file):
        top = np.concatenate([top, asked @ block.T], axis=1)
        top = np.partition(top, max(0, top.shape[1] - NEAREST - 1), axis=1)[:, -NEAREST - 1 :]
    return np.asarray(np.round(np.clip(top.min(axis=1), 0, 1), 4), np.float64)


def _share(found: list[tuple[int, float]], itself: int, least: float) -> float:
    """Of the nearest ten; of rows with equal scores, any are as good."""
    good = [number for number, score in found if number != itself and score >= least - 1e-4]
    return len(good[:NEAREST]) / NEAREST


class CellTable:
    """Rows of unit length, and their cells."""

    def __init__(self, rows: Vectors, folder: Path, probes: int) -> None:
        """Raises `IndexFolderError` without faiss, `ValueError` where the file is damaged."""
        check_library()
        import faiss

        self._rows, self._faiss, self.probes = rows, faiss, probes
        try:
            self._index = faiss.read_index(str(folder / _FILE), faiss.IO_FLAG_MMAP)
        except RuntimeError as error:
            raise ValueError(f"{_FILE} cannot be read") from error
        if (self._index.ntotal, self._index.d) != rows.shape:
            raise ValueError(f"{_FILE} has {self._index.ntotal} vectors, and there are {len(rows)}")

    @property
    def cells(self) -> int:
        """How many there are."""
        return int(self._index.nlist)

    def nearest(self, query: NDArray[np.float32], count: int) -> list[tuple[int, float]]:
        """As `Nearest` says."""
        setting = self._faiss.SearchParametersIVF(nprobe=self.probes)
        wanted = min(max(2 * count, _CANDIDATES), len(self._rows))
        threads = self._faiss.omp_get_max_threads()
        self._faiss.omp_set_num_threads(1)  # it is this thread's own setting
        _, found = self._index.search(np.asarray(query, np.float32)[None], wanted, params=setting)
        self._faiss.omp_set_num_threads(threads)
        numbers = np.sort(found[0][found[0] >= 0])
        ranked = best(cosines(self._rows[numbers], query), count)
        return [(int(numbers[at]), score) for at, score in ranked]


def open_vectors(file: Path, head: dict[str, Any]) -> Nearest:
    """The vectors of an index, searched as it was built: exactly, or in cells.

    An empty head is of an index that nobody asks. Raises `IndexFolderError` without faiss where it takes that;
    `OSError`, `ValueError`, `KeyError` and `TypeError` where a file is damaged.
    """
    rows = np.load(file, mmap_mode="r", allow_pickle=False)
    if told := head.get("approximate"):
        return CellTable(rows, file.parent, int(told["probes"]))
    return VectorTable(rows)
