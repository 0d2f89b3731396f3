"""The ingest pipeline: source rows to seeds and images, shard by shard, in the source's order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

import apache_beam as beam

from gog.pipelines.config import AtlasSource, Config
from gog.pipelines.context import STEP_TABLES, Context
from gog.pipelines.decontaminate import benchmarks_of
from gog.pipelines.lake import Lake
from gog.pipelines.opening import images_for
from gog.pipelines.sources import ATLAS_MAPPING, AtlasRows, FileRows, LocalImages, ShardSpec, Source
from gog.schemas import Seed
from gog.transforms.beam.ingest import Ingest
from gog.transforms.beam.parts import WriteParts
from gog.transforms.beam.rows import CountRows
from gog.transforms.clusters import NearDuplicates
from gog.transforms.duplicates import Duplicates
from gog.transforms.ingest import FieldMapping, SourceRow, check_mapping
from gog.transforms.services.loop import shared, unshare


@dataclass(frozen=True, slots=True)
class Seeds:
    """The configured source, with what turns its rows into seeds."""

    rows: Source
    mapping: FieldMapping
    dataset: str
    version: str
    read_image: LocalImages | None

    @classmethod
    def of(cls, config: Config) -> Self:
        """Open the source. Raises `SourceError`, and `MappingError` when its first rows have none of a column."""
        source = config.source
        if isinstance(source, AtlasSource):
            rows: Source = AtlasRows(
                source.count, config.seed, config.shard_size, held_out=source.held_out, kinds=source.kinds
            )
            return cls(rows, ATLAS_MAPPING, "atlas", str(config.seed), None)
        rows = FileRows(source.path, source.kind, config.shard_size)
        check_mapping(islice(_first_rows(rows), 100), source.mapping)
        folder = Path(source.image_root) if source.image_root else Path(source.path).parent
        return cls(rows, source.mapping, source.dataset, source.version, LocalImages(folder, config.ingest.image))


def _first_rows(rows: Source) -> Iterator[SourceRow]:
    for spec in islice(rows.shards(), 1):
        yield from rows.read_shard(spec)


def ingest(context: Context, seeds: Seeds, specs: Mapping[int, ShardSpec], shards: Sequence[int]) -> None:
    """Ingest the shards that are missing."""
    root = str(context.lake.root)
    benchmarks = benchmarks_of(context.config)

    def build(pipeline: beam.Pipeline, batch: list[int]) -> None:
        seen = partial(_seen, root, context.run, batch[0], context.config.curate.near_duplicate_bits)
        rows, counts = (
            pipeline
            | "Shards" >> beam.Create([(shard, specs[shard]) for shard in batch])
            | "Ingest"
            >> Ingest(
                seeds.rows.read_shard,
                partial(images_for, root),
                seen,
                seeds.mapping,
                context.config.ingest,
                seeds.dataset,
                seeds.version,
                seeds.read_image,
                benchmarks,
            )
        )
        (
            (rows, counts | CountRows())
            | beam.Flatten()
            | WriteParts(root, context.run, "ingest", STEP_TABLES["ingest"], batch)
        )

    context.each("ingest", shards, build)


def _seen(root: str, run: str, first: int, bits: int) -> Duplicates:
    """What the shards before `first` hold. Kept by the process, so that each shard is read once."""
    key = ("duplicates", root, run)

    def fresh() -> tuple[Duplicates, set[int]]:
        return Duplicates(NearDuplicates(distance=bits)), set()

    known, read = shared(key, fresh)
    if first in read:  # an earlier try failed: what it read is not in the lake, and no duplicate of itself
        unshare(key)
        known, read = shared(key, fresh)
    lake = Lake(Path(root))
    for shard in range(first):
        if shard not in read:
            for seed in lake.read_table(run, "seeds", Seed, "ingest", shard):
                known.add_known(seed)
            read.add(shard)
    read.add(first)
    return known
