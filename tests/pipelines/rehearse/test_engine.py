"""What is known of an engine before a job goes to it."""

import zipfile
from pathlib import Path

import pytest

from gog.pipelines.rehearse.engine import engine_checks, jar_check


def jar(folder: Path, name: str, said: str | None) -> str:
    path = folder / name
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        if said is not None:
            made.writestr("org/apache/beam/sdk/sdk.properties", f"# of Beam\n\nversion={said}\nsdk_version={said}\n")
    return str(path)


@pytest.mark.parametrize(
    ("name", "said", "state", "found"),
    [
        ("beam-runners-flink-1.19-job-server-2.77.0.jar", "2.77.0", "ok", "has version 2.77.0, as Beam here"),
        ("server.jar", "2.62.0", "warning", "has version 2.62.0, older than Beam 2.77.0 here"),
        ("server.jar", "2.100.1", "warning", "has version 2.100.1, newer than Beam 2.77.0 here"),
        ("beam-runners-spark-3-job-server-2.62.0.jar", None, "warning", "has version 2.62.0, older"),
        ("server.jar", None, "warning", "does not tell its version"),
    ],
)
def test_a_jar_of_another_version_is_said(tmp_path: Path, name: str, said: str | None, state: str, found: str) -> None:
    check = jar_check(jar(tmp_path, name, said), "2.77.0")
    assert (check.state, found in check.found) == (state, True), check


def test_which_jar_it_should_be(tmp_path: Path) -> None:
    old = jar(tmp_path, "beam-runners-flink-1.19-job-server-2.62.0.jar", "2.62.0")
    assert "use beam-runners-flink-1.19-job-server-2.77.0.jar" in jar_check(old, "2.77.0").advice


def test_what_is_no_jar(tmp_path: Path) -> None:
    (tmp_path / "server.jar").write_bytes(b"nothing")
    assert jar_check(str(tmp_path / "server.jar"), "2.77.0").state == "warning"


def test_a_wrong_option_is_a_problem() -> None:
    (check,) = engine_checks(["--runner=FlinkRunner", "--flink_mastr=here"])
    assert check.state == "problem"
    assert "did you mean --flink_master?" in check.found


def test_a_jar_is_looked_into_and_nothing_is_started(tmp_path: Path) -> None:
    old = jar(tmp_path, "server.jar", "2.62.0")
    checks = list(engine_checks(["--runner=FlinkRunner", f"--flink_job_server_jar={old}"]))
    assert [check.state for check in checks] == ["ok", "warning"]
