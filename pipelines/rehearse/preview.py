"""A few seeds through all stages, one after the other, with every turn told as it happens.

The stages and the store are those of a run, so nothing is paid twice; no table of the run is written. The calls are
booked under the run's name with `-preview` behind it, those of each seed apart: a plan estimates from them.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gog.pipelines.config.config import Config
from gog.pipelines.connect.services import services_for
from gog.pipelines.lake.lake import Lake, write_atomic
from gog.pipelines.rehearse.samples import booked, part_of
from gog.pipelines.rehearse.transcript import Teller
from gog.pipelines.show.contact_sheet import contact_sheet, pick_example, png_bytes
from gog.pipelines.show.trajectory import Records, view_of
from gog.pipelines.steps.ingest import Seeds
from gog.schemas import Evidence, Region, Reject, Seed, Trajectory, Verdict
from gog.transforms.ingest.seeds import to_seed
from gog.transforms.services.loop import process_loop
from gog.transforms.synthesize.compose import compose
from gog.transforms.synthesize.propose import propose_regions
from gog.transforms.synthesize.rollout import Attempt, rollout
from gog.transforms.synthesize.screen import screen_seed
from gog.transforms.synthesize.services import Services
from gog.transforms.synthesize.verify import verify_trajectory


@dataclass(slots=True)
class _Made:
    """What came of a seed."""

    regions: tuple[Region, ...] = ()
    evidence: dict[str, Evidence] = field(default_factory=dict)
    trajectories: list[Trajectory] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)


def preview(config: Config, count: int, teller: Teller) -> list[Path]:
    """Show the first `count` seeds that can be read; returns the contact sheets, drawn below `LAKE/previews/RUN`."""
    seeds = Seeds.of(config)
    lake = Lake(Path(config.lake))
    folder = lake.root / "previews" / config.run
    services = services_for(config.model_copy(update={"run": booked(config.run)}).model_dump_json())
    sheets = []
    number = 0
    for found in _seeds(seeds, config, lake):
        if isinstance(found, Reject):
            teller.unread(found)
            continue
        number += 1
        teller.seed(found, number, count)
        services.gateway.run = part_of(config, found.seed_id)
        made = _wait(_one(services, found, config, teller))
        example = pick_example(made.trajectories, made.verdicts)
        if example is not None:
            verdict = made.verdicts.get(example.trajectory_id)
            view = view_of(Records(example, found, verdict, made.evidence, made.regions))
            path = folder / f"{number:02d}.png"
            write_atomic(path, png_bytes(contact_sheet(view, lake.images)), sync=False)
            teller.drawn(path)
            sheets.append(path)
        if number == count:
            break
    return sheets


def _seeds(seeds: Seeds, config: Config, lake: Lake) -> Iterator[Seed | Reject]:
    """Seeds in the order of the source, each with its image in the lake; rejects of rows that are none."""
    for spec in seeds.rows.shards():
        for row in seeds.rows.read_shard(spec):
            found = to_seed(
                row,
                seeds.mapping,
                dataset=seeds.dataset,
                version=seeds.version,
                limits=config.ingest,
                read_image=seeds.read_image,
            )
            if not isinstance(found, Reject):
                lake.images.put(found.image, found.suffix)
            yield found if isinstance(found, Reject) else found.seed


def _wait(work: Coroutine[None, None, _Made]) -> _Made:
    """Run on the process's loop, where the services live; Ctrl-C ends what is in flight."""
    future = asyncio.run_coroutine_threadsafe(work, process_loop())
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise


async def _one(services: Services, seed: Seed, config: Config, teller: Teller) -> _Made:
    stages, made = config.stages, _Made()
    screened = await screen_seed(services, seed, stages.screen, stages.episode)
    teller.screened(screened)
    if screened.easy is not None and screened.screening is not None:
        teller.easy(screened.easy)
        await _verify(services, Attempt(seed, screened.easy), made, teller, screened.screening.pass_rate)
    if screened.reject is not None or screened.screening is None:
        return made
    proposed = await propose_regions(services, seed, stages.propose, stages.episode)
    made.regions = proposed.regions
    teller.regions(proposed, seed)
    for index in range(stages.synthesize.attempts):
        attempt = await _attempt(services, seed, proposed.regions, index, config, teller)
        await _verify(services, attempt, made, teller, screened.screening.pass_rate)
    return made


async def _attempt(
    services: Services, seed: Seed, regions: tuple[Region, ...], index: int, config: Config, teller: Teller
) -> Attempt:
    synthesize, episode = config.synthesize, config.episode
    acted = index < synthesize.rollouts
    on_turn = teller.attempt(index, synthesize.attempts, "rollout" if acted else "composed")
    if acted:
        return await rollout(
            services, services.teacher, seed, regions, index, synthesize.rollout, episode, on_turn=on_turn
        )
    return await compose(
        services, seed, regions, index, synthesize.compose, synthesize.rollout, episode, config.seed, on_turn
    )


async def _verify(services: Services, attempt: Attempt, made: _Made, teller: Teller, pass_rate: float) -> None:
    made.evidence |= {item.evidence_id: item for item in attempt.evidence}
    if attempt.trajectory is None:
        assert attempt.reject is not None
        teller.rejected(attempt.reject)
        return
    found = await verify_trajectory(services, attempt.seed, attempt.trajectory, attempt.evidence, pass_rate)
    made.trajectories.append(attempt.trajectory)
    made.verdicts[attempt.trajectory.trajectory_id] = found.verdict
    teller.verdict(attempt.trajectory, found.verdict)
