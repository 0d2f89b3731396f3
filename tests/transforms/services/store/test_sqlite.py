"""The store: what it keeps and gives back, for whom, and what survives."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import astuple
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storing import entry, event, put

from gog.schemas import FailureClass
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.records import Entry, Kept, Mode, Spent
from gog.transforms.services.store.schema import FILE, STORE_VERSION, StoreError
from gog.transforms.services.store.sqlite import Store


def test_an_answer_comes_back_in_this_process_and_the_next(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert store.get(entry("a").key) is None
        put(store, entry("a"))
        assert store.get(entry("a").key) == Kept('"yes"')
    with Store(tmp_path) as store:
        assert store.get(entry("a").key) == Kept('"yes"')


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=3000)), max_size=20, unique_by=lambda p: p[0]))
def test_any_text_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    entries = [entry(request, answer) for request, answer in pairs]
    with Store(tmp_path_factory.mktemp("store")) as store:
        put(store, *entries)
        assert [store.get(e.key) for e in entries] == [e.kept for e in entries]


def test_the_file_can_be_read_without_us(tmp_path: Path) -> None:
    long = '{"q":"' + "long " * 1000 + '"}'
    with Store(tmp_path, clock=lambda: 1234.5) as store:
        put(store, entry("short"), entry(long))
    rows = sqlite3.connect(tmp_path / FILE).execute(
        "SELECT kind, provider, purpose, cost, prompt_tokens, completion_tokens, created, request FROM answers"
        " ORDER BY length(request)"
    )
    first, second = rows
    assert first == ("chat", "big-model", "episode", 0.5, 100, 10, 1234.5, "short")
    assert zlib.decompress(second[-1]).decode() == long
    assert len(second[-1]) < len(long) / 10


def test_permanent_failures_are_kept_and_passing_ones_asked_again(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for failure in FailureClass:
            put(store, entry(failure, failure=failure))
            kept = store.get(request_key(failure))
            assert kept == (Kept(None, failure, "because") if failure.permanent else None)
    with Store(tmp_path, Mode.REPLAY) as store:
        for failure in FailureClass:
            assert store.get(request_key(failure)) == Kept(None, failure, "because")


def test_an_answer_replaces_a_failure_and_nothing_replaces_an_answer(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        put(store, entry("a", failure=FailureClass.TIMEOUT))
        put(store, entry("a", '"first"'))
        assert put(store, entry("a", '"second"')) == [Kept('"first"')]
        assert put(store, entry("a", failure=FailureClass.REFUSED)) == [Kept('"first"')]
        assert store.get(request_key("a")) == Kept('"first"')


def test_the_first_of_a_batch_wins_too(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        kept = put(store, *(entry("a", f'"{n}"') for n in range(50)), entry("b", '"b"'))
        assert set(kept[:-1]) == {Kept('"0"')}
        assert kept[-1] == Kept('"b"')


def test_live_keeps_events_only(tmp_path: Path) -> None:
    with Store(tmp_path, Mode.LIVE) as store:
        asyncio.run(store.put(entry("a"), "run", event("a", cost=0.5)))
        assert store.get(request_key("a")) is None
        assert store.spend("run").cost == 0.5
    with Store(tmp_path) as store:
        assert store.get(request_key("a")) is None


def test_replay_writes_no_answer_and_needs_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nothing to replay"):
        Store(tmp_path / "none", Mode.REPLAY)
    Store(tmp_path).close()
    with Store(tmp_path, Mode.REPLAY) as store:
        put(store, entry("a"))
        assert store.get(request_key("a")) is None


def test_events_come_back_in_order_with_the_spend_of_their_run(tmp_path: Path) -> None:
    events = [event(str(n), attempts=n, cost=0.25, prompt_tokens=n, completion_tokens=2) for n in range(5)]
    events.append(event("f", attempts=0, from_store=True, failure=FailureClass.REFUSED))
    with Store(tmp_path) as store:
        for one in events:
            store.log("mine", one)
        store.log("other", event("x", cost=9.0))
        store.flush()
        assert list(store.events("mine")) == events
    with Store(tmp_path) as store:
        spent = store.spend("mine")
        assert (spent.calls, spent.cost, spent.prompt_tokens, spent.completion_tokens) == (10, 1.25, 10, 10)
        assert list(store.events("none")) == []
        assert store.spend("none").hours == 0


def test_hours_leave_out_the_time_between_parts_of_a_run(tmp_path: Path) -> None:
    spans = [(0.0, 60.0), (30.0, 60.0), (200.0, 160.0), (100_000.0, 240.0)]
    with Store(tmp_path) as store:
        for started, latency_s in reversed(spans):
            store.log("run", event("k", started=started, latency_s=latency_s))
        store.flush()
        assert store.spend("run").hours == pytest.approx((360 + 240) / 3600)


def test_an_event_logged_without_waiting_is_soon_on_disk(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.log("run", event("a"))
        deadline = time.monotonic() + 10
        while not list(store.events("run")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [e.key for e in store.events("run")] == ["a"]


def test_events_logged_from_many_threads_all_arrive(tmp_path: Path) -> None:
    with Store(tmp_path) as store:

        def work(thread: int) -> None:
            for n in range(200):
                store.log("run", event(f"{thread}-{n}"))

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with Store(tmp_path) as store:
        assert len({e.key for e in store.events("run")}) == 1000


def test_answers_are_committed_in_groups(tmp_path: Path) -> None:
    commits = []
    with Store(tmp_path) as store:
        assert store._writer is not None
        store._writer.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        put(store, *(entry(str(n)) for n in range(1000)))
        assert sum(store.get(request_key(str(n))) is not None for n in range(1000)) == 1000
    assert len(commits) < 200


_CHILD = """
import asyncio, sys
from pathlib import Path
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.records import Entry, Kept
from gog.transforms.services.store.sqlite import Store
from gog.schemas import Event

