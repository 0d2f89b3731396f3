"""A pipeline's run, from its start to its end, and what ends it: its own errors, an engine's, Ctrl-C, SIGTERM."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from contextlib import contextmanager, suppress
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineResult

from gog.pipelines.lake.disk import disk_advice
from gog.pipelines.lake.lake import LakeError
from gog.pipelines.steps.engine_words import job_failed, no_worker
from gog.pipelines.steps.flink import UNENDED, end_job
from gog.pipelines.steps.runner import losing_no_worker
from gog.transforms.beam.counters import totals
from gog.transforms.beam.window import CallFailed

LOCAL_RUNNER: Final = "FnApiRunner"
"""Named, because `DirectRunner` first tries to fetch another runner from the network."""
BEGINS_S: Final = 300.0
"""Seconds from a job's start within which a worker of it begins; a cluster may have to find machines first."""
ENDS_S: Final = 30.0
"""Seconds that an engine has to end a job that is cancelled."""
_LOOK_S: Final = 1.0

_log = logging.getLogger(__name__)


def finish(pipeline: beam.Pipeline, step: str, engine: str = "", begun: Callable[[], bool] = lambda: True) -> None:
    """Run a step's pipeline to its end, and log what it counted.

    `begun` tells whether a worker has begun. Dataflow is not asked: it finds machines in its own time, and says so.
    Beam tells of a failed step in a wrapping of its own, and in the log. Where an error of ours is inside, that one is
    raised, a `LakeError` where it is the disk's, and a `RunnerError` from an engine; anything else is a bug and comes
    as Beam gives it. Ctrl-C and SIGTERM cancel the job of an engine.
    """
    beams = logging.getLogger("apache_beam.runners")
    level = beams.level
    beams.setLevel(logging.CRITICAL)
    environment = pipeline.options.view_as(PortableOptions).environment_type or ""
    try:
        _log.info("pipeline started step=%s", step)
        if isinstance(pipeline.runner, PortableRunner) or type(pipeline.runner).__name__ == "DataflowRunner":
            with _sigterm_as_ctrl_c():
                result = _on_engine(pipeline, engine, environment, begun)
        else:
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
        if type(pipeline.runner).__name__ == LOCAL_RUNNER:
            raise
        _log.info("the runner's error", exc_info=error)
        raise job_failed(engine, error, environment) from error
    finally:
        beams.setLevel(level)


def _finished(pipeline: beam.Pipeline) -> PipelineResult:
    result = pipeline.run()
    result.wait_until_finish()
    return result


def _on_engine(pipeline: beam.Pipeline, engine: str, environment: str, begun: Callable[[], bool]) -> PipelineResult:
    """Hand the job over and wait for its end. A job in which no worker begins is cancelled, and so is one on Ctrl-C."""
    result = pipeline.run()
    ended, started = _in_thread(result.wait_until_finish), time.monotonic()
    at_work = not isinstance(pipeline.runner, PortableRunner)
    try:
        while not _over(ended, _LOOK_S):
            at_work = at_work or begun()
            waited = time.monotonic() - started
            if not at_work and waited > BEGINS_S:
                _cancel(result, ended, engine, pipeline.options)
                raise no_worker(engine, waited, environment)
    except KeyboardInterrupt:
        _cancel(result, ended, engine, pipeline.options)
        raise
    ended.result()
    return result


def _in_thread(work: Callable[[], Any]) -> "Future[Any]":
    """Its result to be; a wait for that can be interrupted, and is with no lock of Beam's."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="gog-job", daemon=True).start()
    return future


def _over(ended: "Future[Any]", within_s: float) -> bool:
    with suppress(NotYetError):
        ended.exception(within_s)
        return True
    return False


def _cancel(result: PipelineResult, ended: "Future[Any]", engine: str, options: PipelineOptions) -> None:
    """Cancel the job, and wait a while until the engine has ended it."""
    if engine == "Flink":
        try:
            if not end_job(options):
                _log.warning("%s", UNENDED)
        except (OSError, ValueError, KeyError) as error:
            _log.warning("%s (its job manager does not answer: %s)", UNENDED, error)
    cancelled = _in_thread(result.cancel)
    if not (_over(cancelled, ENDS_S) and _over(ended, ENDS_S)) or cancelled.exception() is not None:
        _log.warning("the engine has not said that it ended the job: see its page")


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """While a job is with an engine, SIGTERM is Ctrl-C: else the job would go on without us."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
