"""The synthesize pipeline: screen, propose, search and synthesize, verify; shard by shard."""

from collections.abc import Sequence

import apache_beam as beam

from gog.pipelines.steps.context import Context, read_seeds
from gog.transforms.beam.synthesize import Synthesize


def synthesize(context: Context, shards: Sequence[int]) -> None:
    """Synthesize the shards that are missing; their seeds must be in the lake."""
    root = str(context.lake.root)

    def build(pipeline: beam.Pipeline, batch: list[int]) -> None:
        rows, counts = (
            context.begin(pipeline, "synthesize", batch)
            | "Seeds" >> beam.FlatMap(read_seeds, root, context.run)
            | "Synthesize" >> Synthesize(context.make_services, context.config.stages, context.config.window)
        )
        context.write("synthesize", rows, counts, batch)

    context.each("synthesize", shards, build)
