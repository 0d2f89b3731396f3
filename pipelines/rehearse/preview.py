"""A few seeds through all stages, one after the other, with every turn told as it happens.

The stages and the store are those of a run, so nothing is paid twice; no table of the run is written. The calls are
booked under the run's name with `-preview` behind it, those of each seed apart: a plan estimates from them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gog.pipelines.config.config import Config
from gog.pipelines.connect.mcp_tools import with_pinned
from gog.pipelines.connect.services import services_for
from gog.pipelines.connect.stores import store_path
from gog.pipelines.lake.lake import Lake, write_atomic
from gog.pipelines.rehearse.outcomes import keep_outcome
from gog.pipelines.rehearse.samples import booked, part_of
from gog.pipelines.rehearse.transcript import COMPOSED, Teller
from gog.pipelines.show.contact_sheet import contact_sheet, pick_example, png_bytes
from gog.pipelines.show.trajectory import Records, view_of
from gog.pipelines.steps.ingest import Seeds
from gog.schemas import Evidence, Region, Reject, Seed, Trajectory, Verdict
from gog.transforms.ingest.seeds import filter_seed
from gog.transforms.services.loop import run_on_loop
from gog.transforms.synthesize.propose import Proposed
from gog.transforms.synthesize.rollout import Attempt
from gog.transforms.synthesize.screen import Screened
from gog.transforms.synthesize.services import Services
from gog.transforms.synthesize.stages import STAGES, Item, Stage
from gog.transforms.synthesize.verify import Verified


@dataclass(slots=True)
class _Made:
    """What came of a seed."""

    regions: tuple[Region, ...] = ()
    evidence: dict[str, Evidence] = field(default_factory=dict)
    trajectories: list[Trajectory] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)


def preview(config: Config, count: int, teller: Teller) -> list[Path]:
    """Show the first `count` seeds that can be read; returns the contact sheets, drawn below `LAKE/previews/RUN`."""
    store_path(config)
    config = with_pinned(config)
    seeds = Seeds.of(config)
    lake = Lake(config.lake)
    folder = lake.root / "previews" / config.run
    services = services_for(config.model_copy(update={"run": booked(config.run)}).model_dump_json())
    sheets = []
    number = 0
    for seed in _seeds(seeds, config, lake):
        if isinstance(seed, Reject):
            teller.unread(seed)
            continue
        number += 1
        teller.seed(seed, number, count)
        services.gateway.run = part_of(config, seed.seed_id)
        outcome = _Made()
        run_on_loop(_through(STAGES, services, Item(seed), config, teller, outcome))
        keep_outcome(lake, config, seed.seed_id, outcome.trajectories, outcome.verdicts)
        example = pick_example(outcome.trajectories, outcome.verdicts)
        if example is not None:
            verdict = outcome.verdicts.get(example.trajectory_id)
            view = view_of(Records(example, seed, verdict, outcome.evidence, outcome.regions))
            path = folder / f"{number:02d}.png"
            write_atomic(path, png_bytes(contact_sheet(view, lake.images)), sync=False)
            teller.drawn(path)
            sheets.append(path)
        if number == count:
            break
    teller.form()
    return sheets


def _seeds(seeds: Seeds, config: Config, lake: Lake) -> Iterator[Seed | Reject]:
    """Seeds in the order of the source, each with its image in the lake; rejects of rows that are none."""
    for spec in seeds.rows.shards():
        for row in seeds.rows.read_shard(spec):
            ingested = seeds.read(row, config)
            if not isinstance(ingested, Reject):
                ingested = filter_seed(row, ingested, config.filters)
            if not isinstance(ingested, Reject):
                for picture in ingested.pictures:
                    lake.images.put(picture.data, picture.suffix)
            yield ingested if isinstance(ingested, Reject) else ingested.seed


async def _through(
    stages: Sequence[Stage], services: Services, item: Item, config: Config, teller: Teller, made: _Made
) -> None:
    """An item through the stages that are left, and what came of it through those behind, one after the other."""
    stage, *left = stages
    on_turn = None
    if stage.name == "synthesize" and item.trajectory is None:
        acted = item.sample_index < config.synthesize.rollouts
        how = "rollout" if acted else COMPOSED
        on_turn = teller.attempt(item.sample_index, config.synthesize.attempts, how)
    outcome = await stage.run(services, config.stages, item, on_turn)
    match outcome.result:
        case Screened() as screened:
            teller.screened(screened)
        case Proposed() as proposed:
            made.regions = proposed.regions
            teller.regions(proposed, item.seed)
        case Attempt() as attempt:
            made.evidence |= {evidence.evidence_id: evidence for evidence in attempt.evidence}
            if item.trajectory is not None:
                teller.easy(item.trajectory)
            elif attempt.reject is not None:
                teller.rejected(attempt.reject)
        case Verified() as verified:
            made.trajectories.append(verified.trajectory)
            made.verdicts[verified.trajectory.trajectory_id] = verified.verdict
            teller.verdict(verified.trajectory, verified.verdict)
    for following in outcome.items if left else ():
        await _through(left, services, following, config, teller, made)
