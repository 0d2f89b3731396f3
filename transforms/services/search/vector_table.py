"""Vectors of an index: made in batches while it is built, and searched exactly by their cosines."""

import asyncio
import random
from collections.abc import Awaitable, Callable
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


class VectorBuilder(Generic[T]):
    """Makes a table of vectors, one a row, of things that come one by one."""

    def __init__(self, raw: Path, kept: KeptVectors, encode: Callable[[list[T]], Awaitable[Vectors]]) -> None:
        """`raw` is a file to write in. `encode` raises `ServiceError`, as `add` and `finish` then do."""
        self._file, self._raw, self._kept, self._encode = raw.open("wb"), raw, kept, encode
        self._rows, self._dimensions, self._weight = 0, 0, 0
        self._waiting: list[tuple[int, bytes, T]] = []

    def add(self, key: bytes, thing: T, weight: int = 0) -> None:
        """The next row: known by the hash of its content, or to be encoded."""
        vector = self._kept.get(key)
        if vector is None:
            self._waiting.append((self._rows, key, thing))
            self._weight += weight
        else:
            self._write(self._rows, vector)
        self._rows += 1
        if len(self._waiting) >= BATCH or self._weight >= WEIGHT:
            self._flush()

    def finish(self) -> NDArray[np.float32]:
        """All rows, shape (rows, dimensions), as a view of the file."""
        self._flush()
        self._file.close()
        if not self._rows:
            return np.zeros((0, 1), np.float32)
        return np.memmap(self._raw, np.float32, "r", shape=(self._rows, self._dimensions))

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
        self._file.seek(row * self._dimensions * 4)
        self._file.write(vector.tobytes())


async def _patient(call: Callable[[], Awaitable[Vectors]]) -> Vectors:
    return await with_retries(call, RETRY, random.Random(0))


class VectorTable:
    """Rows of unit length. A score is the cosine, or 0 where that is less."""

    def __init__(self, rows: Vectors) -> None:
        """Shape (rows, dimensions)."""
        self._rows = rows

    async def nearest(self, query: NDArray[np.float32], count: int) -> list[tuple[int, float]]:
        """Numbers and scores of the rows most like a vector, best first; of equal ones the earlier."""
        return await asyncio.to_thread(self._nearest, query, count)

    def _nearest(self, query: NDArray[np.float32], count: int) -> list[tuple[int, float]]:
        # Four decimals: so they do not depend on the order of sums.
        return best(np.round(np.clip(self._rows @ query, 0, 1).astype(np.float64), 4), count)
