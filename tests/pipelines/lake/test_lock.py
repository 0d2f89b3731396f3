"""The lock of a run: one writer, told apart, and given back by a death."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gog.pipelines.lake.lake import Lake, LakeError, write_atomic

pytestmark = pytest.mark.timeout(60)
"""What waits for ever because of a fault is found soon."""

HOLD = """
import pathlib, sys, time
from gog.pipelines.lake.lake import Lake
with Lake(pathlib.Path(sys.argv[1])).lock("r"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_who_has_it_and_death_gives_it_back(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with (
            pytest.raises(LakeError, match=rf"process {child.pid} on ") as caught,
            lake.lock("r"),
        ):
            pass
        assert "\n" not in str(caught.value)
        with lake.lock("other"):
            pass
        child.send_signal(signal.SIGKILL)
        child.wait()
    with lake.lock("r"):
        pass


def test_is_free_again_afterwards_even_after_an_error(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(RuntimeError), lake.lock("r"):
        raise RuntimeError
    with lake.lock("r"), pytest.raises(LakeError, match="another process"), lake.lock("r"):
        pass
    with lake.lock("r"):
        pass


def test_clears_what_a_killed_writer_left(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    whole = lake.part_path("r", "seeds", "ingest", 0)
    write_atomic(whole, b"whole")
    (whole.parent / ".part-00001.parquet.abc.tmp").write_bytes(b"half")
    with lake.lock("r"):
        assert list(whole.parent.iterdir()) == [whole]


def test_clears_what_killed_writers_of_any_run_left_long_ago(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    kept = lake.images.put(b"kept", "jpg")
    (lake.indexes / ".atlas.1").mkdir(parents=True)
    (lake.indexes / "atlas").mkdir()
    old, fresh = (lake.images.passing / name for name in (".a.jpg.1.tmp", ".b.jpg.2.tmp"))
    for path in (old, fresh, lake.indexes / ".atlas.1" / "half", lake.indexes / "atlas" / "whole"):
        path.write_bytes(b"half")
    for path in (
        old,
        lake.indexes / ".atlas.1" / "half",
        lake.indexes / ".atlas.1",
        lake.indexes / "atlas",
        lake.images.path(kept),
    ):
        os.utime(path, (0, 0))
    with lake.lock("r"):
        assert [path.name for path in lake.images.passing.iterdir()] == [".b.jpg.2.tmp"]
        assert [path.name for path in lake.indexes.iterdir()] == ["atlas"]
        assert lake.images.read(kept) == b"kept"


def test_clears_what_killed_readers_of_sources_left_long_ago(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    left = [tmp_path / "sources" / ".rows.0123456789ab.tmp", tmp_path / "fetched" / "ab" / ".passing-1"]
    kept = [tmp_path / "sources" / ".mine.csv", tmp_path / "sources" / "rows.csv"]
    for path in left + kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (time.time() - 7200,) * 2)
    with lake.lock("r"):
        assert [path.exists() for path in left + kept] == [False, False, True, True]
