"""What every pipeline of a run works with: the config, the lake, the runner, and which parts are there."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, WorkerOptions
from apache_beam.runners.runner import PipelineResult

from gog.pipelines.config.config import Config
from gog.pipelines.connect.services import services_for
from gog.pipelines.lake.disk import disk_advice
from gog.pipelines.lake.lake import STEP_TABLES, Lake, LakeError
from gog.pipelines.steps.runner import gave_up, losing_no_worker
from gog.schemas import Seed
from gog.transforms.beam.counters import totals
from gog.transforms.beam.parts import WriteParts
from gog.transforms.beam.rows import CountRows
from gog.transforms.beam.window import CallFailed
from gog.transforms.place import content_tag
from gog.transforms.services.loop import tidy
from gog.transforms.synthesize.services import Services

_log = logging.getLogger(__name__)

LOCAL_RUNNER: Final = "FnApiRunner"
"""Named, because `DirectRunner` first tries to fetch another runner from the network."""


@dataclass(frozen=True)
class Context:
    """A run on its way. `runner_args` are Beam's own options; without any the run is local."""

    config: Config
    lake: Lake
    runner_args: tuple[str, ...] = ()
    on_shard: Callable[[str, int, int], None] = field(default=lambda step, shard, shards: None)
    """Told of each shard before it starts: step, how many are done, how many there are."""
    fingerprint: str = ""
    replace: bool = True
    """Whether an export may take the place of one with more rows."""

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.config.run

    @property
    def make_services(self) -> Callable[[], Services]:
        """Opens the services in a worker."""
        return partial(services_for, self.config.model_dump_json())

    @property
    def local(self) -> bool:
        """Whether shards run one after another on this machine."""
        return not any(arg.startswith("--runner") for arg in self.runner_args)

    def pipeline(self) -> beam.Pipeline:
        """A pipeline on the chosen runner. Workers log from `INFO` on; every call too where this process would."""
        options = PipelineOptions([*self.runner_args])
        if _log.isEnabledFor(logging.DEBUG):
            workers = options.view_as(WorkerOptions)
            workers.sdk_harness_log_level_overrides = {"gog": "DEBUG"} | (workers.sdk_harness_log_level_overrides or {})
        if self.local:
            return beam.Pipeline(runner=LOCAL_RUNNER, options=options)
        return beam.Pipeline(options=options)

    def done(self, step: str, shard: int) -> bool:
        """Whether the step has finished the shard."""
        return all(self.lake.part_path(self.run, table, step, shard).exists() for table in STEP_TABLES[step])

    def missing(self, step: str, shards: Iterable[int]) -> list[int]:
        """Shards that the step has yet to do."""
        return [shard for shard in shards if not self.done(step, shard)]

    def forget(self, step: str, shards: Iterable[int] | None = None) -> None:
        """Remove a step's parts, so that it is done again."""
        for table in STEP_TABLES[step]:
            for path in self.lake.parts(self.run, table, step):
                if shards is None or path.name in {self.lake.part_path(self.run, table, step, s).name for s in shards}:
                    path.unlink(missing_ok=True)

    def shards_of(self, step: str) -> list[int]:
        """Shards that the step has finished."""
        return sorted(self.lake.done(self.run, step))

    def each(self, step: str, shards: Sequence[int], build: Callable[[beam.Pipeline, list[int]], None]) -> None:
        """Run a pipeline over the shards that are missing: one a shard locally, one for all on other runners."""
        todo = self.missing(step, shards)
        batches = [[shard] for shard in todo] if self.local else ([todo] if todo else [])
        for number, batch in enumerate(batches):
            self.on_shard(step, len(shards) - len(todo) + number, len(shards))
            pipeline = self.pipeline()
            build(pipeline, batch)
            finish(pipeline, step)
            tidy()

    def write(self, step: str, rows: beam.PCollection, counts: beam.PCollection, batch: list[int]) -> None:
        """Write a step's rows, and what it counted, as the parts of a batch of shards."""
        written = (rows, counts | CountRows()) | beam.Flatten()
        written | WriteParts(str(self.lake.root), self.run, step, STEP_TABLES[step], batch)

    def digest(self, step: str, tables: Iterable[str]) -> str:
        """Hash of a step's parts in some tables: what a later step was made from."""
        found = hashlib.sha256()
        for table in tables:
            for path in self.lake.parts(self.run, table, step):
                found.update(path.name.encode() + content_tag(path).encode())
        return found.hexdigest()[:16]


def finish(pipeline: beam.Pipeline, step: str) -> None:
    """Run a step's pipeline to its end, and log what it counted.

    Beam tells of a failed step in a wrapping of its own, and in the log. Where an error of ours is inside, that one is
    raised, a `LakeError` where it is the disk's, and a `RunnerError` from a runner that is not the local one; anything
    else is a bug and comes as Beam gives it.
    """
    beams = logging.getLogger("apache_beam.runners")
    level = beams.level
    beams.setLevel(logging.CRITICAL)
    try:
        _log.info("pipeline started step=%s", step)
        result = losing_no_worker(lambda: _finished(pipeline))
        _log.info("pipeline done step=%s %s", step, " ".join(f"{name}={n}" for name, n in totals(result).items()))
    except Exception as error:
        causes = list(causes_of(error))
        for cause in causes:
            if type(cause).__module__.startswith("gog.") and not _beams(cause):
                raise cause from None
        for cause in causes:
            if isinstance(cause, OSError) and (advice := disk_advice(cause)):
                raise LakeError(f"cannot write to the lake: {advice}") from error
        runner = type(pipeline.runner).__name__
        if runner == LOCAL_RUNNER:
            raise
        _log.info("the runner's error", exc_info=error)
        raise gave_up(runner, error) from error
    finally:
        beams.setLevel(level)


def _finished(pipeline: beam.Pipeline) -> PipelineResult:
    result = pipeline.run()
    result.wait_until_finish()
    return result


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The error and what is behind it, from the last to the first. A cause raised again leads back to itself: once."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _beams(error: BaseException) -> bool:
    """Whether it only carries another: the window's, or Beam's copy with the name of the step."""
    return isinstance(error, CallFailed) or getattr(error, "_tagged_with_step", False)


def read_seeds(shard: int, lake_root: str, run: str) -> Iterator[tuple[int, Seed]]:
    """A shard's seeds as `(shard, Seed)`."""
    for seed in Lake(lake_root).read_table(run, "seeds", Seed, "ingest", shard):
        yield shard, seed
