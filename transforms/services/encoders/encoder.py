"""What an encoder is, and one that runs in this process."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gog.schemas import FailureClass
from gog.transforms.services.batches import Batches
from gog.transforms.services.protocols import ServiceError

Vectors = NDArray[np.float32]

BATCH: Final = 16
"""Pictures or texts that a model in this process sees at once."""


class Encoder(Protocol):
    """Makes vectors of pictures, of texts, or of both: then a text finds pictures, too."""

    @property
    def id(self) -> str:
        """Name, with a hash of the weights and of all else that changes vectors."""

    @property
    def precision(self) -> str:
        """Of what it computes: `float32` or `float16`; empty where a server keeps that to itself."""

    @property
    def sees(self) -> bool:
        """Whether it takes pictures."""

    @property
    def reads(self) -> bool:
        """Whether it takes texts."""

    async def pictures(self, pictures: Sequence[Image.Image]) -> Vectors:
        """A vector of unit length for each RGB picture, shape (pictures, dimensions). Raises `ServiceError`."""

    async def texts(self, texts: Sequence[str], *, asks: bool) -> Vectors:
        """The same of texts; `asks` says that they are queries, not what is searched. Raises `ServiceError`."""


class LocalEncoder:
    """A model in this process, on a thread of its own; calls in flight go through it in batches."""

    def __init__(
        self,
        name: str,
        *,
        pictures: Callable[[Sequence[Image.Image]], NDArray[Any]] | None = None,
        texts: Callable[[Sequence[str], bool], NDArray[Any]] | None = None,
        precision: str = "float32",
        batch: int = BATCH,
    ) -> None:
        """`pictures` and `texts` give a row for each; a model that lacks one does without it."""
        self.id, self.precision = name, precision
        self._pictures, self._texts = pictures, texts
        self._batches: Batches[Any, NDArray[np.float32]] = Batches(self._encode, batch)

    @property
    def sees(self) -> bool:
        """Whether it takes pictures."""
        return self._pictures is not None

    @property
    def reads(self) -> bool:
        """Whether it takes texts."""
        return self._texts is not None

    async def pictures(self, pictures: Sequence[Image.Image]) -> Vectors:
        """Vectors of pictures. Raises `ServiceError`."""
        return await self._all("picture", pictures)

    async def texts(self, texts: Sequence[str], *, asks: bool) -> Vectors:
        """Vectors of texts. Raises `ServiceError`."""
        return await self._all("query" if asks else "passage", texts)

    async def _all(self, kind: str, inputs: Sequence[Any]) -> Vectors:
        return np.stack(await asyncio.gather(*(self._batches(kind, one) for one in inputs)))

    def _encode(self, kind: Hashable, inputs: Sequence[Any]) -> Sequence[NDArray[np.float32] | Exception]:
        try:
            if kind == "picture":
                assert self._pictures is not None
                rows = self._pictures(inputs)
            else:
                assert self._texts is not None
                rows = self._texts(inputs, kind == "query")
            return list(unit(rows, len(inputs)))
        except ServiceError:
            raise
        except Exception as error:  # torch and onnxruntime have a class for each of a dozen failures
            said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise ServiceError(FailureClass.SERVER, f"{self.id} failed: {said}") from error


def unit(rows: NDArray[Any], count: int) -> Vectors:
    """Rows made vectors of unit length. Raises `ServiceError` (malformed) where they are not `count` finite rows."""
    rows = np.asarray(rows, np.float32)
    if rows.ndim != 2 or len(rows) != count or not rows.shape[1]:
        raise ServiceError(FailureClass.MALFORMED, f"{count} vectors were asked for, and {rows.shape} came")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(rows).all() or not lengths.all():
        raise ServiceError(FailureClass.MALFORMED, "a vector is zero, or has numbers that are not finite")
    return np.asarray(rows / lengths, np.float32)
