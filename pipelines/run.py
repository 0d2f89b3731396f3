"""A whole run: two phases over one lake, resumable at any point.

Phase one goes shard by shard: ingest, synthesize. Phase two runs once over all finished shards, and again when its
input changed: curate, export SFT, label, export RL. What is done is read off the part files, never off the manifest.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from gog.pipelines.config import Config, fingerprint
from gog.pipelines.context import Context
from gog.pipelines.curate import count_kept, curate
from gog.pipelines.events import write_events
from gog.pipelines.export import export_rl, export_sft
from gog.pipelines.ingest import Seeds, ingest
from gog.pipelines.label import label
from gog.pipelines.lake import Lake, LakeError, Manifest
from gog.pipelines.opening import open_store
from gog.pipelines.synthesize import synthesize
from gog.pipelines.views import build_views, check_funnel, open_lake
from gog.schemas import Reject

STEPS = ("ingest", "synthesize", "curate", "export_sft", "label", "export_rl")

OnStep = Callable[[str, int, int], None]


class FunnelError(Exception):
    """The counts do not add up: a bug, since nothing may be lost."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `stopped` says at which ceiling, empty when it is done."""

    manifest: Manifest
    stopped: str = ""


def run(
    config: Config,
    *,
    steps: tuple[str, ...] = STEPS,
    accept: int | None = None,
    runner_args: tuple[str, ...] = (),
    on_shard: OnStep = lambda step, shard, shards: None,
) -> RunResult:
    """Do what is missing of a run.

    `accept` stops phase one as soon as that many trajectories would be kept. Raises `LakeError` when another process
    writes to the run or the run was made with another config, `FunnelError` when rows were lost.
    """
    lake = Lake(Path(config.lake))
    with lake.lock(config.run):
        seeds = Seeds.of(config)
        manifest = _begin(lake, config, seeds)
        context = Context(config, lake, runner_args, on_shard, manifest.fingerprint)
        specs = dict(enumerate(seeds.rows.shards()))
        shards = list(specs)
        stopped = ""
        for batch in [[shard] for shard in shards] if context.local else [shards]:
            if "ingest" in steps:
                ingest(context, seeds, specs, batch)
            if "synthesize" in steps:
                synthesize(context, batch)
                stopped = _ceiling(context, batch)
                if stopped or (accept is not None and count_kept(context) >= accept):
                    break
        for step, work in (("curate", curate), ("export_sft", export_sft), ("label", label), ("export_rl", export_rl)):
            if step in steps and not stopped:
                work(context)
                if step == "label":
                    stopped = _ceiling(context, context.shards_of("synthesize"), "label")
        return _end(context, manifest, stopped)


def _begin(lake: Lake, config: Config, seeds: Seeds) -> Manifest:
    made = f"{fingerprint(config)}-{seeds.rows.signature()}"
    manifest = lake.read_manifest(config.run)
    if manifest is not None and manifest.fingerprint != made:
        raise LakeError(
            f"the run {config.run!r} was made with another config; give this one another name with --run "
            "(what did not change costs nothing: the store is shared)"
        )
    manifest = Manifest(
        run=config.run,
        fingerprint=made,
        config=config.model_dump(mode="json"),
        versions=versions(),
        state="running",
        counts=manifest.counts if manifest else {},
        spend=manifest.spend if manifest else {},
    )
    lake.write_manifest(manifest)
    return manifest


def versions() -> dict[str, str]:
    """Versions of what decides the bytes of records and exports."""
    names = ("glance-or-gaze", "apache-beam", "pyarrow", "pillow", "numpy", "duckdb")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def _ceiling(context: Context, shards: list[int], step: str = "synthesize") -> str:
    """What the budget said, when rows of these shards left because of it."""
    for shard in shards:
        for reject in context.lake.read_table(context.run, "rejects", Reject, step, shard):
            if reject.reason == "budget.reached":
                return reject.detail
    return ""


def _end(context: Context, manifest: Manifest, stopped: str) -> RunResult:
    store = open_store(context.config)
    store.flush()
    write_events(context, store)
    spent = store.spend(context.run)
    folder = context.lake.run_folder(context.run)
    build_views(folder)
    with open_lake(folder) as views:
        wrong = check_funnel(views)
        counts = {
            f"{stage}.{unit}": passed
            for stage, unit, passed in views.execute("select stage, unit, passed from funnel").fetchall()
        }
    done = manifest.model_copy(
        update={
            "state": "stopped" if stopped else "failed" if wrong else "done",
            "detail": stopped or "; ".join(wrong),
            "counts": counts,
            "spend": {"calls": spent.calls, "cost": spent.cost},
        }
    )
    context.lake.write_manifest(done)
    if wrong:
        raise FunnelError(f"rows were lost: {'; '.join(wrong)}")
    return RunResult(done, stopped)
