"""A row of a source as a seed whose image is kept: all that ingest does with a row by itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from gog.schemas import Reject
from gog.transforms.curate.overlaps import check_seed
from gog.transforms.duplicates.benchmarks.index import BenchmarkIndex
from gog.transforms.filters.use import FilterUse
from gog.transforms.image_store import ImageStore
from gog.transforms.ingest.forgotten import NOTHING_LEFT_OUT, LeftOut, check_forgotten
from gog.transforms.ingest.seeds import Ingested, IngestLimits, filter_seed, to_seed
from gog.transforms.sources.cells import shortened
from gog.transforms.sources.mapping import FieldMapping, SourceRow
from gog.transforms.sources.row_images import ReadImage

TakeIn = Callable[[SourceRow, ReadImage | None], tuple[SourceRow, Ingested | Reject]]
"""The row and the seed whose image is kept, or why there is none; neither carries bytes any further."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What rows become; picklable, as all that it opens is."""

    images: Callable[[], ImageStore]
    mapping: FieldMapping
    limits: IngestLimits
    dataset: str
    version: str
    benchmarks: Callable[[], BenchmarkIndex] | None = None
    """Opens what no seed may overlap."""
    filters: tuple[FilterUse, ...] = ()
    left_out: LeftOut = NOTHING_LEFT_OUT
    """What was forgotten."""
    question_images: int = 1
    """Pictures that a question may have."""

    def open(self) -> TakeIn:
        """Open what is needed in this process."""
        store = self.images()
        benchmarks = self.benchmarks() if self.benchmarks is not None else None

        def take_in(row: SourceRow, read_image: ReadImage | None) -> tuple[SourceRow, Ingested | Reject]:
            found = to_seed(
                row,
                self.mapping,
                dataset=self.dataset,
                version=self.version,
                limits=self.limits,
                read_image=read_image,
                question_images=self.question_images,
            )
            if isinstance(found, Ingested):
                found = check_forgotten(row, found, self.left_out)
            if isinstance(found, Ingested) and benchmarks is not None:
                found = check_seed(row, found, benchmarks)
            if isinstance(found, Ingested):
                found = filter_seed(row, found, self.filters)
            if isinstance(found, Ingested):
                for picture in found.pictures:
                    store.put(picture.data, picture.suffix)
                found = replace(found, pictures=())
            return replace(row, data=shortened(row.data)), found

        return take_in
