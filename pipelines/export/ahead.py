"""Pictures of the rows to come, read while earlier ones are written: an object store answers many at a time."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from gog.pipelines.lake.lake import LakeError
from gog.schemas import Reject
from gog.transforms.export.rows import RlRow, SftRow
from gog.transforms.image_store import ImageStore

Reading = tuple[str, SftRow | RlRow | Reject]
"""The id of a row and what became of it."""

AT_ONCE: Final = 32
"""Pictures that are being read, and rows that are read for before they are written."""


def read_ahead(readings: Iterable[Reading], images: ImageStore) -> Iterator[Reading]:
    """The readings as they are, in their order, once the pictures of each are in the store's cache or cannot be had.

    A picture that is missing or damaged is told by whoever reads it next.
    """
    waiting: deque[tuple[Reading, list[Future[None]]]] = deque()
    with ThreadPoolExecutor(AT_ONCE, "gog-picture") as threads:
        try:
            for reading in readings:
                names = () if isinstance(reading[1], Reject) else dict.fromkeys(reading[1].image_sha256)
                waiting.append((reading, [threads.submit(_fetch, images, sha256) for sha256 in names]))
                if len(waiting) > AT_ONCE:
                    yield _ready(*waiting.popleft())
            while waiting:
                yield _ready(*waiting.popleft())
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _fetch(images: ImageStore, sha256: str) -> None:
    with suppress(KeyError, LakeError):
        images.read(sha256)


def _ready(reading: Reading, fetches: list[Future[None]]) -> Reading:
    for fetch in fetches:
        fetch.result()
    return reading
