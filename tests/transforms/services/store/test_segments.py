"""The store of many workers: the same promises as the store of one machine, and what a kill or a stranger does."""

import asyncio
import gzip
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storing import entry, event, put

from gog.schemas import FailureClass
from gog.transforms.beam.files import BeamFiles
from gog.transforms.services.store import segment_files, segments
from gog.transforms.services.store.jsonl import LineError, digest, entry_line, event_line, read_entry, read_event
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.places import Files, LocalFiles
from gog.transforms.services.store.records import AnyStore, Dated, Entry, Freshness, Kept, Mode
from gog.transforms.services.store.schema import StoreError
from gog.transforms.services.store.segment_files import (
    FOLDER,
    Compacted,
    compact,
    encode,
    section_name,
    segment_problems,
)
from gog.transforms.services.store.segments import SegmentStore
from gog.transforms.services.store.sqlite import Store

DAY = 86400.0
Open = Callable[..., AnyStore]


@pytest.fixture(params=["sqlite", "segments", "beam"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens a store of each kind at one place."""

    def make(mode: Mode = Mode.RECORD, **more: object) -> AnyStore:
        if request.param == "sqlite":
            return Store(tmp_path / "store", mode, **more)  # type: ignore[arg-type]
        files: Files = LocalFiles(tmp_path / "store")
        if request.param == "beam":
            files = BeamFiles(str(tmp_path / "store"))
        return SegmentStore(files, mode, **more)  # type: ignore[arg-type]

    return make


class TestEveryStore:
    def test_what_was_kept_comes_back_to_the_next(self, opened: Open) -> None:
        first = opened()
        assert first.get(request_key("a")) is None
        put(first, entry("a"), entry("long", '"' + "x" * 5000 + '"'), entry("b", failure=FailureClass.REFUSED))
        first.log("run", event("a", cost=0.25))
        first.log("run/part", event("b", attempts=2))
        first.log("runner", event("c", cost=7.0))
        first.close()
        second = opened()
        assert second.get(request_key("a")) == Kept('"yes"')
        assert second.get(request_key("b")) == Kept(None, FailureClass.REFUSED, "because")
        assert second.count() == 3
        assert [e.key for e in second.events("run")] == ["a", "b"], "parts count with their run"
        assert (second.spend("run").cost, second.spend("run").calls) == (0.25, 3)
        assert [t.events for t in second.tally("run")] == [2]
        assert second.spend("run/part").calls == 2
        second.close()
        replay = opened(Mode.REPLAY)
        assert replay.get(request_key("a")) == Kept('"yes"')
        put(replay, entry("new"))
        assert replay.get(request_key("new")) is None
        replay.close()

    def test_the_first_answer_stays_and_a_failure_gives_way(self, opened: Open) -> None:
        store = opened()
        put(store, entry("a", failure=FailureClass.TIMEOUT))
        assert put(store, entry("a", '"first"')) == [Kept('"first"')]
        assert put(store, entry("a", '"second"')) == [Kept('"first"')]
        store.close()
        again = opened()
        assert again.get(request_key("a")) == Kept('"first"')
        again.close()

    def test_nothing_to_replay(self, opened: Open) -> None:
        with pytest.raises(StoreError, match="nothing to replay"):
            opened(Mode.REPLAY)

    def test_live_keeps_events_alone(self, opened: Open) -> None:
        store = opened(Mode.LIVE)
        asyncio.run(store.put(entry("a"), "run", event("a", cost=0.5)))
        store.close()
        after = opened()
        assert after.count() == 0
        assert after.spend("run").cost == 0.5
        after.close()

    def test_failures_live_as_long_as_their_class(self, opened: Open) -> None:
        now = [1000 * DAY]
        fresh = Freshness(lifetimes={FailureClass.REFUSED: 30 * DAY, FailureClass.TIMEOUT: DAY})
        store = opened(fresh=fresh, clock=lambda: now[0])
        failures = [FailureClass.REFUSED, FailureClass.TIMEOUT, FailureClass.NOT_FOUND, FailureClass.SERVER]
        put(store, *(entry(failure, failure=failure) for failure in failures))

        def held() -> list[bool]:
            return [store.get(request_key(failure)) is not None for failure in failures]

        assert held() == [True, True, True, False]
        now[0] += DAY
        assert held() == [True, False, True, False]
        now[0] += 29 * DAY
        assert held() == [False, False, True, False]
        put(store, entry(FailureClass.REFUSED, failure=FailureClass.REFUSED))
        assert held() == [True, False, True, False], "asked again and refused again: kept anew"
        store.close()

    def test_what_is_refreshed_is_bought_anew_once(self, opened: Open) -> None:
        now = [100 * DAY]
        store = opened(clock=lambda: now[0])
        put(store, entry("old", kind="text_search"), entry("chat"))
        now[0] = 150 * DAY
        put(store, entry("young", kind="text_search"))
        store.close()
        fresh = Freshness(refresh=frozenset({"text_search"}), before=140 * DAY)
        for bought in ('"new"', '"newer"'):
            store = opened(fresh=fresh, clock=lambda: now[0])
            expected = {'"new"': None, '"newer"': Kept('"new"')}[bought]
            assert store.get(request_key("old")) == expected
            assert store.get(request_key("young")) == store.get(request_key("chat")) == Kept('"yes"')
            assert put(store, entry("old", bought, kind="text_search")) == [Kept('"new"')]
            store.close()
        after = opened(Mode.REPLAY)
        assert after.get(request_key("old")) == Kept('"new"')
        after.close()

    def test_entries_of_another_store(self, opened: Open) -> None:
        store = opened(clock=lambda: 50.0)
        put(store, entry("a", '"mine"'), entry("f", failure=FailureClass.TIMEOUT))
        others = [
            Dated(entry("a", '"theirs"'), 1.0),
            Dated(entry("b"), 2.0),
            Dated(entry("f", '"found"'), 3.0),
            Dated(entry("g", failure=FailureClass.REFUSED), 4.0),
        ]
        added = store.add(others)
        assert (added.new, added.same, added.conflicts) == (3, 0, (request_key("a"),))
        again = store.add(others)
        assert (again.new, again.same, again.conflicts) == (0, 3, (request_key("a"),))
        store.close()
        after = opened()
        assert after.get(request_key("a")) == Kept('"mine"')
        assert after.get(request_key("f")) == Kept('"found"')
        assert after.count() == 4
        after.close()

    def test_what_is_dropped_is_gone(self, opened: Open) -> None:
        store = opened()
        put(store, entry("a"), entry("b"))
        store.log("old", event("a"))
        store.log("old/part", event("a"))
        store.log("older", event("b"))
        store.flush()
        store.drop([request_key("a")], ["old"])
        for _ in range(2):
            assert (store.get(request_key("a")), store.get(request_key("b"))) == (None, Kept('"yes"'))
            assert (len(list(store.events("old"))), len(list(store.events("older")))) == (0, 1)
            store.close()
            store = opened()
        store.close()

    def test_each_request_of_a_part_counts_once(self, opened: Open) -> None:
        store = opened()
        put(store, entry("a"))
        key = request_key("a")
        store.log("run/1", event(key, latency_s=3.0, prompt_tokens=100, completion_tokens=10))
        store.log("run/1", event(key, latency_s=0.0, from_store=True))
        store.log("run/2", event(key, latency_s=0.0, from_store=True, attempts=0))
        store.log("run/2", event("x", failure=FailureClass.TIMEOUT))
        store.flush()
        found = [(a.part, a.prompt_tokens, a.completion_tokens, a.seconds) for a in store.asked("run")]
        assert found == [("1", 100, 10, 3.0), ("2", 100, 10, None)]
        store.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.segments import SegmentStore
from gog.transforms.services.store.places import LocalFiles
from gog.transforms.services.store.records import Entry, Kept

store = SegmentStore(LocalFiles(Path(sys.argv[1])), flush_s=float(sys.argv[3]))

async def main():
    for number in range(100000):
        request = f"{sys.argv[2]}-{number}"
        await store.put(Entry(request_key(request), "chat", "m", "episode", request, Kept('"yes"')))
        print(number, flush=True)
        await asyncio.sleep(0.002)

asyncio.run(main())
"""


def test_a_killed_worker_loses_only_what_was_not_published(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # where a killed one leaves its copy
    store = tmp_path / "store"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store), name, "0.2"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name in ("a", "b")
    ]
    wrote = []
    for child in children:
        assert child.stdout
        last = 0
        began = 0.0
        while not began or time.monotonic() - began < 1.0:
            last = int(child.stdout.readline())
            began = began or time.monotonic()
        child.send_signal(signal.SIGKILL)
        wrote.append(last)
        child.wait()
        child.stdout.close()
    with SegmentStore(LocalFiles(store)) as read:
        for name, last in zip("ab", wrote, strict=True):
            held = [read.get(request_key(f"{name}-{number}")) is not None for number in range(last + 1)]
            kept = sum(held)
            assert all(held[:kept]), "nothing is missing in between"
            assert kept > last / 3, "what was published some time ago is there"


def test_work_is_published_by_time_and_by_amount(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    with SegmentStore(files, flush_s=60) as store:
        put(store, entry("a"))
        assert files.names(FOLDER) == []
        put(store, *(entry(str(number)) for number in range(600)))
        until = time.monotonic() + 10
        while not files.names(FOLDER) and time.monotonic() < until:
            time.sleep(0.01)
        assert files.names(FOLDER)
    with SegmentStore(files, flush_s=0.05) as store:
        before = len(files.names(FOLDER))
        put(store, entry("b"))
        while len(files.names(FOLDER)) == before and time.monotonic() < until:
            time.sleep(0.01)
        assert len(files.names(FOLDER)) == before + 1


def test_workers_see_what_others_published_when_they_count(tmp_path: Path) -> None:
    with SegmentStore(LocalFiles(tmp_path)) as mine, SegmentStore(LocalFiles(tmp_path)) as other:
        other.log("run", event("a", cost=1.0))
        other.flush()
        mine.log("run", event("b", cost=2.0))
        mine.flush()
        assert (mine.spend("run").cost, other.spend("run").cost) == (3.0, 3.0)


def test_the_copy_is_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with SegmentStore(LocalFiles(tmp_path / "store")) as store:
        put(store, entry("a"))
        assert list((tmp_path / "temporary").iterdir())
    assert not list((tmp_path / "temporary").iterdir())
    (name,) = LocalFiles(tmp_path / "store").names(FOLDER)
    (tmp_path / "store" / FOLDER / name).write_bytes(b"x")
    with pytest.raises(StoreError):
        SegmentStore(LocalFiles(tmp_path / "store"))
    assert not list((tmp_path / "temporary").iterdir())


class TestDamage:
    def damaged(self, folder: Path, spoil: Callable[[bytes], bytes]) -> str:
        with SegmentStore(LocalFiles(folder)) as store:
            put(store, entry("a"))
        (name,) = LocalFiles(folder).names(FOLDER)
        path = folder / FOLDER / name
        path.write_bytes(spoil(path.read_bytes()))
        return name

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda data: data[:-10], "not what was written"),
            (lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:], "not what was written"),
            (lambda data: b"", "not what was written"),
        ],
    )
    def test_a_damaged_segment_is_named_and_refused(
        self, tmp_path: Path, spoil: Callable[[bytes], bytes], said: str
    ) -> None:
        name = self.damaged(tmp_path, spoil)
        with pytest.raises(StoreError, match=said) as caught:
            SegmentStore(LocalFiles(tmp_path))
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
        assert [found for found, _ in segment_problems(LocalFiles(tmp_path))] == [name]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("hello", "does not begin with"),
            ("gog-segment 2\n", "newer version"),
            ("gog-segment 1\na {}", "line 2: no section"),
            ("gog-segment 1\ns ../../x", "line 2: a section without a proper name"),
            ("gog-segment 1\ns 1700000000000-aaaaaaaaaaaa-000001\na {}", "line 3: key"),
            ("gog-segment 1\ns 1700000000000-aaaaaaaaaaaa-000001\ne []", "line 3"),
        ],
    )
    def test_a_segment_that_somebody_else_wrote(self, tmp_path: Path, text: str, said: str) -> None:
        data = gzip.compress(text.encode())
        name = f"{section_name(1.0, 'a' * 12, 1)}-{digest(data)[:16]}.seg"
        LocalFiles(tmp_path).publish(FOLDER, name, data)
        with pytest.raises(StoreError, match=said):
            SegmentStore(LocalFiles(tmp_path))

    def test_a_bomb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(segment_files, "LONGEST", 10_000)
        data = gzip.compress(b"gog-segment 1\n" + b"\n" * 1_000_000)
        name = f"{section_name(1.0, 'a' * 12, 1)}-{digest(data)[:16]}.seg"
        LocalFiles(tmp_path).publish(FOLDER, name, data)
        with pytest.raises(StoreError, match="longer than any segment"):
            SegmentStore(LocalFiles(tmp_path))

    def test_a_foreign_file(self, tmp_path: Path) -> None:
        LocalFiles(tmp_path).publish(FOLDER, "notes.txt", b"hello")
        with pytest.raises(StoreError, match=r"notes\.txt: not a segment"):
            SegmentStore(LocalFiles(tmp_path))

    def test_a_place_that_cannot_be_written_says_so_and_loses_nothing(self, tmp_path: Path) -> None:
        class Shaky(LocalFiles):
            broken = True

            def publish(self, folder: str, name: str, data: bytes) -> None:
                if self.broken:
                    raise OSError("no route")
                super().publish(folder, name, data)

        files = Shaky(tmp_path)
        store = SegmentStore(files, flush_s=60)
        put(store, entry("a"))
        with pytest.raises(StoreError, match="no route"):
            store.flush()
        with pytest.raises(StoreError, match="no route"):
            put(store, entry("b"))
        files.broken = False
        store.flush()
        put(store, entry("c"))
        store.close()
        with SegmentStore(files) as store:
            assert [store.get(request_key(name)) is not None for name in "abc"] == [True, False, True]


