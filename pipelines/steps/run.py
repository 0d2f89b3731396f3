"""A whole run: two phases over one lake, resumable at any point.

Phase one goes shard by shard: ingest, synthesize. Phase two runs once over all finished shards, and again when its
input changed: curate, export SFT, label, export RL. What is done is read off the part files, never off the manifest.
"""

import platform
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import pyarrow as pa

from gog.pipelines.config.addresses import plugins_of
from gog.pipelines.config.config import Config, fingerprint
from gog.pipelines.config.kept import kept
from gog.pipelines.connect.mcp_tools import with_pinned
from gog.pipelines.connect.services import begin, check_ready, open_store
from gog.pipelines.connect.stores import store_path
from gog.pipelines.export.write import SmallerExportError
from gog.pipelines.lake.lake import Lake, LakeError, Manifest, ShardState
from gog.pipelines.sources.files import ShardSpec
from gog.pipelines.steps.context import Context
from gog.pipelines.steps.curate import GLOBAL, count_kept, curate
from gog.pipelines.steps.events import write_events
from gog.pipelines.steps.export import export_rl, export_sft
from gog.pipelines.steps.ingest import Seeds, forget_seen, ingest
from gog.pipelines.steps.job_service import job_service
from gog.pipelines.steps.label import label
from gog.pipelines.steps.retry import FAILURES, forget_rejected, reasons_of, stops
from gog.pipelines.steps.runner import check_runner
from gog.pipelines.steps.synthesize import synthesize
from gog.pipelines.views.database import build_views, check_funnel, open_lake
from gog.schemas.errors import UserError
from gog.transforms import cores
from gog.transforms.beam.curate import OfSeed
from gog.transforms.services.gateway.breaker import STOPPED
from gog.transforms.services.loop import one_heap, tidy

PHASE_ONE = ("ingest", "synthesize")
STEPS = (*PHASE_ONE, "curate", "export_sft", "label", "export_rl")

_ILL: Final = "the judge "
"""How it begins that the judge is ill (`gog.transforms.synthesize.judge`)."""

OnStep = Callable[[str, int, int], None]


class FunnelError(UserError):
    """The counts do not add up: a bug, since nothing may be lost."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `stopped` says at which ceiling, or what of its judge or set-up is wrong; empty when done."""

    manifest: Manifest
    stopped: str = ""

    @property
    def advice(self) -> str:
        """What lets a run that stopped go on."""
        if self.stopped.startswith((_ILL, STOPPED)):
            return "once `gog doctor` finds it well, the same command goes on"
        return "go on with a higher ceiling"


def run(
    config: Config,
    *,
    steps: tuple[str, ...] = STEPS,
    accept: int | None = None,
    retry: frozenset[str] = frozenset(),
    runner_args: tuple[str, ...] = (),
    on_shard: OnStep = lambda step, shard, shards: None,
    replace: bool = True,
) -> RunResult:
    """Do what is missing of a run, and again what stopped at a ceiling or was rejected for a reason in `retry`.

    `accept` stops phase one as soon as that many trajectories would be kept. Raises `ConfigError`
    on an address that nobody fills and `RunnerOptionError`, before anything is done, `LakeError` when another process
    writes to the run or the run was made with another config, `SmallerExportError` unless exports may `replace` larger
    ones, `FunnelError` when rows were lost.
    """
    check_runner(runner_args)
    store_path(config)
    _small_memory()
    if {"synthesize", "label"} & set(steps):
        check_ready(config)
    config = with_pinned(config, ask=bool({"synthesize", "label"} & set(steps)))
    lake = Lake(config.lake)
    begin(config)
    with job_service(runner_args) as engine, lake.lock(config.run), ExitStack() as ending:
        seeds = Seeds.of(config)
        specs = dict(enumerate(seeds.rows.shards()))
        again = retry | stops(config) | _doubted(lake.read_manifest(config.run))
        manifest = _begin(lake, config, seeds, specs)
        place = 0

        def on_step(step: str, done: int, shards: int) -> None:
            """Phase one works on a batch at a time; what is told is how many of all shards are done."""
            in_phase_one = context.local and step in PHASE_ONE
            on_shard(step, place if in_phase_one else done, len(specs) if in_phase_one else shards)

        context = Context(config, lake, engine, on_step, manifest.fingerprint, replace)
        if context.local:
            cores.use_all_cores()
            ending.callback(cores.close)
        forget_rejected(context, again, steps)
        shards = list(specs)
        stopped, light = "", dict[int, list[OfSeed]]()
        batches = [[shard] for shard in shards] if context.local else [shards]
        for place, batch in enumerate(batches):  # noqa: B007  # on_step tells it
            if "ingest" in steps:
                ingest(context, seeds, specs, batch)
            if "synthesize" in steps:
                synthesize(context, [shard for shard in batch if context.done("ingest", shard)])
                stopped = _stop(context, batch)
                if stopped or (accept is not None and count_kept(context, light) >= accept):
                    break
        forget_seen(context)
        tidy()
        for step, work in (("curate", curate), ("export_sft", export_sft), ("label", label), ("export_rl", export_rl)):
            if step in steps and not stopped:
                try:
                    work(context)
                except SmallerExportError:
                    _end(context, manifest, stopped)
                    raise
                tidy()
                if step == "label":
                    stopped = _stop(context, context.shards_of("synthesize"), "label")
        return _end(context, manifest, stopped)


