"""Ingest as a PTransform: source rows to seeds and images, duplicates left out in the source's order.

Decoding and hashing run beside one another; what must see every seed, the search for duplicates, opens few pictures.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

import apache_beam as beam

from gog.schemas import Reject, Seed, Unit
from gog.transforms.beam.rows import COUNTS, ROWS, count, row
from gog.transforms.beam.window import WindowedAsync
from gog.transforms.curate.overlaps import check_seed
from gog.transforms.duplicates.benchmarks.index import BenchmarkIndex
from gog.transforms.filters.use import FilterUse
from gog.transforms.image_store import ImageStore
from gog.transforms.images import ImageError
from gog.transforms.ingest.duplicates import Duplicates
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

    `read` gives a spec's rows in order; `seen` opens what earlier shards of the run hold, to find duplicates of it.
    """

    def __init__(
        self,
        read: Callable[[S], Iterator[SourceRow]],
        images: Callable[[], ImageStore],
        seen: Callable[[], Duplicates],
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
        self.read, self.seen = read, seen
        self.window = FETCHING if isinstance(read_image, FetchedImages) else DECODING
        made_of = (images, mapping, limits, dataset, version, read_image, benchmarks, filters, left_out)
        self.decode = partial(_decoder, *made_of)

    def expand(self, specs: Any) -> Any:
        out = (
            specs
            | "Read" >> beam.FlatMap(_numbered, self.read)
            | "Decode" >> beam.ParDo(WindowedAsync(self.decode, self.window))
            | "Together" >> beam.GroupByKey()
            | "Duplicates" >> beam.FlatMap(_unique, self.seen).with_outputs(ROWS, COUNTS, main="main")
        )
        return out[ROWS], out[COUNTS]


def _numbered(item: tuple[int, S], read: Callable[[S], Iterator[SourceRow]]) -> Iterator[tuple[int, int, SourceRow]]:
    shard, spec = item
    for index, source_row in enumerate(read(spec)):
        yield shard, index, source_row


Decoded = tuple[None, tuple[int, int, SourceRow, Ingested | Reject]]


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
        shard, index, source_row = item
        read = await _fetched(source_row, mapping, read_image) if isinstance(read_image, FetchedImages) else read_image
        async with decoding:
            light, found = await asyncio.to_thread(decode, source_row, read)
        return [(None, (shard, index, light, found))]

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


def _unique(
    group: tuple[None, Iterable[tuple[int, int, SourceRow, Ingested | Reject]]], seen: Callable[[], Duplicates]
) -> Iterator[Any]:
    known = seen()
    for shard, _, source_row, found in sorted(group[1], key=lambda item: item[:2]):
        record = found if isinstance(found, Reject) else known.check(source_row, found)
        yield row(shard, record)
        yield count("ingest", Unit.ROW, shard, passed=1 if isinstance(record, Seed) else 0)
