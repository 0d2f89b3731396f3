"""The job service of an engine: one that does not answer or cannot be started is told of in one line."""

import socket
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2 as api
from apache_beam.portability.api import beam_job_api_pb2_grpc

from gog.pipelines.steps import job_service as module
from gog.pipelines.steps.job_service import Engine, job_service, reach
from gog.pipelines.steps.runner import RunnerError, RunnerOptionError

ADVICE = "start it, or name the one that runs with --job_endpoint=HOST:PORT"


class _Described(beam_job_api_pb2_grpc.JobServiceServicer):  # type: ignore[misc, unused-ignore]
    """A job service that says which options it has."""

    def DescribePipelineOptions(self, request: Any, context: Any) -> Any:
        group = "org.apache.beam.runners.flink.FlinkPipelineOptions"
        number, text = api.PipelineOptionType.INTEGER, api.PipelineOptionType.STRING
        described = [
            api.PipelineOptionDescriptor(name="job_check_interval", type=number, group=group),
            api.PipelineOptionDescriptor(name="state_backend", type=text, group=group),
        ]
        return api.DescribePipelineOptionsResponse(options=described)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(_Described(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def told(*args: str) -> str:
    with pytest.raises((RunnerError, RunnerOptionError)) as raised, job_service(args):
        pass
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWERS_S", 0.3)
    where = f"127.0.0.1:{free_port()}"
    said = told("--runner=FlinkRunner", f"--job_endpoint={where}")
    assert said == f"Flink: no job service answered at {where} within 0.3 s (Connection refused): {ADVICE}"
    assert told("--runner=PortableRunner", f"--job_endpoint={where}").startswith(f"the engine at {where}: no job")


def test_another_program_listens() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(RunnerError, match="something listens there that is no job service"):
            reach("Flink", f"127.0.0.1:{other.getsockname()[1]}", 0.3)


def test_one_that_comes_up_meanwhile_is_waited_for() -> None:
    port = free_port()
    server = grpc.server(ThreadPoolExecutor(2))
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(_Described(), server)

    def come_up() -> None:
        time.sleep(0.5)
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()

    thread = threading.Thread(target=come_up)
    thread.start()
    assert "job_check_interval" in reach("Flink", f"127.0.0.1:{port}", 30)
    thread.join()
    server.stop(None)


def test_the_engine_is_known_by_its_options(endpoint: str) -> None:
    args = (
        "--runner=PortableRunner",
        f"--job_endpoint={endpoint}",
        "--job_check_interval=4",
        "--state_backend=rocksdb",
    )
    with job_service(args) as engine:
        assert engine == Engine("Flink", args)


@pytest.mark.parametrize(
    ("arg", "said"),
    [
        ("--job_chek_interval=4", "has no option --job_chek_interval; did you mean --job_check_interval?"),
        ("--colour=red", "has no option --colour; its documentation lists them"),
        ("--job_check_interval=many", "--job_check_interval takes a whole number, not 'many'"),
    ],
)
def test_an_option_is_checked_by_the_names_that_the_engine_has(endpoint: str, arg: str, said: str) -> None:
    assert said in told("--runner=PortableRunner", f"--job_endpoint={endpoint}", arg)


@pytest.mark.parametrize("args", [(), ("--runner=DirectRunner",), ("--runner=FnApiRunner", "--direct_num_workers=2")])
def test_a_runner_without_a_job_service_is_as_it_is(args: tuple[str, ...]) -> None:
    with job_service(args) as engine:
        assert engine.args == args


def script(folder: Path, text: str) -> Path:
    path = folder / "prism"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


def test_one_that_ends_at_once_is_told_of_with_its_last_words(tmp_path: Path) -> None:
    program = script(tmp_path, "echo begins; echo 'the port is taken' >&2; exit 3")
    said = told("--runner=PrismRunner", f"--prism_location={program}")
    assert said == "Prism: its job service ended with exit code 3: the port is taken"


def test_one_that_never_comes_up_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STARTS_S", 0.5)
    program = script(tmp_path, f"echo $$ > {tmp_path}/pid; sleep 60")
    assert told("--runner=PrismRunner", f"--prism_location={program}").startswith(
        "Prism: its job service was not up after 0.5 s"
    )
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_one_that_is_not_there(tmp_path: Path) -> None:
    said = told("--runner=PrismRunner", f"--prism_location={tmp_path / 'none'}")
    assert said.startswith("Prism: its job service cannot be had (Unable to parse binary URL")
    assert said.endswith("name it with --prism_location=FILE, or one that runs with --job_endpoint=HOST:PORT")
    jar = tmp_path / "server.jar"
    jar.write_bytes(b"")
    said = told("--runner=FlinkRunner", f"--flink_job_server_jar={jar}", "--job_server_java_launcher=/none/java")
    assert "no executable /none/java: install a Java runtime (--job_server_java_launcher names one), or name" in said
