"""Work that is spread over real processes; they run functions of a module that the test writes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from gog.transforms import cores
from gog.transforms.cores import LostProcessError, Spread

PROGRAM = """
import os, signal, time

def opened(folder):
    open(os.path.join(folder, f"opened-{os.getpid()}"), "w").close()
    return partly

def partly(word, value=None):
    if word == "die":
        os.kill(os.getpid(), value)
    if word == "die once" and not os.path.exists(value):
        open(value, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "sleep":
        time.sleep(value)
    if word == "raise":
        raise KeyError(value)
    if word == "odd":
        return lambda: None
    return os.getpid()
"""


@pytest.fixture
def spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spread[..., Any]]:
    """Spread over two processes from the first call on, as soon as they have come up."""
    (tmp_path / "heavy_work.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(cores, "WORTH_S", 0.0)
    monkeypatch.setattr(cores, "_count", lambda: 2)
    cores.close()  # what a run of another test has left
    cores.use_all_cores()
    yield Spread(partial(import_module("heavy_work").opened, str(tmp_path)))
    cores.close()
    del sys.modules["heavy_work"]


def elsewhere(spread: Spread[..., Any]) -> int:
    """The id of the process that did some work, once one has come up."""
    for _ in range(600):
        if (process := spread("pid")) != os.getpid():
            return int(process)
        time.sleep(0.1)
    raise AssertionError("no process has come up")


def is_alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def test_work_begins_here_and_goes_on_in_processes(spread: Spread[..., Any], tmp_path: Path) -> None:
    assert spread("pid") == os.getpid()
    process = elsewhere(spread)
    assert cores.width() == 2

    async def two() -> list[Any]:
        return list(await asyncio.gather(spread.ask("pid"), spread.ask("pid")))

    until = time.monotonic() + 60
    while os.getpid() in (ran := asyncio.run(two())):
        assert time.monotonic() < until, ran
    for _ in range(5):
        spread("pid")
    assert len(list(tmp_path.glob(f"opened-{process}"))) == 1, "the function is made once"
    cores.close()
    assert not is_alive(process)
    assert spread("pid") == os.getpid()


def test_little_work_starts_no_process(spread: Spread[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "WORTH_S", 60.0)
    monkeypatch.setattr(subprocess, "Popen", None)
    for _ in range(100):
        assert spread("pid") == os.getpid()


@pytest.mark.parametrize(("count", "width"), [(1, cores.THREADS), (2, 2), (9, 9)])
def test_one_core_is_worth_no_process(monkeypatch: pytest.MonkeyPatch, count: int, width: int) -> None:
    monkeypatch.setattr(cores, "_count", lambda: count)
    try:
        cores.use_all_cores()
        assert cores.width() == width
    finally:
        cores.close()


def test_a_container_may_have_a_share(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(cores, "MEMORY", 1)
    monkeypatch.setattr(cores, "_LIMITS", tmp_path / "cpu.max")
    for text, count in (("max 100000", 64), ("250000 100000", 2), ("50000 100000", 1), ("", 64)):
        (tmp_path / "cpu.max").write_text(text)
        assert cores._count() == count


def test_memory_bounds_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(10_000)), raising=False)
    assert 0 < cores._count() < 10_000


def test_a_killed_process_is_replaced_and_its_work_done_again(spread: Spread[..., Any], tmp_path: Path) -> None:
    elsewhere(spread)
    assert spread("die once", str(tmp_path / "died")) != os.getpid()
    assert (tmp_path / "died").exists()
    os.kill(elsewhere(spread), signal.SIGKILL)
    for _ in range(4):
        spread("pid")
    assert elsewhere(spread)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_work_that_two_processes_end_at_is_an_error(spread: Spread[..., Any], number: signal.Signals) -> None:
    elsewhere(spread)
    with pytest.raises(LostProcessError, match=f"{number.name}.*the same command goes on") as told:
        spread("die", number)
    assert told.value.crash == ("SIGSEGV" if number is signal.SIGSEGV else "")
    assert "\n" not in str(told.value)
    assert elsewhere(spread)


def test_what_raises_there_is_raised_here(spread: Spread[..., Any]) -> None:
    process = elsewhere(spread)
    with pytest.raises(KeyError, match="lost") as told:
        spread("raise", "lost")
    assert told.traceback[-1].name == "partly"
    assert is_alive(process)


def test_what_does_not_pickle_is_done_here(spread: Spread[..., Any]) -> None:
    process = elsewhere(spread)
    assert spread("pid", lambda: None) == os.getpid()
    assert spread("odd")() is None
    assert Spread(lambda: os.getpid)() == os.getpid()
    assert is_alive(process)


def test_processes_that_do_not_start_leave_the_work_here(
    spread: Spread[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert spread("pid") == os.getpid()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    cores.close()
    cores.use_all_cores()
    assert spread("pid") == spread("pid") == os.getpid()


def test_they_end_with_the_process_that_asks(tmp_path: Path) -> None:
    program = """
import copy, os, time
from functools import partial
from gog.transforms import cores
cores.WORTH_S, cores._count = 0.0, lambda: 2
cores.use_all_cores()
work = cores.Spread(partial(copy.copy, os.getpid))
while (process := work()) == os.getpid():
    time.sleep(0.05)
print(process, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as asks:
        assert asks.stdout is not None
        process = int(asks.stdout.readline())
        assert is_alive(process)
        asks.kill()
    deadline = time.monotonic() + 20
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(process)
