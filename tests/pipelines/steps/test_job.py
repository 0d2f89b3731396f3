"""How a pipeline's run ends: by itself, by an error, by Ctrl-C, SIGTERM, or because no worker begins."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.portable_runner import PortableRunner

from gog.pipelines.steps import job as module
from gog.pipelines.steps.job import causes_of, finish
from gog.pipelines.steps.runner import RunnerError


def test_causes_come_from_the_last_to_the_first() -> None:
    first, second = ValueError("first"), KeyError("second")
    second.__cause__ = first
    assert list(causes_of(second)) == [second, first]


@pytest.mark.timeout(5)
def test_a_cause_that_leads_back_to_itself_is_told_once() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one
    assert list(causes_of(one)) == [one, other]


class _Job:
    """A job of an engine that ends when it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.waited_for: Callable[[], None] = lambda: None

    def wait_until_finish(self) -> str:
        threading.Timer(0.2, self.waited_for).start()
        assert self.cancelled.wait(30)
        raise RuntimeError("Pipeline x failed in state CANCELLED: unknown error")

    def cancel(self) -> None:
        self.cancelled.set()

    def metrics(self) -> Any:
        raise AssertionError("it did not end well")


class _Engine(PortableRunner):  # type: ignore[misc, unused-ignore]
    def __init__(self, job: _Job) -> None:
        super().__init__()
        self._job = job

    def run_pipeline(self, pipeline: object, options: object) -> _Job:
        return self._job


def pipeline_of(job: _Job) -> beam.Pipeline:
    return beam.Pipeline(runner=_Engine(job), options=PipelineOptions(["--environment_type=LOOPBACK"]))


def test_a_job_in_which_no_worker_begins_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEGINS_S", 0.2)
    monkeypatch.setattr(module, "_LOOK_S", 0.05)
    made = _Job()
    with pytest.raises(RunnerError, match="Flink: no worker of the job has begun"):
        finish(pipeline_of(made), "ingest", "Flink", begun=lambda: False)
    assert made.cancelled.is_set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_the_command_ends_the_job(number: signal.Signals) -> None:
    made, before = _Job(), signal.getsignal(signal.SIGTERM)
    made.waited_for = lambda: os.kill(os.getpid(), number)
    with pytest.raises(KeyboardInterrupt):
        finish(pipeline_of(made), "ingest", "Flink", begun=lambda: True)
    assert made.cancelled.is_set()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_job_that_is_cancelled_on_the_engine_s_page() -> None:
    made = _Job()
    made.waited_for = made.cancel
    with pytest.raises(RunnerError, match="Flink: the job was cancelled"):
        finish(pipeline_of(made), "ingest", "Flink", begun=lambda: True)
