"""Screen, propose, synthesize and verify as PTransforms.

    seeds (shard, Seed) | Synthesize(make_services, settings, window) -> rows and counts

Each stage is a sliding window of async calls. What goes on is the main output; rows and counts are tagged. A
Reshuffle of the seeds breaks fusion with the source, so that a distributed runner spreads them.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import apache_beam as beam

from gog.schemas import Evidence, Region, Seed, Trajectory, Unit
from gog.transforms.beam.rows import COUNTS, ROWS, count, row, rows
from gog.transforms.beam.window import WindowedAsync
from gog.transforms.synthesize.compose import compose
from gog.transforms.synthesize.propose import propose_regions
from gog.transforms.synthesize.rollout import Attempt, rollout
from gog.transforms.synthesize.screen import screen_seed
from gog.transforms.synthesize.services import Services
from gog.transforms.synthesize.settings import StageSettings
from gog.transforms.synthesize.verify import verify_trajectory

MakeServices = Callable[[], Services]
"""Opens the worker's services; picklable, and cheap after the first call in a process."""

Stage = Callable[[Any], Awaitable[Iterable[Any]]]


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt to make. An easy seed carries the trajectory of its screening instead."""

    shard: int
    seed: Seed
    regions: tuple[Region, ...]
    sample_index: int
    no_tool_pass_rate: float
    easy: Trajectory | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """A trajectory on its way to verification."""

    shard: int
    seed: Seed
    trajectory: Trajectory
    evidence: tuple[Evidence, ...]
    no_tool_pass_rate: float


class Synthesize(beam.PTransform):  # type: ignore[misc, unused-ignore]
    """`(shard, Seed)` to a pair of collections: rows `(table, shard, row)` and counts."""

    def __init__(self, make_services: MakeServices, settings: StageSettings, window: int) -> None:
        """`window` bounds what is in flight, per stage and process."""
        super().__init__()
        self.make_services = make_services
        self.settings = settings
        self.window = window

    def expand(self, seeds: Any) -> Any:
        """See the class."""
        found_rows, counts = [], []
        main = seeds | "Spread" >> beam.Reshuffle()
        for name, make in (
            ("Screen", _screen),
            ("Propose", _propose),
            ("Attempt", _attempt),
            ("Verify", _verify),
        ):
            step = partial(make, self.make_services, self.settings)
            out = main | name >> beam.ParDo(WindowedAsync(step, self.window)).with_outputs(ROWS, COUNTS, main="main")
            main = out.main
            found_rows.append(out[ROWS])
            counts.append(out[COUNTS])
        return found_rows | "Rows" >> beam.Flatten(), counts | "Counts" >> beam.Flatten()


def _screen(make_services: MakeServices, settings: StageSettings) -> Stage:
    services = make_services()

    async def stage(item: tuple[int, Seed]) -> list[Any]:
        shard, seed = item
        found = await screen_seed(services, seed, settings.screen, settings.episode)
        out: list[Any] = [count("screen", Unit.SEED, shard, passed=0 if found.reject else 1)]
        if found.screening is not None:
            out.append(row(shard, found.screening))
        if found.reject is not None:
            out.append(row(shard, found.reject))
        if found.reject is None or found.easy is not None:
            assert found.screening is not None
            out.append(Try(shard, seed, (), 0, found.screening.pass_rate, found.easy))
        return out

    return stage


def _propose(make_services: MakeServices, settings: StageSettings) -> Stage:
    services = make_services()

    async def stage(seed_try: Try) -> list[Any]:
        if seed_try.easy is not None:
            return [seed_try]
        shard, seed = seed_try.shard, seed_try.seed
        proposed = await propose_regions(services, seed, settings.propose, settings.episode)
        out: list[Any] = rows(shard, proposed.regions)
        out.append(count("propose", Unit.SEED, shard, passed=1))
        out.extend(
            Try(shard, seed, proposed.regions, index, seed_try.no_tool_pass_rate)
            for index in range(settings.synthesize.attempts)
        )
        return out

    return stage


def _attempt(make_services: MakeServices, settings: StageSettings) -> Stage:
    services = make_services()

    async def stage(item: Try) -> list[Any]:
        if item.easy is not None:
            attempt = Attempt(item.seed, item.easy)
        else:
            attempt = await _make(services, settings, item)
        out: list[Any] = [count("synthesize", Unit.ATTEMPT, item.shard, passed=1 if attempt.trajectory else 0)]
        out.extend(rows(item.shard, attempt.evidence))
        if attempt.reject is not None:
            out.append(row(item.shard, attempt.reject))
        if attempt.trajectory is not None:
            out.append(row(item.shard, attempt.trajectory))
            out.append(Tried(item.shard, item.seed, attempt.trajectory, attempt.evidence, item.no_tool_pass_rate))
        return out

    return stage


async def _make(services: Services, settings: StageSettings, item: Try) -> Attempt:
    synthesize = settings.synthesize
    if item.sample_index < synthesize.rollouts:
        return await rollout(
            services,
            services.teacher,
            item.seed,
            item.regions,
            item.sample_index,
            synthesize.rollout,
            settings.episode,
        )
    return await compose(
        services,
        item.seed,
        item.regions,
        item.sample_index,
        synthesize.compose,
        synthesize.rollout,
        settings.episode,
        settings.run_seed,
    )


def _verify(make_services: MakeServices, settings: StageSettings) -> Stage:
    services = make_services()

    async def stage(tried: Tried) -> list[Any]:
        found = await verify_trajectory(services, tried.seed, tried.trajectory, tried.evidence, tried.no_tool_pass_rate)
        out: list[Any] = [
            row(tried.shard, found.verdict),
            count("verify", Unit.TRAJECTORY, tried.shard, passed=0 if found.reject else 1),
        ]
        if found.reject is not None:
            out.append(row(tried.shard, found.reject))
        return out

    return stage
