"""The jobs of a run, built and checked without sending one."""

from pathlib import Path
from typing import Any

import pytest
from calling import place

from gog.pipelines.config.config import load_config
from gog.pipelines.rehearse import dry_run as module
from gog.pipelines.rehearse.dry_run import Job, dry_run

DATAFLOW = (
    "--runner=DataflowRunner",
    "--project=some-project",
    "--region=europe-west4",
    "--temp_location=gs://bucket/tmp",
    "--staging_location=gs://bucket/staging",
)
IMAGE = "europe-west4-docker.pkg.dev/some-project/gog/worker"


@pytest.mark.parametrize(
    ("args", "name", "said"),
    [
        (DATAFLOW, "image", "Dataflow's own has Beam and lacks glance-or-gaze"),
        ((*DATAFLOW, f"--sdk_container_image={IMAGE}"), "image", "has no tag"),
        (("--runner=DataflowRunner", "--region=europe-west4"), "options", "project"),
        (("--runner=DataflowRunner", "--regoin=x"), "runner", "did you mean --region?"),
    ],
)
def test_what_is_wrong_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], name: str, said: str
) -> None:
    monkeypatch.setattr(module, "jobs_of", lambda config, args: [])
    monkeypatch.setattr(module, "_jobs", lambda config, args: iter(()))
    found = [check for check in dry_run(load_config(place(tmp_path).config), args) if check.name == name]
    assert any(check.state == "problem" and said in check.found for check in found), found


class _Unloadable:
    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, ("no_module_of_this_name",)


def test_a_function_that_no_worker_could_load(monkeypatch: pytest.MonkeyPatch) -> None:
    from apache_beam.internal import pickler

    job = Job("ingest", None, None)
    monkeypatch.setattr(Job, "functions", lambda self: {"Read": pickler.dumps(_Unloadable())})
    check = module._loaded([job])
    assert check.state == "problem"
    assert check.found == "ingest Read: ModuleNotFoundError: No module named 'no_module_of_this_name'"


def test_a_key_that_is_not_the_same_bytes_everywhere() -> None:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.portable_runner import PortableRunner

    pipeline = beam.Pipeline(runner=PortableRunner(), options=PipelineOptions([]))
    keyed = pipeline | beam.Create([]).with_output_types(tuple[str, int])
    keyed | beam.GroupByKey()
    assert module._keys([Job("ingest", pipeline, None)]).found.startswith("the keys of 1 shuffles")
