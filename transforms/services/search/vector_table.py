"""Vectors of an index: made in batches while it is built, and searched exactly by their cosines."""

import io
import random
from array import array
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from gog.transforms.services.encoders.encoder import Vectors
from gog.transforms.services.gateway.retry import Retry, with_retries
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.search.kept_vectors import KeptVectors
from gog.transforms.services.search.ranking import best

T = TypeVar("T")

BATCH: Final = 64
"""What is encoded at once while an index is built, at most;"""
WEIGHT: Final = 64 << 20
"""and how much of it: pixels of pictures."""

RETRY: Final = Retry()
"""How failures of a server that encodes are tried again."""
_HEADER: Final = 128
"""Bytes of it in a file of NumPy, however many rows there are."""
_BLOCK: Final = 10_000


class VectorBuilder(Generic[T]):
    """Makes a file of vectors (`.npy`), one a row, of things that come one by one."""

    def __init__(
        self,
        file: Path,
        kept: KeptVectors,
        encode: Callable[[list[T]], Awaitable[Vectors]],
        on_rows: Callable[[int], None] = lambda rows: None,
    ) -> None:
        """`encode` raises `ServiceError`, as `add` and `finish` then do. `on_rows` hears of each row, and may raise."""
        self._file, self._kept, self._encode, self._on_rows = file.open("wb"), kept, encode, on_rows
        self._rows, self._dimensions, self._weight = 0, 0, 0
        self._waiting: list[tuple[int, bytes, T]] = []
        self._origin = array("q")

    def add(self, key: bytes, thing: T, weight: int = 0) -> None:
        """The next row: known by the hash of its content, or to be encoded."""
        self._on_rows(self._rows + 1)
        vector = self._kept.get(key)
        self._origin.append(self._kept.number(key))
        if vector is None:
            self._waiting.append((self._rows, key, thing))
            self._weight += weight
        else:
            self._write(self._rows, vector)
        self._rows += 1
        if len(self._waiting) >= BATCH or self._weight >= WEIGHT:
            self._flush()

    def finish(self) -> NDArray[np.int64]:
        """Write the last of the file, of shape (rows, dimensions); returns the number that each row had in the index
        that is replaced, or -1.
        """
        self._flush()
        self._file.seek(0)
        self._file.write(header(self._rows, self._dimensions or 1))
        self._file.close()
        return np.array(self._origin, np.int64)

    def close(self) -> None:
        """Of an ended build."""
        self._file.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        vectors = run_on_loop(_patient(partial(self._encode, [thing for _, _, thing in self._waiting])))
        self._kept.add([key for _, key, _ in self._waiting], vectors)
        for (row, _, _), vector in zip(self._waiting, vectors, strict=True):
            self._write(row, vector)
        self._waiting, self._weight = [], 0

    def _write(self, row: int, vector: NDArray[np.float32]) -> None:
        self._dimensions = self._dimensions or len(vector)
        if len(vector) != self._dimensions:
            raise ValueError(f"a vector of {len(vector)} dimensions among those of {self._dimensions}")
        self._file.seek(_HEADER + row * self._dimensions * 4)
        self._file.write(vector.astype("<f4").tobytes())


def write_rows(file: Path, parts: Sequence[tuple[Vectors, NDArray[np.int64]]], empty: int = 1) -> None:
    """Write a file of some rows of others alone, by their numbers, one part behind the other; of none has `empty`
    dimensions.

    Raises `ValueError` where their dimensions differ.
    """
    dimensions = {rows.shape[1] for rows, numbers in parts if len(numbers)} or {empty}
    if len(dimensions) > 1:
        raise ValueError(f"vectors of {sorted(dimensions)} dimensions cannot be compared")
    with file.open("wb") as out:
        out.write(header(sum(len(numbers) for _, numbers in parts), *dimensions))
        for rows, numbers in parts:
            for start in range(0, len(numbers), _BLOCK):
                out.write(rows[numbers[start : start + _BLOCK]].astype("<f4").tobytes())


def header(rows: int, dimensions: int) -> bytes:
    """What stands before the rows in a file of NumPy."""
    out = io.BytesIO()
    told = {"descr": "<f4", "fortran_order": False, "shape": (rows, dimensions)}
    np.lib.format.write_array_header_1_0(out, told)
    header = out.getvalue()
    if len(header) != _HEADER:
        raise ValueError(f"NumPy's header has {len(header)} bytes, not {_HEADER}")
    return header


async def _patient(call: Callable[[], Awaitable[Vectors]]) -> Vectors:
    return await with_retries(call, RETRY, random.Random(0))


def blocks(file: Path) -> Iterator[tuple[int, Vectors]]:
    """The rows of a file of vectors by and by, each block with the number of its first: what is behind is let go."""
    start, rows = 0, len(np.load(file, mmap_mode="r", allow_pickle=False))
    while start < rows:
        yield start, np.array(np.load(file, mmap_mode="r", allow_pickle=False)[start : start + _BLOCK])
        start += _BLOCK


def cosines(rows: Vectors, query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scores of rows of unit length: the cosine, or 0 where that is less."""
    # Row by row, in the thread that asks: a product of the whole would be shared out among threads of a library, which
    # wait busily, and beside other searches take more than they give.
    # Four decimals: so scores do not depend on the order of sums.
    return np.asarray(np.round(np.clip(np.vecdot(rows, query), 0, 1).astype(np.float64), 4))


class VectorTable:
    """Rows of unit length."""

    def __init__(self, rows: Vectors) -> None:
        """Shape (rows, dimensions)."""
        self._rows = rows

    def nearest(self, query: NDArray[np.float32], count: int) -> list[tuple[int, float]]:
        """Numbers and scores of the rows most like a vector, best first; of equal ones the earlier."""
        return best(cosines(self._rows, query), count)
