"""Ingest on this machine: rows are taken in by processes, and nothing of it is seen in what comes out."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from pathlib import Path

import pytest
from ingesting import png

from gog.pipelines.config.config import Config, parse_config
from gog.pipelines.lake.lake import Lake
from gog.pipelines.steps.run import run
from gog.transforms import cores
from gog.transforms.cores import LostProcessError
from gog.transforms.filters.use import filters_after

ROWS = 16

FILTER = """
import os, signal, time
from pathlib import Path

HERE = Path(__file__).parent

def watched(seed):
    time.sleep(0.2)
    with (HERE / "by").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    for name in ("SIGSEGV", "SIGKILL"):
        if name in seed.question and os.getpid() != int((HERE / "asks").read_text()):
            os.kill(os.getpid(), getattr(signal, name))
    return None
"""


def config(folder: Path, lake: str, last: str = "Whose flag is this?") -> Config:
    """Rows with a picture each, twice some, with a filter that takes its time; the last one asks `last`."""
    (folder / "seeing.py").write_text(FILTER)
    (folder / "asks").write_text(str(os.getpid()))
    with (folder / "rows.jsonl").open("w") as file:
        for number in range(ROWS):
            (folder / f"{number}.png").write_bytes(
                png((10 * number, 99, 200 - 9 * (number % 7)), (60 + number % 3, 50))
            )
            question = last if number == ROWS - 1 else f"What is number {number}?"
            row = {"question": question, "answers": [str(number)], "image": f"{number - number % 4 // 3}.png"}
            file.write(json.dumps(row) + "\n")
    return parse_config(
        {
            "lake": str(folder / lake),
            "run": "r",
            "source": {
                "kind": "jsonl",
                "path": str(folder / "rows.jsonl"),
                "dataset": "mine",
                "mapping": {"question": "question", "answers": ["answers"], "image": "image"},
            },
            "filters": ["seeing:watched"],
        }
    )


def ingested(config: Config) -> dict[str, bytes]:
    run(config, steps=("ingest",))
    lake = Path(config.lake)
    kept = [*lake.glob("runs/r/*/*.parquet"), *lake.glob("images/*/*")]
    return {str(path.relative_to(lake)): path.read_bytes() for path in kept}


def workers(folder: Path) -> set[int]:
    """The processes that took in rows since this was asked last."""
    said = set(map(int, (folder / "by").read_text().split()))
    (folder / "by").unlink()
    return said


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the rows are, with two processes that have come up to take them in."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(cores, "WORTH_S", 0.0)
    monkeypatch.setattr(cores, "_count", lambda: 2)
    cores.close()  # what a run of another test has left
    filters_after.cache_clear()  # as this may be: the module of a filter is another one in each folder
    cores.use_all_cores()
    cores.Spread(partial(copy, os.getpid))()
    pool, deadline = cores._pool, time.monotonic() + 60
    assert pool is not None
    while len(pool._idle) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        pool._welcome()
    yield tmp_path
    cores.close()
    sys.modules.pop("seeing", None)


def test_processes_change_no_byte(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spread = ingested(config(folder, "spread"))
    assert len(workers(folder)) == 2
    cores.close()
    monkeypatch.setattr(cores, "_count", lambda: 1)
    assert ingested(config(folder, "alone")) == spread
    assert workers(folder) == {os.getpid()}
    assert len(spread) > ROWS / 2


def test_a_process_that_is_killed_costs_nothing(folder: Path) -> None:
    with ThreadPoolExecutor(1) as other:
        killing = other.submit(kill_one, folder)
        spread = ingested(config(folder, "killed"))
        killed = killing.result()
    assert not Path(f"/proc/{killed}").exists()
    assert ingested(config(folder, "whole")) == spread


def kill_one(folder: Path) -> int:
    """Kill the process that takes in the first row, at its second."""
    while not (folder / "by").exists() or "\n" not in (folder / "by").read_text():
        time.sleep(0.01)
    first = int((folder / "by").read_text().split()[0])
    os.kill(first, signal.SIGKILL)
    return first


def test_a_row_that_crashes_its_process_leaves_with_a_reason(folder: Path) -> None:
    asked = config(folder, "crashed", last="SIGSEGV?")
    run(asked, steps=("ingest",))
    (reject,) = Lake(Path(asked.lake)).read_rows("r", "rejects")
    assert reject["reason"] == "ingest.image_unreadable"
    assert reject["detail"] == "its decoder crashes (SIGSEGV)"
    assert len(list(Lake(Path(asked.lake)).read_rows("r", "seeds"))) == ROWS - 1


def test_processes_that_are_killed_again_and_again_end_the_run_in_a_line(folder: Path) -> None:
    with pytest.raises(LostProcessError, match=r"SIGKILL.*the same command goes on"):
        run(config(folder, "ended", last="SIGKILL?"), steps=("ingest",))
