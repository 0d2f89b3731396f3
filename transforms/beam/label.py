"""Label as a PTransform."""

from functools import partial
from typing import Any

import apache_beam as beam

from gog.schemas import Complexity, Seed, Unit
from gog.transforms.beam.counters import tally_call
from gog.transforms.beam.rows import COUNTS, ROWS, count, row
from gog.transforms.beam.synthesize import AsyncStage, MakeServices
from gog.transforms.beam.window import WindowedAsync
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.label.tries import LabelSettings, label_seed


class Label(beam.PTransform):  # type: ignore[misc, unused-ignore]
    """`(shard, Seed, solvable)` to rows and counts of the label stage."""

    def __init__(
        self, make_services: MakeServices, settings: LabelSettings, episode: EpisodeSettings, window: int
    ) -> None:
        """`window` is how many seeds are in flight, per process; `episode` is as the policy meets it."""
        super().__init__()
        self.make_stage = partial(_label, make_services, settings, episode)
        self.window = window

    def expand(self, seeds: Any) -> Any:
        """Rows and counts."""
        window = WindowedAsync(self.make_stage, self.window, "label")
        out = (
            seeds | "Spread" >> beam.Reshuffle() | "Label" >> beam.ParDo(window).with_outputs(ROWS, COUNTS, main="main")
        )
        return out[ROWS], out[COUNTS]


def _label(make_services: MakeServices, settings: LabelSettings, episode: EpisodeSettings) -> AsyncStage:
    services = make_services()
    services.gateway.on_event = tally_call

    async def stage(item: tuple[int, Seed, bool]) -> list[Any]:
        shard, seed, solvable = item
        assert services.labeller is not None
        record = await label_seed(services, services.labeller, seed, solvable, settings, episode)
        return [row(shard, record), count("label", Unit.SEED, shard, passed=int(isinstance(record, Complexity)))]

    return stage
