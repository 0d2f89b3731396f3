"""The curate pipeline: best of k within each shard, then one decision over all of them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import apache_beam as beam

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import STEP_TABLES, Lake, write_atomic
from gog.pipelines.sources.benchmarks import benchmarks_of
from gog.pipelines.steps.context import Context
from gog.schemas import Reject, Row, Screening, Seed, Trajectory, Unit, Verdict
from gog.transforms.beam.parts import WriteParts
from gog.transforms.beam.rows import COUNTS, ROWS, CountRows, count, row
from gog.transforms.curate.balance import LightTrajectory
from gog.transforms.curate.curate import Curation
from gog.transforms.curate.curate import curate as decide
from gog.transforms.curate.overlaps import check_trajectories
from gog.transforms.curate.select import Candidate, select
from gog.transforms.curate.splits import LightSeed
from gog.transforms.filters.use import Refusal, filters_after, refusal

GLOBAL = 0
"""Steps over all shards write one part, numbered 0."""

Light = tuple[list[LightSeed], list[LightTrajectory]]
"""A shard's screened seeds and their best trajectories."""


def curate(context: Context) -> None:
    """Curate all synthesized shards; nothing to do when they are those of the last time."""
    inputs = context.digest("synthesize", ("screenings", "trajectories", "verdicts"))
    mark = context.lake.run_folder(context.run) / "curated" / "inputs.json"
    if context.done("curate", GLOBAL) and read_mark(mark) == inputs:
        return
    for step in ("curate", "export_sft", "label", "export_rl"):
        context.forget(step)
    mark.unlink(missing_ok=True)
    context.on_shard("curate", 0, 1)
    root, shards = str(context.lake.root), context.shards_of("synthesize")
    pipeline = context.pipeline()
    best = context.begin(pipeline, "curate", shards) | "BestOfK" >> beam.FlatMap(
        _best, root, context.run, context.config
    ).with_outputs(ROWS, COUNTS, main="main")
    decided = (
        best.main
        | "Together" >> beam.GroupByKey()
        | "Decide" >> beam.FlatMap(_decide, context.config).with_outputs(ROWS, COUNTS, main="main")
    )
    counts = (best[COUNTS], decided[COUNTS]) | "Counts" >> beam.Flatten() | CountRows()
    written = (best[ROWS], decided[ROWS], counts) | "Rows" >> beam.Flatten()
    written | WriteParts(root, context.run, "curate", STEP_TABLES["curate"], [GLOBAL])
    context.finish(pipeline, "curate")
    write_atomic(mark, json.dumps(inputs).encode())


def read_mark(path: Path) -> object:
    """What a step noted of its inputs when it was done; None when it was not."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _best(shard: int, root: str, run: str, config: Config) -> Iterator[Any]:
    """A shard's seeds and their best trajectories, light; rejects for the other verified ones."""
    seeds, best, rejects, verified = best_of_shard(Lake(root), run, shard, config)
    yield None, (seeds, best)
    yield from (row(GLOBAL, reject) for reject in rejects)
    yield count("curate", Unit.TRAJECTORY, GLOBAL, entered=verified, passed=0)


def best_of_shard(
    lake: Lake, run: str, shard: int, config: Config
) -> tuple[list[LightSeed], list[LightTrajectory], list[Reject], int]:
    """Light seeds, light best trajectories, rejects of the others, and how many were verified."""
    screened = {s.seed_id for s in lake.read_table(run, "screenings", Screening, "synthesize", shard)}
    filters = filters_after("curate", config.filters)
    seeds: list[LightSeed] = []
    whole: dict[str, Seed] = {}
    for seed in lake.read_table(run, "seeds", Seed, "ingest", shard):
        if seed.seed_id in screened:
            pictures = (seed.image_sha256, *seed.image_like)
            seeds.append(LightSeed(seed.seed_id, seed.entity, seed.gold_page, pictures, seed.question))
            if filters:
                whole[seed.seed_id] = seed
    verdicts = {
        v.trajectory_id: v for v in lake.read_table(run, "verdicts", Verdict, "synthesize", shard) if not v.reasons
    }
    by_seed: dict[str, list[Candidate]] = defaultdict(list)
    for trajectory in lake.read_table(run, "trajectories", Trajectory, "synthesize", shard):
        verdict = verdicts.get(trajectory.trajectory_id)
        if verdict is not None:
            by_seed[trajectory.seed_id].append(Candidate(trajectory, verdict))
    best: list[LightTrajectory] = []
    rejects: list[Reject] = []
    open_index = benchmarks_of(config)
    benchmarks = open_index() if open_index is not None else None
    for seed_id in sorted(by_seed):
        verified = by_seed[seed_id]
        if benchmarks is not None:
            # Before the best is chosen, so that an attempt that brought in nothing can take its place.
            verified, overlaps = check_trajectories(verified, lake.images, benchmarks)
            rejects.extend(overlaps)
        chosen, left = select(verified, config.curate.keep, prefer_reflective=config.curate.prefer_reflective)
        for trajectory, verdict in ((candidate.trajectory, candidate.verdict) for candidate in chosen):
            objection = refusal(filters, whole[seed_id], trajectory, verdict) if filters else None
            best.append(_light(trajectory, objection))
        rejects.extend(left)
    return seeds, best, rejects, len(verdicts)


def _light(trajectory: Trajectory, objection: Refusal | None) -> LightTrajectory:
    return LightTrajectory(
        trajectory.trajectory_id, trajectory.seed_id, trajectory.behaviour, trajectory.origin, objection
    )


def _decide(group: tuple[None, Iterable[Light]], config: Config) -> Iterator[Any]:
    found = decide_all(group[1], config)
    for record in chain[Row](found.groups, found.kept, found.rejects):
        yield row(GLOBAL, record)
    yield count("curate", Unit.TRAJECTORY, GLOBAL, entered=0, passed=len(found.kept))


def decide_all(shards: Iterable[Light], config: Config) -> Curation:
    """The decision over all shards."""
    seeds: list[LightSeed] = []
    best: list[LightTrajectory] = []
    for some_seeds, some_best in shards:
        seeds += some_seeds
        best += some_best
    settings = config.curate
    return decide(seeds, best, settings.balance, settings.splits, run_seed=config.seed)


def count_kept(context: Context, known: dict[int, Light]) -> int:
    """How many trajectories would be kept of the shards synthesized so far; `known` are those read before."""
    for shard in context.shards_of("synthesize"):
        if shard not in known:
            seeds, best, _, _ = best_of_shard(context.lake, context.run, shard, context.config)
            known[shard] = seeds, best
    return len(decide_all(known.values(), context.config).kept)