answers = st.tuples(
    st.sampled_from("abcdef"),
    st.sampled_from(["1", "2", None]),
    st.floats(0, 10),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(answers, max_size=5), min_size=1, max_size=5), st.integers(0, 3))
def test_compacting_changes_nothing_that_is_seen(sections: list[list[tuple[str, str | None, float]]], n: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = LocalFiles(Path(folder))
        for number, items in enumerate(sections):
            made = segment_files.SegmentSection(section_name(number, f"{n:012x}", number))
            for request, answer, created in items:
                failure = None if answer else FailureClass.REFUSED
                made.entries.append(Dated(entry(request, answer or "", failure), created))
                made.events.append(("run", event(request, attempts=number)))
            files.publish(FOLDER, *encode([made]))

        def seen() -> list[object]:
            with SegmentStore(files) as store:
                held: list[object] = [store.get(request_key(request)) for request in "abcdef"]
                return [*held, sorted(e.model_dump_json() for e in store.events("run")), store.count()]

        with SegmentStore(files) as reader:
            before = seen()
            done = compact(files)
            assert (done.before, done.after) == (len(sections), 1)
            assert len(files.names(FOLDER)) == 1
            assert seen() == before
            assert len(list(reader.events("run"))) == sum(map(len, sections)), "who had read them counts none twice"
        assert compact(files).after == 1


def test_a_kill_between_writing_and_clearing_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LocalFiles(tmp_path)
    for number in range(3):
        with SegmentStore(files) as store:
            put(store, entry(str(number)))
            store.log("run", event(str(number)))
    monkeypatch.setattr(files, "remove", lambda folder, names: None)
    compact(files)
    assert len(files.names(FOLDER)) == 4
    with SegmentStore(files) as store:
        assert (store.count(), len(list(store.events("run")))) == (3, 3)
    monkeypatch.undo()
    compact(files)
    assert len(files.names(FOLDER)) == 1
    with SegmentStore(files) as store:
        assert (store.count(), len(list(store.events("run")))) == (3, 3)


@given(st.text(max_size=50), st.text(max_size=50), st.integers(0, 2**63 - 1), st.floats(0, 1e12))
def test_any_entry_comes_back_from_its_line(request: str, answer: str, tokens: int, cost: float) -> None:
    one = Dated(Entry(request_key(request), "chat", "m", "p", request, Kept(answer), cost, tokens, tokens), 1.5, 2.5)
    line = entry_line(one)
    assert "\n" not in line
    assert read_entry(line) == one


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line.replace('"request": "a"', '"request": "b"'),
        lambda line: line.replace('"prompt_tokens": 100', f'"prompt_tokens": {2**63}'),
        lambda line: line.replace('"cost": 0.5', '"cost": -1'),
        lambda line: line.replace('"cost": 0.5', '"cost": NaN'),
        lambda line: line.replace('"answer": "\\"yes\\""', '"answer": null'),
        lambda line: line.replace("{", '{"more": 1, ', 1),
        lambda line: line[:-1],
        lambda line: "[" * 100_000,
    ],
)
def test_a_line_that_nobody_wrote_is_refused(spoil: Callable[[str], str]) -> None:
    line = entry_line(Dated(entry("a"), 1.0))
    read_entry(line)
    assert spoil(line) != line
    with pytest.raises(LineError):
        read_entry(spoil(line))


