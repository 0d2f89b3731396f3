"""What every pipeline of a run works with: the config, the lake, the runner, and which parts are there."""

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar
from uuid import uuid4

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, WorkerOptions

from gog.pipelines.config.config import Config
from gog.pipelines.connect.services import services_for
from gog.pipelines.lake.disk import Room
from gog.pipelines.lake.lake import STEP_TABLES, Lake, write_atomic
from gog.pipelines.steps.job import LOCAL_RUNNER, finish
from gog.pipelines.steps.job_service import Engine
from gog.schemas import Seed
from gog.transforms.beam.parts import WriteParts
from gog.transforms.beam.rows import CountRows
from gog.transforms.place import content_tag
from gog.transforms.services.loop import tidy
from gog.transforms.synthesize.services import Services

T = TypeVar("T")

_log = logging.getLogger(__name__)

_LOCAL: Final = Engine()


@dataclass(frozen=True)
class Context:
    """A run on its way. Without options for Beam it is local."""

    config: Config
    lake: Lake
    engine: Engine = _LOCAL
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
        return not any(arg.startswith("--runner") for arg in self.engine.args)

    def pipeline(self) -> beam.Pipeline:
        """A pipeline on the chosen runner. Workers log from `INFO` on; every call too where this process would."""
        options = PipelineOptions([*self.engine.args])
        if _log.isEnabledFor(logging.DEBUG):
            workers = options.view_as(WorkerOptions)
            workers.sdk_harness_log_level_overrides = {"gog": "DEBUG"} | (workers.sdk_harness_log_level_overrides or {})
        if self.local:
            return beam.Pipeline(runner=LOCAL_RUNNER, options=options)
        job = options.view_as(GoogleCloudOptions)
        if not job.job_name:  # which engines show, and by which a job is found again
            run = re.sub("[^a-z0-9]+", "-", self.run.lower()).strip("-")[:40]
            job.job_name = f"gog-{run}-{uuid4().hex[:8]}"
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
        todo, room = self.missing(step, shards), Room(self.lake.root)
        batches = [[shard] for shard in todo] if self.local else ([todo] if todo else [])
        for number, batch in enumerate(batches):
            room.check()
            self.on_shard(step, len(shards) - len(todo) + number, len(shards))
            pipeline = self.pipeline()
            build(pipeline, batch)
            self.finish(pipeline, step)
            tidy()

    def begin(self, pipeline: beam.Pipeline, step: str, items: Iterable[object]) -> beam.PCollection:
        """What a pipeline begins with; on an engine its workers leave a mark, by which is known that they work."""
        created = pipeline | "Shards" >> beam.Create(list(items))
        if self.local:
            return created
        return created | "Begun" >> beam.Map(_begun, str(self.lake.root), self.run, step)

    def finish(self, pipeline: beam.Pipeline, step: str) -> None:
        """Run a step's pipeline to its end (see `job.finish`)."""
        if self.local:
            finish(pipeline, step)
            return
        mark = self.lake.begun_path(self.run, step)
        mark.unlink(missing_ok=True)
        try:
            finish(pipeline, step, self.engine.name, mark.exists)
        finally:
            mark.unlink(missing_ok=True)

    def write(self, step: str, rows: beam.PCollection, counts: beam.PCollection, batch: list[int]) -> None:
        """Write a step's rows, and what it counted, as the parts of a batch of shards."""
        written = (rows, counts | CountRows()) | beam.Flatten()
        written | WriteParts(str(self.lake.root), self.run, step, STEP_TABLES[step], batch)

    def digest(self, step: str, tables: Iterable[str]) -> str:
        """Hash of a step's parts in some tables: what a later step was made from."""
        found = hashlib.sha256()
        for table in tables:
            for path in self.lake.parts(self.run, table, step):
                found.update(path.name.encode() + content_tag(path))
        return found.hexdigest()[:16]


def _begun(item: T, root: str, run: str, step: str) -> T:
    """Leave a mark in the lake, which must be that of the process that waits."""
    write_atomic(Lake(root, create=False).begun_path(run, step), b"")
    return item


def read_seeds(shard: int, lake_root: str, run: str) -> Iterator[tuple[int, Seed]]:
    """A shard's seeds as `(shard, Seed)`."""
    for seed in Lake(lake_root).read_table(run, "seeds", Seed, "ingest", shard):
        yield shard, seed
