"""The ingest pipeline: source rows to seeds and images, shard by shard, in the source's order."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import apache_beam as beam

from gog.pipelines.context import STEP_TABLES, Context
from gog.pipelines.lake import Lake
from gog.pipelines.opening import images_for
from gog.pipelines.sources import Source
from gog.schemas import Seed
from gog.transforms.beam.ingest import Ingest
from gog.transforms.beam.parts import WriteParts
from gog.transforms.beam.rows import CountRows
from gog.transforms.clusters import NearDuplicates
from gog.transforms.duplicates import Duplicates
from gog.transforms.services.loop import shared


def ingest(context: Context, source: Source, shards: Sequence[int]) -> None:
    """Ingest the shards that are missing."""
    specs = dict(enumerate(source.shards()))
    root = str(context.lake.root)

    def build(pipeline: beam.Pipeline, batch: list[int]) -> None:
        seen = partial(_seen, root, context.run, batch[0], context.config.curate.near_duplicate_bits)
        rows, counts = (
            pipeline
            | "Shards" >> beam.Create([(shard, specs[shard]) for shard in batch])
            | "Ingest"
            >> Ingest(
                source.read_shard,
                partial(images_for, root),
                seen,
                source.mapping,
                context.config.ingest,
                source.dataset,
                source.version,
                source.read_image,
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
    known, read = shared(("duplicates", root, run), lambda: (Duplicates(NearDuplicates(distance=bits)), set()))
    lake = Lake(Path(root))
    for shard in range(first):
        if shard not in read:
            for seed in lake.read_table(run, "seeds", Seed, "ingest", shard):
                known.add_known(seed)
            read.add(shard)
    read.add(first)
    return known
