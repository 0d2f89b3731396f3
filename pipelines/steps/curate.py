"""The curate pipeline: best of k within each shard, then one decision over all of them."""

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import apache_beam as beam

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import STEP_TABLES, Lake, write_atomic
from gog.pipelines.sources.benchmarks import benchmarks_of
from gog.pipelines.steps.context import Context
from gog.schemas import Reject, Screening, Seed, Trajectory, Unit, Verdict
from gog.transforms.beam.curate import CurateByGroups, CurateSettings, CurateTogether, OfSeed, curate_all
from gog.transforms.beam.parts import WriteParts
from gog.transforms.beam.rows import COUNTS, ROWS, CountRows, count, row
from gog.transforms.curate.balance import LightTrajectory
from gog.transforms.curate.overlaps import check_trajectories
from gog.transforms.curate.select import Candidate, select
from gog.transforms.curate.splits import LightSeed
from gog.transforms.filters.use import Refusal, filters_after, refusal

GLOBAL = 0
"""Steps that write one part for all shards number it 0."""


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
    settings = _settings(context.config)
    rows, counts = best.main | "Decide" >> (CurateTogether(settings) if context.local else CurateByGroups(settings))
    all_counts = (best[COUNTS], counts) | "Counts" >> beam.Flatten() | CountRows()
    written = (best[ROWS], rows, all_counts) | "Rows" >> beam.Flatten()
    written | WriteParts(root, context.run, "curate", STEP_TABLES["curate"], sorted({GLOBAL, *shards}))
    context.finish(pipeline, "curate")
    write_atomic(mark, json.dumps(inputs).encode())


def read_mark(path: Path) -> object:
    """What a step noted of its inputs when it was done; None when it was not."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _settings(config: Config) -> CurateSettings:
    return CurateSettings(config.curate.balance, config.curate.splits, config.seed)


def _best(shard: int, root: str, run: str, config: Config) -> Iterator[Any]:
    """A shard's seeds with their best trajectories, light; rejects for the other verified ones."""
    seeds, rejects, verified = best_of_shard(Lake(root), run, shard, config)
    yield from seeds
    yield from (row(shard, reject) for reject in rejects)
    yield count("curate", Unit.TRAJECTORY, shard, entered=verified, passed=0)


def best_of_shard(lake: Lake, run: str, shard: int, config: Config) -> tuple[list[OfSeed], list[Reject], int]:
    """Seeds with their best trajectories, rejects of the others, and how many were verified."""
    screened = {s.seed_id for s in lake.read_table(run, "screenings", Screening, "synthesize", shard)}
    filters = filters_after("curate", config.filters)
    seeds: list[LightSeed] = []
    whole: dict[str, Seed] = {}
    for seed in lake.read_table(run, "seeds", Seed, "ingest", shard):
        if seed.seed_id in screened:
            pictures = (*seed.image_hashes, *seed.image_like)
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
    best: dict[str, tuple[LightTrajectory, ...]] = {}
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
        best[seed_id] = tuple(
            _light(
                candidate.trajectory,
                refusal(filters, whole[seed_id], candidate.trajectory, candidate.verdict) if filters else None,
            )
            for candidate in chosen
        )
        rejects.extend(left)
    return [OfSeed(shard, seed, best.get(seed.seed_id, ())) for seed in seeds], rejects, len(verdicts)


def _light(trajectory: Trajectory, objection: Refusal | None) -> LightTrajectory:
    return LightTrajectory(
        trajectory.trajectory_id, trajectory.seed_id, trajectory.behaviour, trajectory.origin, objection
    )


def count_kept(context: Context, known: dict[int, list[OfSeed]]) -> int:
    """How many trajectories would be kept of the shards synthesized so far; `known` are those read before."""
    for shard in context.shards_of("synthesize"):
        if shard not in known:
            known[shard], _, _ = best_of_shard(context.lake, context.run, shard, context.config)
    return len(curate_all(chain.from_iterable(known.values()), _settings(context.config)).kept)
