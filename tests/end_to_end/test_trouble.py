"""What can be wrong around a run: each a one-line error that says what to do, with its exit code, and nothing lost."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from runs import atlas, check_nothing_lost, gog, hashes, one_line, records, run_folder, write_config

from gog.pipelines.cli.main import call as main
from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import Lake, LakeError
from gog.pipelines.steps.run import run
from gog.transforms.services.store.schema import FILE
from gog.transforms.services.store.sqlite import Store

MOUNTED = Path(__file__).with_name("mounted.py")


def can_mount() -> bool:
    """Whether this user may mount in a namespace of his own."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(
    not can_mount(), reason="no right to mount in a namespace of one's own (unshare -Urm)"
)


@pytest.fixture
def quietly(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs the command line in this process; returns the exit code and its error."""

    def call(*args: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(args)
        lines = capsys.readouterr().err.strip().splitlines()
        # All that is wrong with a config is told at once, a key a line.
        assert all(line.startswith("  ") for line in lines[1:]), lines
        return code, "\n".join(lines)

    return call


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"teecher": "planner:"}, "teecher: unknown key"),
        ({"screen": {"pases": 4}}, "screen.pases: unknown key"),
        ({"shard_size": "many"}, "shard_size: "),
        ({"shard_size": 0}, "shard_size: "),
        ({"curate": {"keep": [1]}}, "curate.keep: "),
        ({"source": {"kind": "jsonl"}}, "source.path: "),
        ({"source": {"kind": "oracle"}}, "source"),
        ({"run": "../elsewhere"}, "run: "),
        ({"teacher": "gpt-9"}, "'gpt-9' is no address of a model"),
        ({"teacher": "planner:skill=much"}, "skill is a number from 0 to 1"),
        ({"image_search": "gallery:nowhere"}, "nowhere: there is no index in "),
        ({"source": {"kind": "jsonl", "path": "nowhere.jsonl", "dataset": "d", "mapping": {}}}, "no such file"),
    ],
)
def test_a_wrong_config(
    tmp_path: Path, quietly: Callable[..., tuple[int, str]], changes: dict[str, Any], said: str
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"source": {"kind": "atlas", "count": 2}, "lake": str(tmp_path / "lake")} | changes))
    code, line = quietly("run", "--config", str(file))
    assert code in {1, 2}
    assert line.startswith("gog: ")
    assert said in line
    assert "Traceback" not in line


@pytest.mark.parametrize("text", ["run: [", "- a\n- b\n", "run: tiny\n\trun: tiny\n", "\x00"])
def test_a_file_that_is_no_config(tmp_path: Path, quietly: Callable[..., tuple[int, str]], text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    code, line = quietly("run", "--config", str(file))
    assert code in {1, 2}
    assert str(file) in line


def test_a_mapping_that_fits_no_row(tmp_path: Path, quietly: Callable[..., tuple[int, str]]) -> None:
    (tmp_path / "rows.jsonl").write_text('{"frage": "Wie viele?", "bild": "a.jpg", "antworten": ["5"]}\n')
    source = {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl"), "dataset": "d", "mapping": {}}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"source": source, "lake": str(tmp_path / "lake")}))
    code, line = quietly("run", "--config", str(file))
    assert code in {1, 2}
    assert "frage" in line


def test_a_second_writer_of_a_run(tmp_path: Path, quietly: Callable[..., tuple[int, str]]) -> None:
    config = atlas(tmp_path / "lake", count=2)
    file = write_config(config, tmp_path / "config.yaml")
    with Lake(tmp_path / "lake").lock(config.run):
        code, line = quietly("run", "--config", str(file))
    assert code == 1
    assert f"process {os.getpid()}" in line


@pytest.mark.slow
def test_two_runs_on_one_lake_at_the_same_time(tiny: Config, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(Path(tiny.lake) / "indexes", lake / "indexes")
    configs = [atlas(lake, run=name, count=24) for name in ("one", "two")]
    files = [write_config(config, tmp_path / f"{config.run}.yaml") for config in configs]
    command = [sys.executable, "-m", "gog.pipelines.cli.main", "run", "--config"]
    processes = [subprocess.Popen([*command, str(file)], stdout=subprocess.DEVNULL) for file in files]
    assert [process.wait(200) for process in processes] == [0, 0]
    one, two = map(records, configs)
    assert one == two
    for config in configs:
        check_nothing_lost(config, rows=24)


def test_a_lake_of_a_newer_version(tmp_path: Path, quietly: Callable[..., tuple[int, str]]) -> None:
    config = atlas(tmp_path / "lake", count=2)
    file = write_config(config, tmp_path / "config.yaml")
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "lake.json").write_text('{"schema_version": 99}')
    before = hashes(tmp_path / "lake")
    code, line = quietly("run", "--config", str(file))
    assert code == 1
    assert "schema version 99" in line
    assert "upgrade" in line
    assert hashes(tmp_path / "lake") == before


def test_a_store_of_a_newer_version(tmp_path: Path, quietly: Callable[..., tuple[int, str]]) -> None:
    config = atlas(tmp_path / "lake", count=2)
    file = write_config(config, tmp_path / "config.yaml")
    folder = tmp_path / "lake" / "store"
    Store(folder).close()
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    code, line = quietly("run", "--config", str(file))
    assert code == 1
    assert "store version 99" in line


def test_another_config_under_the_same_name(
    tiny: Config, tmp_path: Path, quietly: Callable[..., tuple[int, str]]
) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(tiny.lake, lake)
    file = write_config(atlas(lake, seed=5), tmp_path / "config.yaml")
    code, line = quietly("run", "--config", str(file))
    assert code == 1
    assert "--run" in line
    assert records(atlas(lake)) == records(tiny)


def test_a_source_that_changed_under_the_run(tmp_path: Path, quietly: Callable[..., tuple[int, str]]) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "What?", "answers": ["a"], "image": "a.jpg"}\n')
    source = {"kind": "jsonl", "path": str(rows), "dataset": "d", "mapping": {}}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"source": source, "lake": str(tmp_path / "lake")}))
    assert main(["run", "--config", str(file)]) == 1, "the picture is not there: nothing is kept"
    rows.write_text(rows.read_text() * 2)
    code, line = quietly("run", "--config", str(file))
    assert code == 1
    assert "another config" in line


def test_a_file_in_the_place_of_the_lake(tmp_path: Path, quietly: Callable[..., tuple[int, str]]) -> None:
    (tmp_path / "lake").write_text("not a folder")
    file = write_config(atlas(tmp_path / "lake", count=2), tmp_path / "config.yaml")
    code, line = quietly("run", "--config", str(file))
    assert code == 1
    assert str(tmp_path / "lake") in line


class FullDisk:
    """Fails as a full disk does, after so many files."""

    def __init__(self, files: int) -> None:
        self.left = files

    def __call__(self, number: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("files", [2, 6, 12, 22])
def test_the_disk_fills_up_and_is_emptied(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    config = atlas(tmp_path / "lake")
    for part in ("indexes", "store"):
        shutil.copytree(Path(tiny.lake) / part, Path(config.lake) / part)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FullDisk(files))
        with pytest.raises(LakeError, match="the disk is full: make room") as raised:
            run(config)
    assert "\n" not in str(raised.value)
    run(config)
    assert records(config) == records(tiny)


def mounted(folder: Path, size: str, change: str, *args: str) -> list[dict[str, Any]]:
    """What came of a command on a small disk, and after the disk was changed; see `mounted.py`."""
    folder.mkdir()
    command = ["unshare", "-Urm", sys.executable, str(MOUNTED), str(folder), size, change, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@needs_mounts
@pytest.mark.slow
@pytest.mark.parametrize("size", ["300k", "9m"])
def test_a_disk_that_is_really_full(tmp_path: Path, size: str) -> None:
    """Full while pictures are kept, and full while calls are made."""
    lake = tmp_path / "lake"
    config = atlas(lake, count=24)
    file = write_config(config, tmp_path / "config.yaml")
    first, second = mounted(lake, size, "size=1g", "run", "--config", str(file))
    assert first["code"] == 1
    lines = [line for line in first["err"].splitlines() if line.strip() and " | " not in line]
    assert len(lines) == 1, first["err"]
    assert "full" in lines[0]
    assert second["code"] == 0, second["err"]
    check_nothing_lost(atlas(tmp_path / "lake.kept", count=24), rows=24)


@needs_mounts
@pytest.mark.slow
def test_a_read_only_lake(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    config = atlas(lake, count=2)
    file = write_config(config, tmp_path / "config.yaml")
    first, second = mounted(lake, "200m", "ro", "run", "--config", str(file))
    assert first["code"] == 0, first["err"]
    assert second["code"] == 1
    assert len(second["err"].splitlines()) == 1, second["err"]
    assert "read-only" in second["err"]


def test_the_command_line_in_a_process_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("teecher: nobody\n")
    done = gog("run", "--config", str(file))
    assert done.returncode in {1, 2}
    assert one_line(done) == f"gog: {file}: teecher: unknown key; did you mean teacher?"
    assert done.stdout == ""
    assert not run_folder(atlas(tmp_path / "lake")).exists()
