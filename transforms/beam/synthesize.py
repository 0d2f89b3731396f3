"""Screen, propose, synthesize and verify as PTransforms.

    seeds (shard, Seed) | Synthesize(make_services, settings, window) -> rows and counts

Each stage is a sliding window of async calls. What goes on is the main output; rows and counts are tagged. A
Reshuffle of the seeds breaks fusion with the source, so that a distributed runner spreads them.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import apache_beam as beam

from gog.schemas import Seed
from gog.transforms.beam.counters import tally_call
from gog.transforms.beam.rows import COUNTS, ROWS, count, row
from gog.transforms.beam.window import WindowedAsync
from gog.transforms.synthesize.services import Services
from gog.transforms.synthesize.settings import StageSettings
from gog.transforms.synthesize.stages import STAGES, Item, Stage

_log = logging.getLogger(__name__)

MakeServices = Callable[[], Services]
"""Opens the worker's services; picklable, and cheap after the first call in a process."""

AsyncStage = Callable[[Any], Awaitable[Iterable[Any]]]


class Synthesize(beam.PTransform):  # type: ignore[misc, unused-ignore]
    """`(shard, Seed)` to a pair of collections: rows `(table, shard, row)` and counts."""

    def __init__(self, make_services: MakeServices, settings: StageSettings, window: int) -> None:
        """`window` bounds what is in flight, per stage and process."""
        super().__init__()
        self.make_services = make_services
        self.settings = settings
        self.window = window

    def expand(self, seeds: Any) -> Any:
        all_rows, counts = [], []
        main = seeds | "Spread" >> beam.Reshuffle() | "Begin" >> beam.Map(_item)
        for stage in STAGES:
            make = partial(_run, stage, self.make_services, self.settings)
            window = WindowedAsync(make, self.window, stage.name)
            out = main | stage.name.title() >> beam.ParDo(window).with_outputs(ROWS, COUNTS, main="main")
            main = out.main
            all_rows.append(out[ROWS])
            counts.append(out[COUNTS])
        return all_rows | "Rows" >> beam.Flatten(), counts | "Counts" >> beam.Flatten()


def _item(numbered: tuple[int, Seed]) -> tuple[int, Item]:
    shard, seed = numbered
    return shard, Item(seed)


def _run(stage: Stage, make_services: MakeServices, settings: StageSettings) -> AsyncStage:
    services = make_services()
    services.gateway.on_event = tally_call

    async def run(numbered: tuple[int, Item]) -> list[Any]:
        shard, item = numbered
        outcome = await stage.run(services, settings, item, None)
        reason = outcome.reject.reason if outcome.reject else ""
        _log.debug("stage done stage=%s seed=%s reject=%s", stage.name, item.seed.seed_id, reason)
        out: list[Any] = [row(shard, record) for record in outcome.rows]
        if outcome.reject is not None:
            out.append(row(shard, outcome.reject))
        if outcome.result is not None:
            out.append(count(stage.name, stage.unit, shard, passed=0 if outcome.reject else 1))
        out.extend((shard, following) for following in outcome.items)
        return out

    return run
