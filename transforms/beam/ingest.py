"""Ingest as a PTransform: source rows to seeds and images, decoded and hashed beside one another; duplicates leave."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Generic, TypeVar

import apache_beam as beam

from gog.transforms import cores
from gog.transforms.beam.duplicates import Decoded
from gog.transforms.beam.window import WindowedAsync
from gog.transforms.images import ImageError
from gog.transforms.ingest.seeds import reject_row
from gog.transforms.services.search.fetched_images import FetchedImages
from gog.transforms.sources.cells import shortened
from gog.transforms.sources.mapping import FieldMapping, SourceRow
from gog.transforms.sources.row_images import ReadImage, checked_url, image_url, pictures_of
from gog.transforms.take_in import Rows

S = TypeVar("S")

FETCHING: Final = 32
"""Rows in flight at once, per process, where images come from the web."""


class Ingest(beam.PTransform, Generic[S]):  # type: ignore[misc, unused-ignore]
    """`(shard, spec)` to a pair of collections: rows `(table, shard, row)` and counts.

    `read` gives a spec's rows in order, at most `rows_of_shard` of them, and `rows` says what they become; `duplicates`
    makes `Decoded` rows to rows and counts.
    """

    def __init__(
        self,
        read: Callable[[S], Iterator[SourceRow]],
        rows: Rows,
        read_image: ReadImage | None,
        duplicates: beam.PTransform,
        rows_of_shard: int,
    ) -> None:
        """All of it is picklable."""
        super().__init__()
        self.read, self.duplicates, self.rows_of_shard = read, duplicates, rows_of_shard
        # Twice as many as are decoded at once, so that there is always a next one.
        self.window = max(2 * cores.width(), FETCHING if isinstance(read_image, FetchedImages) else 0)
        self.decode = partial(_decoder, rows, read_image)

    def expand(self, specs: Any) -> Any:
        return (
            specs
            | "Read" >> beam.FlatMap(_numbered, self.read, self.rows_of_shard)
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
    rows: Rows, read_image: ReadImage | None
) -> Callable[[tuple[int, int, SourceRow]], Awaitable[Iterable[Decoded]]]:
    take_in = cores.Spread(rows.open)

    async def stage(item: tuple[int, int, SourceRow]) -> Iterable[Decoded]:
        place, shard, source_row = item
        read = read_image
        if isinstance(read_image, FetchedImages):
            read = await _fetched(source_row, rows.mapping, read_image, rows.question_images)
        try:
            light, found = await take_in.ask(source_row, read)
        except cores.LostProcessError as lost:
            if not lost.crash:
                raise
            reject = reject_row(source_row, "ingest.image_unreadable", f"its decoder crashes ({lost.crash})")
            light, found = replace(source_row, data=shortened(source_row.data)), reject
        return [Decoded(place, shard, light, found)]

    return stage


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Gives what was fetched for a row, or raises what the fetch did; so that no thread waits for the web."""

    found: Mapping[str, bytes | ImageError]

    def __call__(self, address: str) -> bytes:
        found = self.found.get(address, _NO_ADDRESS)
        if isinstance(found, ImageError):
            raise found
        return found


async def _fetched(
    source_row: SourceRow, mapping: FieldMapping, images: FetchedImages, question_images: int
) -> _Fetched:
    pictures = [] if source_row.error else pictures_of(source_row, mapping)[:question_images]
    urls = list(dict.fromkeys(url for picture in pictures if (url := image_url(picture, mapping)) is not None))

    async def fetched(url: str) -> bytes | ImageError:
        try:
            return await images.read(checked_url(url))
        except ImageError as error:
            return error

    return _Fetched(dict(zip(urls, await asyncio.gather(*map(fetched, urls)), strict=True)))


_NO_ADDRESS: Final = ImageError("ingest.image_unreadable", "the row names no address")
