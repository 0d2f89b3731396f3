"""What is written beside its place and renamed is there as a whole or not at all."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from gog.transforms.atomic import ABANDONED_S, in_place_of, passing_beside, sweep, sweep_beside, take_place, write_file


def test_a_file_takes_the_place_of_another_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with in_place_of(path, sync=True) as fresh:
        fresh.write_text("new")
        assert path.read_text() == "old"
        assert fresh.name.startswith(".a.")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a", "new")]


@pytest.mark.parametrize("folder", [False, True])
def test_a_block_that_fails_leaves_nothing(tmp_path: Path, folder: bool) -> None:
    def write_half(fresh: Path) -> None:
        if folder:
            fresh.mkdir()
        (fresh / "part" if folder else fresh).write_text("half")
        raise OSError("full")

    with pytest.raises(OSError, match="full"), in_place_of(tmp_path / "a") as fresh:
        write_half(fresh)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_made_where_one_says_and_folders_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed: list[Path] = []

    def replace(fresh: Path, path: Path) -> None:
        renamed.append(fresh)
        os.replace(fresh, path)  # noqa: PTH105  # it is Path's that is watched

    monkeypatch.setattr(Path, "replace", replace)
    write_file(tmp_path / "x" / "a", b"data", within=tmp_path / "passing")
    assert (tmp_path / "x" / "a").read_bytes() == b"data"
    assert [fresh.parent.name for fresh in renamed] == ["passing"]


def test_a_folder_takes_the_place_of_one_that_holds_something(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    take_place(tmp_path / "new", tmp_path / "old")
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["old", "old/new"]


def _old(path: Path, seconds: float = ABANDONED_S + 60) -> Path:
    """A passing folder with a file, last written to so long ago."""
    path.mkdir()
    (path / "part").write_text("half")
    for one in (path / "part", path):
        os.utime(one, (time.time() - seconds,) * 2)
    return path


def test_what_a_kill_left_is_swept_and_what_lives_is_not(tmp_path: Path) -> None:
    final = tmp_path / "OUT [1]"
    ended = subprocess.Popen(["true"])
    ended.wait()
    own = passing_beside(final)
    dead = own.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    elsewhere = re.sub(r"[a-z0-9]+-\d+-", "otherhost-1-", own.name)
    live = _old(own)
    swept = [_old(tmp_path / dead), _old(tmp_path / ".OUT [1].0123456789ab")]
    young, far = _old(tmp_path / dead.replace("OUT [1].", "OUT [1].x."), 10), _old(tmp_path / elsewhere)
    other, kept = _old(tmp_path / ".OUT 2.0123456789ab"), _old(tmp_path / ".OUT [1].embedded")
    sweep_beside(final)
    assert not any(path.exists() for path in swept)
    assert all(path.exists() for path in (live, young, far, other, kept))
    for path in (far / "part", far):
        os.utime(path, (time.time() - 90_000,) * 2)
    sweep_beside(final)
    assert not far.exists()


def test_a_folder_that_is_still_written_to_is_young(tmp_path: Path) -> None:
    passing = _old(tmp_path / ".OUT.0123456789ab")
    (passing / "part").write_text("more")
    os.utime(passing, (time.time() - 9_000,) * 2)
    sweep([passing, tmp_path / "nowhere"])
    assert passing.exists()
