"""The job service that takes an engine's jobs: one that listens, or the runner's own, started once for all of a run.

Beam starts one a job, and waits for one that does not answer for as long as its options say.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.runner import create_runner

from gog.pipelines.lake.one_line import one_line
from gog.pipelines.steps.runner import JARS, RunnerError, RunnerOptionError, known_options, runner_name
from gog.transforms.services.models import process_guard

ANSWERS_S: Final = 30.0
"""Seconds within which a job service answers."""
STARTS_S: Final = 120.0
"""Seconds within which one that is started here answers."""
_GRACE_S: Final = 10.0
"""Seconds that it has to end."""
_NAMES: Final = {"flinkrunner": "Flink", "sparkrunner": "Spark", "prismrunner": "Prism"}
_ITS_OWN: Final = {"FlinkPipelineOptions": "Flink", "SparkPipelineOptions": "Spark"}
"""Which engine has such options."""
_NUMBER: Final = beam_job_api_pb2.PipelineOptionType.INTEGER

Described = dict[str, Any]
"""Options by name, as the job service describes them."""


class Engine(NamedTuple):
    """Where jobs go: the engine in words, and options for Beam with the endpoint that takes them."""

    name: str = ""
    args: tuple[str, ...] = ()


@contextmanager
def job_service(args: tuple[str, ...]) -> Iterator[Engine]:
    """The engine that the options name, with a job service that answers; a runner that has none is as it is.

    Raises `RunnerError` where none answers or can be started, and `RunnerOptionError` on an option that it lacks.
    """
    known, unknown = known_options(args)
    runner = runner_name(known.runner)
    name = _NAMES.get(runner, known.runner or "")
    if known.job_endpoint and known.job_endpoint != "embed":
        name = name if runner in _NAMES else f"the engine at {known.job_endpoint}"
        described = reach(name, known.job_endpoint)
        check_options(name, described, unknown)
        yield Engine(_engine_of(described) or name, args)
    elif runner not in _NAMES or known.flink_submit_uber_jar:
        yield Engine(name, args)
    else:
        with _started(name, known.runner, args) as endpoint:
            check_options(name, reach(name, endpoint), unknown)
            yield Engine(name, (*args, f"--job_endpoint={endpoint}"))


def reach(name: str, endpoint: str, within_s: float | None = None) -> Described:
    """The options that a job service describes. Raises `RunnerError` where none answers in so many seconds."""
    within_s = ANSWERS_S if within_s is None else within_s
    last = time.monotonic() + within_s
    with grpc.insecure_channel(endpoint) as channel:
        try:
            grpc.channel_ready_future(channel).result(within_s)
            answer = beam_job_api_pb2_grpc.JobServiceStub(channel).DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=max(1.0, last - time.monotonic())
            )
        except (grpc.FutureTimeoutError, grpc.RpcError) as error:
            raise RunnerError(
                f"{name}: no job service answered at {endpoint} within {within_s:g} s ({_why(endpoint, error)}): "
                "start it, or name the one that runs with --job_endpoint=HOST:PORT"
            ) from error
    return {option.name: option for option in answer.options}


def _why(endpoint: str, error: Exception) -> str:
    """What stands between, as far as a plain connection shows it."""
    host, _, port = endpoint.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), 5):
            said = error.code().name if isinstance(error, grpc.RpcError) else "no answer to gRPC"
            return f"something listens there that is no job service: {said}"
    except socket.gaierror:
        return f"there is no host {host}"
    except (OSError, ValueError, OverflowError) as refused:
        return getattr(refused, "strerror", None) or one_line(refused, 100) or "no connection"


def check_options(name: str, described: Described, unknown: Sequence[str]) -> None:
    """Raise `RunnerOptionError` on an option that Beam does not know and the job service does not describe."""
    names = [f"--{option}" for option in described]
    for arg in unknown:
        option, _, value = arg.partition("=")
        if option not in names:
            close = get_close_matches(option, names, 1, 0.6)
            meant = f"did you mean {close[0]}?" if close else "its documentation lists them"
            raise RunnerOptionError(f"{name} has no option {option}; {meant}")
        if described[option[2:]].type == _NUMBER and not value.lstrip("-").isdecimal():
            raise RunnerOptionError(f"{name}: {option} takes a whole number, not {value!r}")


def _engine_of(described: Described) -> str:
    """The engine that has options of its own."""
    groups = {option.group.rpartition(".")[2] for option in described.values()}
    return next((name for group, name in _ITS_OWN.items() if group in groups), "")


@contextmanager
def _started(name: str, runner: str, args: tuple[str, ...]) -> Iterator[str]:
    """The runner's own job service, which ends with the context and with this process; gives its endpoint."""
    with tempfile.TemporaryDirectory(prefix="gog-job-service-") as folder:
        command, endpoint = _command(name, runner, args, folder)
        if shutil.which(command[0]) is None:
            raise RunnerError(
                f"{name}: its job service cannot be started, since there is no executable {command[0]}: install a Java "
                "runtime (--job_server_java_launcher names one), or name a job service that runs with "
                "--job_endpoint=HOST:PORT"
            )
        log = Path(folder, "log")
        guarded = [sys.executable, "-I", process_guard.__file__, str(os.getpid()), str(_GRACE_S)]
        with log.open("wb") as output:
            guard = subprocess.Popen(  # noqa: S603  # a list, and the executable is the user's own choice
                [*guarded, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_until_up(name, endpoint, guard, log)
            yield endpoint
        finally:
            guard.terminate()
            guard.wait()


def _command(name: str, runner: str, args: tuple[str, ...], folder: str) -> tuple[list[str], str]:
    """The command that starts the runner's job service, fetching it where it is not here, and its endpoint."""
    options = PipelineOptions([f"--artifacts_dir={folder}", "--experiments=disable_prism_server_singleton", *args])
    server = create_runner(runner).default_job_server(options)
    server = getattr(server, "_job_server", server)  # without its own handling of Ctrl-C, which ends it before the job
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(ANSWERS_S)  # Beam fetches without one
    try:
        command, endpoint = server.subprocess_cmd_and_endpoint()
    except Exception as error:
        jar = JARS.get(f"{name.lower()}runner", "prism_location")
        said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise RunnerError(
            f"{name}: its job service cannot be had ({one_line(said, 200)}): name it with --{jar}=FILE, or one that "
            "runs with --job_endpoint=HOST:PORT"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return [str(word) for word in command], endpoint


def _wait_until_up(name: str, endpoint: str, guard: "subprocess.Popen[bytes]", log: Path) -> None:
    last = time.monotonic() + STARTS_S
    with grpc.insecure_channel(endpoint) as channel:
        ready = grpc.channel_ready_future(channel)
        while True:
            try:
                ready.result(0.2)
                return
            except grpc.FutureTimeoutError:
                ended = guard.poll() is not None
                if not ended and time.monotonic() < last:
                    continue
            lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
            what = f"ended with exit code {guard.returncode}" if ended else f"was not up after {STARTS_S:g} s"
            said = one_line(lines[-1], 300) if lines else "it said nothing"
            raise RunnerError(f"{name}: its job service {what}: {said}")
