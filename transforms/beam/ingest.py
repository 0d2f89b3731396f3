"""Ingest as a PTransform: source rows to seeds and images, decoded and hashed beside one another; duplicates leave."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

import apache_beam as beam

from gog.schemas import Reject
from gog.transforms.beam.duplicates import Decoded
from gog.transforms.beam.window import WindowedAsync
from gog.transforms.curate.overlaps import check_seed
from gog.transforms.duplicates.benchmarks.index import BenchmarkIndex
from gog.transforms.filters.use import FilterUse
from gog.transforms.image_store import ImageStore
from gog.transforms.images import ImageError
from gog.transforms.ingest.forgotten import NOTHING_LEFT_OUT, LeftOut, check_forgotten
from gog.transforms.ingest.seeds import Ingested, IngestLimits, filter_seed, to_seed
from gog.transforms.services.search.fetched_images import FetchedImages
from gog.transforms.sources.cells import shortened
from gog.transforms.sources.mapping import FieldMapping, SourceRow
from gog.transforms.sources.row_images import ReadImage, checked_url, image_url

S = TypeVar("S")

DECODING = 4
"""Rows decoded at once, per process: threads beyond the cores only hold memory."""
FETCHING = 32
"""Rows in flight at once, per process, where images come from the web."""


class Ingest(beam.PTransform, Generic[S]):  # type: ignore[misc, unused-ignore]
    """`(shard, spec)` to a pair of collections: rows `(table, shard, row)` and counts.

    `read` gives a spec's rows in order, at most `rows` of them; `duplicates` makes `Decoded` rows to rows and counts.
    """

    def __init__(
        self,
        read: Callable[[S], Iterator[SourceRow]],
        images: Callable[[], ImageStore],
        duplicates: beam.PTransform,
        rows: int,
        mapping: FieldMapping,
        limits: IngestLimits,
        dataset: str,
        version: str,
        read_image: ReadImage | None,
        benchmarks: Callable[[], BenchmarkIndex] | None = None,
        filters: tuple[FilterUse, ...] = (),
        left_out: LeftOut = NOTHING_LEFT_OUT,
    ) -> None:
        """All callables are picklable. `benchmarks` opens what no seed may overlap; `left_out` was forgotten."""
        super().__init__()
        self.read, self.duplicates, self.rows = read, duplicates, rows
        self.window = FETCHING if isinstance(read_image, FetchedImages) else DECODING
        made_of = (images, mapping, limits, dataset, version, read_image, benchmarks, filters, left_out)
        self.decode = partial(_decoder, *made_of)

    def expand(self, specs: Any) -> Any:
        return (
            specs
            | "Read" >> beam.FlatMap(_numbered, self.read, self.rows)
            | "Decode" >> beam.ParDo(WindowedAsync(self.decode, self.window))
            | "Duplicates" >> self.duplicates
        )


def _numbered(
    item: tuple[int, S], read: Callable[[S], Iterator[SourceRow]], rows: int
) -> Iterator[tuple[int, int, SourceRow]]:
    shard, spec = item
    for index, source_row in enumerate(read(spec)):
        yield shard * rows + index, shard, source_row


def _decoder(
    images: Callable[[], ImageStore],
    mapping: FieldMapping,
    limits: IngestLimits,
    dataset: str,
    version: str,
    read_image: ReadImage | None,
    open_benchmarks: Callable[[], BenchmarkIndex] | None,
    filters: tuple[FilterUse, ...],
    left_out: LeftOut,
) -> Callable[[tuple[int, int, SourceRow]], Awaitable[Iterable[Decoded]]]:
    store = images()
    benchmarks = open_benchmarks() if open_benchmarks is not None else None

    decoding = asyncio.Semaphore(DECODING)

    def decode(source_row: SourceRow, read: ReadImage | None) -> tuple[SourceRow, Ingested | Reject]:
        """The seed with its image kept; neither the row nor the seed carries bytes any further."""
        found = to_seed(source_row, mapping, dataset=dataset, version=version, limits=limits, read_image=read)
        if isinstance(found, Ingested):
            found = check_forgotten(source_row, found, left_out)
        if isinstance(found, Ingested) and benchmarks is not None:
            found = check_seed(source_row, found, benchmarks)
        if isinstance(found, Ingested):
            found = filter_seed(source_row, found, filters)
        if isinstance(found, Ingested):
            store.put(found.image, found.suffix)
            found = replace(found, image=b"", pixels=None)
        return replace(source_row, data=shortened(source_row.data)), found

    async def stage(item: tuple[int, int, SourceRow]) -> Iterable[Decoded]:
        place, shard, source_row = item
        read = await _fetched(source_row, mapping, read_image) if isinstance(read_image, FetchedImages) else read_image
        async with decoding:
            light, found = await asyncio.to_thread(decode, source_row, read)
        return [Decoded(place, shard, light, found)]

    return stage


async def _fetched(source_row: SourceRow, mapping: FieldMapping, images: FetchedImages) -> ReadImage:
    """Gives what was fetched for the row, or raises what the fetch did; so that no thread waits for the web."""
    url = None if source_row.error else image_url(source_row, mapping)
    data: bytes | None = None
    failed = ImageError("ingest.image_unreadable", "the row names no address")
    if url is not None:
        try:
            data = await images.read(checked_url(url))
        except ImageError as error:
            failed = error

    def read(address: str) -> bytes:
        if data is None:
            raise failed
        return data

    return read
