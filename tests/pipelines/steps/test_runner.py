"""Options for Beam: what no runner knows is refused before anything is done, and a runner that gives up says why."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gog.pipelines.steps import runner
from gog.pipelines.steps.runner import RunnerError, RunnerOptionError, check_runner, losing_no_worker


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--runnner=FlinkRunner"], "Beam has no option --runnner; did you mean --runner?"),
        (["--runner=FlinkRunner", "--flink_mastr=here"], "--flink_mastr; did you mean --flink_master?"),
        (["--worlds=3"], "Beam has no option --worlds"),
        (["--runner=FlinkRuner"], "is no runner; did you mean FlinkRunner?"),
        (["--runner=my.own.Runner"], "is no runner; there are DataflowRunner"),
        (["--runner"], "expected one argument"),
        (["--direct_num_workers=many"], "invalid int value: 'many'"),
        (["--runner=FlinkRunner", "--flink_job_server_jar=none.jar"], "there is no file none.jar"),
        (["--runner=DataflowRunner"], "DataflowRunner"),
        (["--runner=PortableRunner"], "PortableRunner needs a job service that runs: --job_endpoint=HOST:PORT"),
        (["--runner=FlinkRunner", "--job_endpoint=here"], "--job_endpoint=here is no address; it reads HOST:PORT"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(args: list[str], said: str) -> None:
    with pytest.raises(RunnerOptionError) as raised:
        check_runner(args)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
        ["--runner=FlinkRunner", "--flink_master=here:8081", "--parallelism=4", "--state_backend=rocksdb"],
        ["--runner=DirectRunner"],
        ["--runner=apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"],
    ],
)
def test_what_beam_or_its_job_servers_know_goes_on(args: list[str]) -> None:
    check_runner(args)


def test_a_jar_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "server.jar").write_bytes(b"")
    check_runner(["--runner=FlinkRunner", f"--flink_job_server_jar={tmp_path / 'server.jar'}"])


def _end_a_thread(said: str) -> None:
    """A thread of Beam's ends so."""

    def end() -> None:
        raise RuntimeError(said)

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()


LOST = "Worker subprocess exited with return code 137"


@pytest.fixture(params=["in front", "in the background"])
def _interrupts(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a shell starts in the background ignores SIGINT."""
    before = signal.getsignal(signal.SIGINT)
    if request.param != "in front":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts")
def test_a_lost_worker_ends_a_wait_without_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait() -> None:
        _end_a_thread(LOST)
        time.sleep(60)

    monkeypatch.setattr(runner, "_PATIENCE_S", 0.05)
    began = time.monotonic()
    with pytest.raises(RunnerError, match=r"worker processes ended .* the same command goes on") as raised:
        losing_no_worker(wait)
    assert time.monotonic() - began < 30
    assert raised.value.__context__ is None, "nobody pressed Ctrl-C"
    assert capsys.readouterr().err == ""


def _fail(error: BaseException) -> None:
    raise error


def test_a_lost_worker_that_beam_tells_of_itself() -> None:
    with pytest.raises(RunnerError, match="worker processes ended"):
        losing_no_worker(lambda: _fail(RuntimeError("Channel closed prematurely.")))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("another"), ValueError("another")])
def test_what_ends_otherwise_goes_on_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        losing_no_worker(lambda: _fail(error))
    assert raised.value is error


def test_a_worker_that_ends_after_the_work_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_PATIENCE_S", 0.05)
    losing_no_worker(lambda: _end_a_thread(LOST))
    losing_no_worker(lambda: _end_a_thread("another thing"))
    time.sleep(0.3)  # a loss that were told now would interrupt this