def test_events_come_back_from_their_lines() -> None:
    one = event("k", failure=FailureClass.TIMEOUT, cost=0.125)
    assert read_event(event_line("run/part", one)) == ("run/part", one)
    with pytest.raises(LineError):
        read_event('{"run": "x", "event": {"key": "k"}}')


def test_many_readers_and_a_compaction_at_once(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    rng = random.Random(0)
    for number in range(30):
        with SegmentStore(files, clock=lambda: float(rng.randrange(100))) as store:
            put(store, entry(str(number)))
    pid = os.fork()
    if pid == 0:
        compact(files, most=5)
        compact(files)
        os._exit(0)
    counts = []
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        with SegmentStore(files) as store:
            counts.append(store.count())
    assert set(counts) <= {30}
    with SegmentStore(files) as store:
        assert store.count() == 30


def test_a_single_segment_is_left_as_it_is_unless_something_leaves_it(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    for number in range(3):
        with SegmentStore(files) as store:
            put(store, entry(f"question {number}"))
        if not number:
            before = files.names(FOLDER)
            assert compact(files) == Compacted(1, 1)
            assert files.names(FOLDER) == before
    assert FOLDER == "segments", "where stores of before are looked for"
    assert compact(files) == Compacted(3, 1)
    assert compact(files, keys=[request_key("question 1")]) == Compacted(1, 1)
    with SegmentStore(files, Mode.REPLAY) as store:
        assert [store.get(request_key(f"question {number}")) is None for number in range(3)] == [False, True, False]


def test_names_of_sections_are_in_the_order_of_time() -> None:
    assert section_name(1.5, "0123456789ab", 3) == "0000000001500-0123456789ab-000003"


def test_many_bytes_are_written_without_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST_BYTES", 3000)
    files = LocalFiles(tmp_path)
    with SegmentStore(files, flush_s=3600.0) as store:
        put(store, entry("q" * 500, '"' + "a" * 1500 + '"'))
        time.sleep(0.1)
        assert not list(files.names(FOLDER)), "little waits for more"
        put(store, entry("r" * 500, '"' + "a" * 1500 + '"'))
        for _ in range(100):
            if list(files.names(FOLDER)):
                break
            time.sleep(0.02)
        assert len(list(files.names(FOLDER))) == 1


def test_segments_that_vanish_again_and_again_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SegmentStore(LocalFiles(tmp_path)) as store:
        put(store, entry("a"))
        monkeypatch.setattr(store, "_look_once", lambda: False)
        with pytest.raises(StoreError, match="segments vanish"):
            store.spend("run")