async def main(folder, name, count):
    store = Store(Path(folder))
    slots = asyncio.Semaphore(32)
    async def one(n):
        request = f"{name}-{n} " + "x" * 2000
        key = request_key(request)
        async with slots:
            event = Event(key=key, kind="chat", purpose="episode", provider="p", started=1.0, latency_s=1.0,
                          attempts=1, from_store=False, cost=0.5)
            await store.put(Entry(key, "chat", "p", "episode", request, Kept(f'"{n}"')), name, event)
            sys.stdout.write(key + "\\n")
            sys.stdout.flush()
    await asyncio.gather(*map(one, range(count)))
    store.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def child(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(folder), name, str(count)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_put_returned_survives_a_kill(tmp_path: Path, seed: int) -> None:
    process = child(tmp_path, "run", 20_000)
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(random.Random(seed).uniform(0.0, 0.4))
    process.send_signal(signal.SIGKILL)
    printed = (first + process.stdout.read()).split("\n")[:-1]  # a last line without its end was cut by the kill
    process.stdout.close()
    process.wait()
    with Store(tmp_path) as store:
        assert len(printed) >= 1
        assert [key for key in printed if store.get(key) is None] == []
        spent = store.spend("run")
        # Every answer lies there with its event, and no event without its answer.
        assert len(printed) <= spent.calls <= len(printed) + 32
        assert all(store.get(e.key) for e in store.events("run"))


def test_two_processes_share_a_store(tmp_path: Path) -> None:
    processes = [child(tmp_path, name, 300) for name in ("one", "two")]
    printed = []
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        printed += out.split()
    with Store(tmp_path) as store:
        assert len(set(printed)) == 600
        assert all(store.get(key) for key in printed)
        assert store.spend("one").calls == store.spend("two").calls == 300


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"PRAGMA user_version = {STORE_VERSION + 1}")
    connection.close()
    for mode in Mode:
        with pytest.raises(StoreError, match="newer than this engine's 1; upgrade"):
            Store(tmp_path, mode)


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StoreError, match="move it away"):
        Store(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_damaged_answer_is_an_error(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        put(store, entry("a"))
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE answers SET answer = x'00ff'")
    connection.close()
    with Store(tmp_path) as store, pytest.raises(StoreError, match="damaged"):
        store.get(request_key("a"))


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="check the folder"):
        Store(tmp_path / "file" / "store")


def _without_rights(folder: Path, pipe: Connection) -> None:
    """In a child process: use a folder that may be read and not written; as root that takes another user."""
    if os.geteuid() == 0:
        os.setuid(65534)
    with Store(folder, Mode.REPLAY) as store:
        store.log("run", event("a"))
        pipe.send((store.get(request_key("a")), store.get(request_key("none"))))
    try:
        Store(folder)
    except StoreError as error:
        pipe.send(str(error))


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that another user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_read_only_store_replays_and_does_not_record(open_to_all: Path) -> None:
    folder = open_to_all / "store"
    with Store(folder) as store:
        put(store, entry("a"))
    folder.chmod(0o555)
    ours, theirs = get_context("fork").Pipe()
    process = get_context("fork").Process(target=_without_rights, args=(folder, theirs))
    process.start()
    process.join(60)
    folder.chmod(0o755)
    assert process.exitcode == 0
    assert ours.recv() == (Kept('"yes"'), None)
    assert "no right to write" in ours.recv()


def test_a_full_disk_is_an_error_and_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    code = """
import asyncio, random, resource, sys
from pathlib import Path
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.records import Entry, Kept
from gog.transforms.services.store.sqlite import Store
from gog.transforms.services.store.schema import StoreError
store = Store(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
rng = random.Random(0)
async def main():
    for n in range(1000):
        answer = '"' + rng.randbytes(2000).hex() + '"'
        await store.put(Entry(request_key(str(n)), "chat", "p", "episode", str(n), Kept(answer)))
        print(n, flush=True)
try:
    asyncio.run(main())
except StoreError as error:
    print(error, flush=True)
    sys.exit(1)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    *kept, error = done.stdout.splitlines()
    assert done.returncode == 1, done.stderr
    assert FILE in error
    assert "run again" in error
    assert kept
    with Store(tmp_path) as store:
        assert all(store.get(request_key(n)) for n in kept)
        put(store, entry("later"))
        assert store.get(request_key("later"))


def test_trouble_with_events_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> list[Kept | None]:
        raise sqlite3.OperationalError("database or disk is full")

    store = Store(tmp_path)
    monkeypatch.setattr(store, "_commit", broken)
    store.log("run", event("a"))
    with pytest.raises(StoreError, match="disk is full"):
        store.flush()
    with pytest.raises(StoreError, match="disk is full"):
        asyncio.run(store.put(entry("a")))
    with pytest.raises(StoreError, match="disk is full"):
        store.close()


def test_a_closed_store_and_one_of_another_process_refuse(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        put(store, entry("a"))
    with Store(tmp_path) as other:
        other._pid += 1
        with pytest.raises(StoreError, match="another process"):
            put(other, entry("a"))
        other._pid -= 1


def test_hostile_detail_is_kept_as_far_as_it_goes(tmp_path: Path) -> None:
    bad = Entry("k", "chat", "p", "episode", "r", Kept(None, FailureClass.REFUSED, "\ud800\x00" + "x" * 10_000))
    with Store(tmp_path) as store:
        put(store, bad)
        kept = store.get("k")
    assert kept is not None
    assert kept.failure is FailureClass.REFUSED
    assert kept.detail.startswith("?\x00xx")
    assert len(kept.detail) == 2000


def test_a_run_that_made_no_call_has_spent_nothing(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert store.spend("nobody") == Spent()
    assert astuple(Spent()) == (0, 0.0, 0, 0, 0.0)


def test_a_closed_store_takes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.close()
    for work in (lambda: put(store, entry("a")), lambda: store.log("run", event("a")), store.flush):
        with pytest.raises((StoreError, ValueError, RuntimeError)):
            work()


class Full(Store):
    """A store that says when it is closed that it could not write."""

    def close(self) -> None:
        super().close()
        raise StoreError("the disk is full")


def test_what_went_wrong_in_the_block_comes_before_what_goes_wrong_at_its_end(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="full"), Full(tmp_path):
        pass
    with pytest.raises(KeyError), Full(tmp_path):
        raise KeyError
