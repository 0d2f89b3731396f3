"""Options for Beam: what no runner knows is refused before anything is done, and a runner that gives up says why."""

from pathlib import Path

import pytest

from gog.pipelines.steps.runner import RunnerOptionError, check_runner, gave_up


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


def test_a_runner_that_gives_up_is_told_in_one_line() -> None:
    error = gave_up("FlinkRunner", RuntimeError("Unable to fetch remote job server jar at x:\n no\n"))
    said = "FlinkRunner could not go on: Unable to fetch remote job server jar at x:"
    assert str(error).startswith(f"{said}; name its job server with --flink_job_server_jar=FILE, or one that listens")
    assert "\n" not in str(error)
    assert error.exit_code == 1
