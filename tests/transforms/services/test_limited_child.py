"""Children with limits, real ones: a module of the test's own that does what it is told."""

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websites import failure, refused, run

from gog.schemas import FailureClass
from gog.transforms.services import limited_child
from gog.transforms.services.limited_child import LimitedChild

PROGRAM = """
import json, os, signal, sys, time
from gog.transforms.services import limited_child
from gog.transforms.services.limited_child import RefusedError, serve

kept = []

def work(data):
    word, _, rest = data.decode().partition(" ")
    if word == "refuse":
        raise RefusedError(rest)
    if word == "fail":
        raise KeyError(rest)
    if word == "spin":
        while True: pass
    if word == "sleep":
        time.sleep(float(rest))
    if word == "grow":
        bytearray(int(rest))
    if word == "keep":
        kept.append(bytearray(int(rest)))
    if word == "die":
        os.kill(os.getpid(), getattr(signal, rest))
    if word == "leave":
        os._exit(int(rest))
    if word == "print":
        print(rest, flush=True)
    if word == "environment":
        return json.dumps(dict(os.environ)).encode()
    return str(os.getpid()).encode()

if __name__ == "__main__":
    serve(work)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LimitedChild]:
    (tmp_path / "told.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)
    made = LimitedChild("told", "the thing", seconds=1, memory=200 << 20)
    yield made
    made.close()


def ask(child: LimitedChild, what: str) -> str:
    return run(child.ask(what.encode())).decode()


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_process_is_kept_for_the_next(child: LimitedChild) -> None:
    first = ask(child, "pid")
    assert ask(child, "print noise that is no answer") == first
    assert refused(child.ask(b"refuse has no text")) == "the thing has no text"
    assert refused(child.ask(b"fail x")) == "the thing cannot be read (KeyError)"
    assert ask(child, "pid") == first
    child.close()
    assert not alive(int(first))


def test_one_makes_room_for_another_after_some_documents(
    child: LimitedChild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "told.py").write_text(
        PROGRAM.replace(
            "import json", "import gog.transforms.services.limited_child as l\nl.DOCUMENTS = 2\nimport json", 1
        )
    )
    pids = [ask(child, "pid") for _ in range(5)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [2, 2, 1]


def test_time_of_the_processor_is_bounded_and_the_slot_is_free_again(child: LimitedChild) -> None:
    pid = int(ask(child, "pid"))
    begun = time.process_time()
    assert refused(child.ask(b"spin")) == "the thing was not read within 1 s of processor time"
    assert time.process_time() - begun < 0.5
    assert not alive(pid)
    assert ask(child, "pid")


def test_one_that_hangs_is_ended_and_the_machine_is_to_blame(
    child: LimitedChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited_child, "PATIENCE", 1)
    pid = int(ask(child, "pid"))
    error = failure(child.ask(b"sleep 60"))
    assert (error.failure, error.detail) == (FailureClass.SERVER, "the thing was not read within 1 s")
    assert not alive(pid)


def test_memory_is_bounded(child: LimitedChild) -> None:
    assert refused(child.ask(b"grow 400000000")) == "the thing takes more than 200 MiB of memory"
    assert ask(child, "grow 1000")


def test_one_that_keeps_much_of_what_it_read_is_replaced(child: LimitedChild) -> None:
    pid = ask(child, "pid")
    assert ask(child, "keep 100000000") == pid
    assert ask(child, "pid") != pid


@pytest.mark.parametrize(
    ("how", "told"),
    [("die SIGSEGV", "crash (SIGSEGV)"), ("leave 3", "crash (exit code 3)")],
)
def test_a_crash_is_told(child: LimitedChild, how: str, told: str) -> None:
    assert told in refused(child.ask(how.encode()))
    assert ask(child, "pid")


def test_one_that_the_system_kills_says_nothing_of_the_document(child: LimitedChild) -> None:
    error = failure(child.ask(b"die SIGKILL"))
    assert (error.failure, error.failure.passing) == (FailureClass.SERVER, True)
    assert "memory" in error.detail


def test_one_that_was_killed_while_idle_is_replaced(child: LimitedChild) -> None:
    pid = int(ask(child, "pid"))
    os.kill(pid, signal.SIGKILL)
    assert ask(child, "pid") != str(pid)


def test_whoever_stops_waiting_ends_the_process(child: LimitedChild) -> None:
    pid = int(ask(child, "pid"))

    async def leave() -> None:
        task = asyncio.create_task(child.ask(b"sleep 60"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(leave())
    assert not alive(pid)


def test_it_sees_no_keys(child: LimitedChild, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERPER_API_KEY", "planted")
    names = json.loads(ask(child, "environment"))
    assert "planted" not in names.values()
    assert "PATH" in names


def test_one_that_does_not_start_says_what_to_try() -> None:
    error = failure(LimitedChild("no_such_module", "the thing", seconds=1, memory=1 << 30).ask(b""))
    assert error.failure is FailureClass.SERVER
    assert "python -m no_such_module" in error.detail


def test_a_fork_leaves_the_processes_to_its_parent(child: LimitedChild) -> None:
    pid = ask(child, "pid")
    fork = multiprocessing.get_context("fork")
    told = fork.SimpleQueue()
    process = fork.Process(target=lambda: told.put(ask(child, "pid")))
    process.start()
    assert told.get() != pid
    process.join(60)
    assert ask(child, "pid") == pid


SCRIPT = """
import asyncio, sys
from gog.transforms.services import limited_child
from gog.transforms.services.limited_child import LimitedChild

child = LimitedChild("told", "the thing", seconds=20, memory=200 << 20)
print(asyncio.run(child.ask(b"pid")).decode(), flush=True)
if sys.argv[1:]:
    try:
        asyncio.run(child.ask(b"sleep 60"))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def script(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A main program without `if __name__ == "__main__"`, in a group of its own as in a shell."""
    (folder / "main.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, str(folder / "main.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def gone(pid: int) -> bool:
    for _ in range(100):
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.usefixtures("child")
def test_a_program_leaves_none_behind(tmp_path: Path) -> None:
    out, errors = script(tmp_path).communicate(timeout=60)
    assert errors == ""
    assert gone(int(out))


@pytest.mark.usefixtures("child")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_program_that_is_interrupted_or_killed_leaves_none_behind(tmp_path: Path, how: signal.Signals) -> None:
    program = script(tmp_path, "wait")
    assert program.stdout is not None
    pid = int(program.stdout.readline())
    time.sleep(0.3)
    os.killpg(program.pid, how)
    out, errors = program.communicate(timeout=60)
    assert (out, errors) == ("interrupted\n" if how == signal.SIGINT else "", "")
    if how == signal.SIGINT:
        assert gone(pid)
