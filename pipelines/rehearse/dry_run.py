"""The jobs of a run, built and checked as an engine would get them, without sending one."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
from apache_beam.coders import registry
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.pipeline import PipelineVisitor
from apache_beam.portability import common_urns, python_urns
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.transforms.environments import DockerEnvironment

from gog.pipelines.config.config import Config
from gog.pipelines.connect.stores import store_path
from gog.pipelines.export.readings import RlReadings, SftReadings
from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.rehearse import load_functions
from gog.pipelines.rehearse.checks import Check
from gog.pipelines.rehearse.engine import engine_checks
from gog.pipelines.steps.context import Context
from gog.pipelines.steps.curate import curate
from gog.pipelines.steps.export_job import run_job
from gog.pipelines.steps.ingest import Seeds, ingest
from gog.pipelines.steps.job_service import Engine
from gog.pipelines.steps.label import label
from gog.pipelines.steps.runner import known_options, runner_name
from gog.pipelines.steps.synthesize import synthesize
from gog.transforms.export.target import PLAIN

MOST_BYTES: Final = 10 * 1 << 20
"""Of a job's description, which Dataflow takes up to 10 MB."""
IMAGE: Final = re.compile(r"(?:[\w.-]+(?::\d+)?/)?[\w./-]+(?::[\w.-]+|@sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class Job:
    """A step's pipeline as it would be sent: Beam's own description, and its form for the checks of keys."""

    step: str
    pipeline: beam.Pipeline
    proto: Any

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.proto.ByteSize())

    def kinds(self) -> Counter[str]:
        """How many transforms there are of each kind, by URN."""
        return Counter(transform.spec.urn for transform in self.proto.components.transforms.values())

    def functions(self) -> dict[str, bytes]:
        """Pickled functions by the transform that has them."""
        found: dict[str, bytes] = {}
        for transform in self.proto.components.transforms.values():
            if transform.spec.urn == common_urns.primitives.PAR_DO.urn:
                payload = beam.portability.api.beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
                if payload.do_fn.urn == python_urns.PICKLED_DOFN_INFO:
                    found[transform.unique_name] = payload.do_fn.payload
        return found


@dataclass(frozen=True)
class _Dry(Context):
    """A context whose pipelines are kept in place of run; every shard is missing, and none is forgotten."""

    jobs: list[Job] = field(default_factory=list)
    shards: tuple[int, ...] = ()

    def pipeline(self) -> beam.Pipeline:
        return beam.Pipeline(runner=PortableRunner(), options=PipelineOptions([]))

    def missing(self, step: str, shards: Any) -> list[int]:
        return list(self.shards)

    def shards_of(self, step: str) -> list[int]:
        return list(self.shards)

    def finish(self, pipeline: beam.Pipeline, step: str) -> None:
        image = DockerEnvironment(container_image="none:none")
        proto = PortableRunner._optimize_pipeline(
            pipeline.to_runner_api(default_environment=image), PipelineOptions([])
        )
        self.jobs.append(Job(step, pipeline, proto))