def _small_memory() -> None:
    """One heap for Python, its libraries and Arrow, whose own keeps what is free; `tidy` gives back from that one."""
    one_heap()
    pa.set_memory_pool(pa.system_memory_pool())


def made_from(config: Config, seeds: Seeds) -> str:
    """What a run's records follow from: its config and its source."""
    return f"{fingerprint(config)}-{seeds.rows.signature()}"


def _doubted(earlier: Manifest | None) -> frozenset[str]:
    """Failures of a run that a wrong set-up stopped: those before the stop may be its, too."""
    stopped = earlier is not None and earlier.state == "stopped" and earlier.detail.startswith(STOPPED)
    return FAILURES if stopped else frozenset()


def _begin(lake: Lake, config: Config, seeds: Seeds, specs: dict[int, ShardSpec]) -> Manifest:
    made = made_from(config, seeds)
    manifest = lake.read_manifest(config.run)
    if manifest is not None and manifest.fingerprint != made:
        raise LakeError(
            f"the run {config.run!r} was made with another config or source; give this one another name with --run "
            "(what did not change costs nothing: the store is shared)"
        )
    manifest = Manifest(
        run=config.run,
        fingerprint=made,
        config=kept(config),
        versions=versions(),
        plugins=plugins_of(config),
        state="running",
        shards={shard: ShardState(spec=spec.model_dump(mode="json")) for shard, spec in specs.items()},
        counts=manifest.counts if manifest else {},
        spend=manifest.spend if manifest else {},
    )
    lake.write_manifest(manifest)
    return manifest


def versions() -> dict[str, str]:
    """Versions of what decides the bytes of records and exports."""
    names = ("glance-or-gaze", "apache-beam", "pyarrow", "pillow", "numpy", "duckdb")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def _stop(context: Context, shards: list[int], step: str = "synthesize") -> str:
    """What the budget said, when something of these shards left because of it, or why the judge was taken for ill, or
    what is wrong with the set-up.
    """
    said = ""
    for shard in shards:
        for reason, detail in reasons_of(context.lake, context.run, step, shard):
            if reason == "budget.reached":
                _, named, ceiling = detail.partition("max_")
                if named:
                    return named + ceiling
                said = said or "a ceiling of the budget was reached"
            if reason == "judge.ill":
                _, begins, words = detail.partition(_ILL)
                if begins and words:
                    return begins + words
                said = f"{_ILL}gives replies without a verdict"
            if reason == "setup.wrong":
                _, begins, words = detail.partition(STOPPED)
                if begins and words:
                    return begins + words
                said = STOPPED + detail
    return said


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
    finished = context.done("export_rl", GLOBAL)
    # A step alone may go on with what there is; the run has still stopped.
    short = stopped or _stop(context, context.shards_of("synthesize"))
    short = short or _stop(context, context.shards_of("label"), "label")
    done = manifest.model_copy(
        update={
            "state": "stopped" if short else "failed" if wrong else "done" if finished else "running",
            "detail": short or "; ".join(wrong),
            "counts": counts,
            "spend": {"calls": spent.calls, "cost": spent.cost},
        }
    )
    context.lake.write_manifest(done)
    if wrong:
        raise FunnelError(f"rows were lost: {'; '.join(wrong)}")
    return RunResult(done, stopped)
