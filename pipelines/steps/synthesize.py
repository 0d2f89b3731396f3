"""The synthesize pipeline: screen, propose, search and synthesize, verify; shard by shard."""

from collections.abc import Iterator, Sequence

import apache_beam as beam

from gog.pipelines.lake.step_tables import STEP_TABLES
from gog.pipelines.steps.context import Context, read_seeds
from gog.schemas import Seed
from gog.transforms.beam.parts import WriteParts
from gog.transforms.beam.rows import CountRows
from gog.transforms.beam.synthesize import Synthesize


def synthesize(context: Context, shards: Sequence[int]) -> None:
    """Synthesize the shards that are missing; their seeds must be in the lake."""
    root = str(context.lake.root)

    def build(pipeline: beam.Pipeline, batch: list[int]) -> None:
        rows, counts = (
            pipeline
            | "Shards" >> beam.Create(batch)
            | "Seeds" >> beam.FlatMap(_seeds, root, context.run)
            | "Synthesize" >> Synthesize(context.make_services, context.config.stages, context.config.window)
        )
        written = (rows, counts | CountRows()) | beam.Flatten()
        written | WriteParts(root, context.run, "synthesize", STEP_TABLES["synthesize"], batch)

    context.each("synthesize", shards, build)


def _seeds(shard: int, root: str, run: str) -> Iterator[tuple[int, Seed]]:
    return read_seeds(root, run, shard)