def jobs_of(config: Config, args: tuple[str, ...]) -> list[Job]:
    """The jobs of a whole run, in order. Raises what building them raises."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = Seeds.of(config)
        specs = dict(enumerate(seeds.rows.shards()))
        runner = args if any(arg.startswith("--runner") for arg in args) else ("--runner=PortableRunner", *args)
        context = _Dry(config, Lake(folder), Engine("", runner), shards=tuple(specs))
        ingest(context, seeds, specs, list(specs))
        synthesize(context, list(specs))
        curate(context)
        label(context)
        exports = (
            SftReadings(config.episode, config.export, PLAIN, {}),
            RlReadings(config.episode, config.export, PLAIN),
        )
        for readings in exports:
            run_job(context, readings, Path(folder))
        return context.jobs


def dry_run(config: Config, args: tuple[str, ...]) -> list[Check]:
    """All checks of a run on an engine that can be made here."""
    return [*_options(args), *_reach(config), *_jobs(config, args)]


def _options(args: tuple[str, ...]) -> Iterator[Check]:
    if not args:
        yield Check(
            "runner", "ok", "none is named: the run is local", "name one behind `--`, as --runner=DataflowRunner"
        )
        return
    checks = list(engine_checks(args))
    yield from checks
    known, _ = known_options(args)
    if runner_name(known.runner) != "dataflowrunner":
        return
    # Beam's own checks of Dataflow go by the name of the runner's class; without its extra there is no other.
    runner = type("DataflowRunner", (), {"get_default_gcp_region": lambda self: None})()
    wrong = PipelineOptionsValidator(PipelineOptions([*args]), runner).validate()
    for line in wrong:
        yield Check("options", "problem", one_line(line), "see Dataflow in the documentation")
    if not wrong:
        yield Check("options", "ok", f"project {known.project}, region {known.region}, {known.temp_location}")
    image = known.sdk_container_image
    if not image:
        found = "none is named: Dataflow's own has Beam and lacks glance-or-gaze"
        yield Check(
            "image", "problem", found, "build one from the Dockerfile: --sdk_container_image=REGION-docker.pkg.dev/..."
        )
    elif not IMAGE.fullmatch(image):
        yield Check(
            "image", "problem", f"{image} has no tag", "give it one that is never reused, or a digest (@sha256:...)"
        )
    else:
        python = ".".join(map(str, sys.version_info[:2]))
        needed = f"it must hold Python {python}, apache-beam {version('apache-beam')}, glance-or-gaze"
        yield Check("image", "ok", f"{image}; {needed} {version('glance-or-gaze')} (not looked into)")


def _reach(config: Config) -> Iterator[Check]:
    """What workers must reach."""
    if "://" in config.lake:
        yield Check("lake", "ok", f"{config.lake}: any worker with its keys reaches it")
    else:
        advice = "name an address, as --lake gs://BUCKET/lake, or mount it at the same path on every machine"
        yield Check("lake", "warning", f"{config.lake} is a folder of this machine", advice)
    where = str(store_path(config))
    if where.startswith(("postgres", "gs:", "s3:", "az")):
        yield Check("store", "ok", f"{where.partition('@')[2] or where}: all workers share it")
    else:
        advice = "workers on other machines need one they share: store: postgresql://USER@HOST/DATABASE"
        yield Check("store", "warning", f"{where} is on this machine", advice)
    keys = sorted(name for name in os.environ if name.endswith("_API_KEY"))
    if keys:
        yield Check(
            "keys", "warning", f"{', '.join(keys)} are set here", "workers need those of the config in their image"
        )


def _jobs(config: Config, args: tuple[str, ...]) -> Iterator[Check]:
    jobs = jobs_of(config, args)
    for job in jobs:
        kinds = job.kinds()
        shuffles = kinds[common_urns.primitives.GROUP_BY_KEY.urn]
        functions = job.functions()
        largest = max(functions.items(), key=lambda item: len(item[1]))
        found = (
            f"{sum(kinds.values())} transforms, {shuffles} shuffles, {len(functions)} functions, "
            f"{job.size / 1e3:,.0f} kB (the largest function {len(largest[1]) / 1e3:,.0f} kB: {largest[0]})"
        )
        if job.size > MOST_BYTES:
            advice = f"Dataflow takes {MOST_BYTES / 1e6:.0f} MB: fewer shards with a larger shard_size"
            yield Check(f"job {job.step}", "problem", found, advice)
        else:
            yield Check(f"job {job.step}", "ok", found)
    yield _keys(jobs)
    yield _loaded(jobs)


def _keys(jobs: Sequence[Job]) -> Check:
    """Whether the keys of all shuffles are the same bytes on every machine."""
    wrong, counted = [], 0
    for job in jobs:
        for label_, key in _shuffled(job.pipeline):
            counted += 1
            try:
                registry.get_coder(key).as_deterministic_coder(label_)
            except ValueError as error:
                wrong.append(f"{job.step} {label_}: {one_line(error, 200)}")
    if wrong:
        return Check("coders", "problem", "; ".join(wrong), "keys are text, numbers and tuples of them")
    return Check("coders", "ok", f"the keys of {counted} shuffles are the same bytes everywhere")


def _shuffled(pipeline: beam.Pipeline) -> list[tuple[str, Any]]:
    """Each shuffle's name with the type of its keys."""
    found: list[tuple[str, Any]] = []

    class Visitor(PipelineVisitor):  # type: ignore[misc, unused-ignore]
        def enter_composite_transform(self, node: Any) -> None:
            self.visit_transform(node)

        def visit_transform(self, node: Any) -> None:
            if isinstance(node.transform, beam.GroupByKey):
                key = getattr(node.inputs[0].element_type, "tuple_types", (Any,))[0]
                found.append((node.full_label, key))

    pipeline.visit(Visitor())
    return found


def _loaded(jobs: Sequence[Job]) -> Check:
    """Whether another process can load every function: what is pickled here is loaded on workers."""
    functions = {f"{job.step} {name}": data.decode("latin-1") for job in jobs for name, data in job.functions().items()}
    done = subprocess.run(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-m", load_functions.__name__],
        input=json.dumps(functions),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != 0:
        said = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it ended")
        return Check(
            "pickles", "problem", one_line(said, 300), "a plug-in must be a module that workers have installed"
        )
    return Check("pickles", "ok", f"another process loads all {len(functions)} functions")
