"""The store: every answer of the outside world, kept under the key of its request. One SQLite file.

Answers go through a writer thread that commits all that is waiting in one transaction, and `put` returns only
after its commit: a killed process loses at most what was in flight. The events of a run are written in the same
transactions, so what a run spent survives with what it bought. Several processes may use one store; it must not
lie on a network file system, where SQLite's locks do not hold.
"""

import asyncio
import contextlib
import json
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from gog.schemas import Event
from gog.transforms.services.store import upkeep
from gog.transforms.services.store.claims import Claims
from gog.transforms.services.store.records import (
    ALWAYS,
    Added,
    AnyStore,
    Asked,
    Choice,
    Dated,
    Entry,
    Freshness,
    Group,
    Kept,
    Mode,
    Problem,
    Spent,
    Tally,
)
from gog.transforms.services.store.rows import (
    ASKED,
    KEEP_FIRST,
    OF_RUN,
    entry_row,
    event_row,
    hours_of,
    insert,
    kept_of,
)
from gog.transforms.services.store.schema import (
    EVENT_COLUMNS,
    FILE,
    StoreError,
    check_version,
    connect,
    explain,
    open_file,
    transaction,
)

_LINGER_S: Final = 0.1
"""How long events without an answer may wait to be written together."""
_BATCH: Final = 512
_LOOK_AGAIN_S: Final = 0.05
"""How often a request that another process makes is looked for."""
_SELECT: Final = "SELECT answer, failure, detail, kind, created FROM answers WHERE key = ?"
_WHERE_OLD: Final = "OR (answers.kind IN (SELECT value FROM json_each(?)) AND answers.created < ?)"
"""Behind `KEEP_FIRST`: answers that are bought anew are replaced."""


@dataclass(frozen=True, slots=True)
class _Write:
    entry: Entry | None
    event: tuple[Any, ...] | None
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Kept | None]"


class _Signal(StrEnum):
    EVENTS = "events"
    FLUSH = "flush"
    STOP = "stop"


_Item = _Write | tuple[_Signal, threading.Event]


class Store(AnyStore):
    """The store of a folder, opened by one process; close it, or use it as a context manager."""

    def __init__(
        self,
        folder: Path,
        mode: Mode = Mode.RECORD,
        *,
        fresh: Freshness = ALWAYS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open or create `folder/store.sqlite`; `fresh` says what counts; `clock` gives seconds since 1970.

        Raises `StoreError`: no store to replay, a newer version, a damaged file, no right to write.
        """
        self.mode = mode
        self.path = folder / FILE
        self._fresh, self._clock, self._pid = fresh, clock, os.getpid()
        self._over = (json.dumps(sorted(fresh.refresh)), fresh.before)
        self._queue: queue.SimpleQueue[list[_Item]] = queue.SimpleQueue()
        self._outgoing: dict[asyncio.AbstractEventLoop, list[_Item]] = {}
        self._events: deque[tuple[Any, ...]] = deque()
        self._signalled = False
        self._trouble: StoreError | None = None
        self._closed = False
        self._read_only = mode is Mode.REPLAY and not os.access(folder, os.W_OK)
        if mode is Mode.REPLAY and not self.path.exists():
            raise StoreError(f"{self.path}: nothing to replay; run once with mode record")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._reader = self._connect_reader() if self._read_only else open_file(self.path)
            self._writer = None if self._read_only else connect(self.path)
        except (OSError, sqlite3.Error) as error:
            raise explain(error, self.path) from error
        self._claims = Claims(None if mode is not Mode.RECORD else folder)
        self._thread = threading.Thread(target=self._run, name="gog-store", daemon=True)
        if self._writer:
            self._thread.start()

    @property
    def place(self) -> str:
        return str(self.path)

    def get(self, key: str) -> Kept | None:
        if self.mode is Mode.LIVE:
            return None
        try:
            row = self._reader.execute(_SELECT, (key,)).fetchone()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        if row is None:
            return None
        answer, failure, detail, kind, created = row
        kept = kept_of(answer, failure, detail, self.path)
        if self.mode is Mode.REPLAY or self._fresh.counts(kind, kept.failure, created, self._clock()):
            return kept
        return None

    async def find(self, key: str) -> Kept | None:
        """As quick as `get`: an entry of a local file."""
        return self.get(key)

    async def claim(self, key: str) -> Kept | None:
        if self.mode is not Mode.RECORD:
            return None
        while not self._claims.take(key):  # noqa: ASYNC110  # another process tells nobody here
            await asyncio.sleep(_LOOK_AGAIN_S)
        # Looked up after the claim: whoever had it before has kept an answer before giving it up.
        kept = self.get(key)
        if kept is not None:
            self._claims.give_up(key)
        return kept

    def release(self, key: str) -> None:
        if self.mode is Mode.RECORD:
            self._claims.give_up(key)

    async def put(self, entry: Entry, run: str = "", event: Event | None = None) -> Kept:
        """Keep the entry, and the event with it; returns after the commit.

        Returns what the store now holds: where another process was first with an answer, that answer. Outside
        `record` mode only the event is written, and soon where it cost nothing. Raises `StoreError`.
        """
        if self.mode is not Mode.RECORD and (event is None or not event.cost):
            if event is not None:
                self.log(run, event)
            return entry.kept
        row = None if event is None else event_row(run, event)
        self._check_open()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Kept | None] = loop.create_future()
        outgoing = self._outgoing.setdefault(loop, [])
        outgoing.append(_Write(entry if self.mode is Mode.RECORD else None, row, loop, done))
        if len(outgoing) == 1:
            # What one round of the loop brings goes over together: each wake of the writer costs the loop its turn.
            loop.call_soon(self._hand_over, loop)
        return await done or entry.kept

    def log(self, run: str, event: Event) -> None:
        """Write an event soon (within a tenth of a second), without waiting."""
        if self._read_only:
            return
        self._events.append(event_row(run, event))
        if not self._signalled:
            self._signalled = True
            self._send((_Signal.EVENTS, threading.Event()))

    def flush(self) -> None:
        if self._writer:
            reached = threading.Event()
            self._send((_Signal.FLUSH, reached))
            reached.wait()
        self._raise_trouble()

    def events(self, run: str) -> Iterator[Event]:
        """The events of a run, in the order they were written, those of its earlier parts included."""
        columns = ", ".join(EVENT_COLUMNS)
        for row in self._rows(f"SELECT {columns} FROM events WHERE {OF_RUN} ORDER BY rowid", (run,)):
            yield Event.model_validate(dict(zip(EVENT_COLUMNS, row, strict=True)))

    def count(self) -> int:
        count: int = next(iter(self._rows("SELECT count(*) FROM answers", ())))[0]
        return count

    def tally(self, run: str, since: float = 0.0) -> list[Tally]:
        sql = f"""SELECT provider, kind, purpose, count(*), sum(attempts), sum(from_store),
            count(failure), sum(prompt_tokens), sum(completion_tokens), sum(cost),
            total(latency_s) FILTER (WHERE NOT from_store)
            FROM events WHERE {OF_RUN} AND {ASKED} AND started >= ?2 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
        return [Tally(*row) for row in self._rows(sql, (run, since))]

    def spend(self, run: str) -> Spent:
        """What the run has used so far; gaps of more than five minutes between its events are not work."""
        totals = f"""SELECT coalesce(sum(attempts), 0), coalesce(sum(cost), 0.0), coalesce(sum(prompt_tokens), 0),
            coalesce(sum(completion_tokens), 0) FROM events WHERE {OF_RUN}"""
        calls, cost, prompt_tokens, completion_tokens = next(iter(self._rows(totals, (run,))))
        hours = hours_of(self._rows(f"SELECT started, latency_s FROM events WHERE {OF_RUN} ORDER BY started", (run,)))
        return Spent(calls, cost, prompt_tokens, completion_tokens, hours)

    def asked(self, run: str) -> Iterator[Asked]:
        sql = f"""SELECT substr(events.run, length(?1) + 2), min(events.provider), min(events.kind),
            min(events.purpose), max(max(events.prompt_tokens), coalesce(min(answers.prompt_tokens), 0)),
            max(max(events.completion_tokens), coalesce(min(answers.completion_tokens), 0)),
            min(events.latency_s) FILTER (WHERE NOT from_store)
            FROM events LEFT JOIN answers USING (key) WHERE {OF_RUN} AND events.failure IS NULL
            GROUP BY events.run, key ORDER BY events.run, key"""
        for row in self._rows(sql, (run,)):
            yield Asked(*row)

    def size(self) -> int:
        return upkeep.size_of(self.path)

    def choose(self, choice: Choice) -> Iterator[Dated]:
        return upkeep.choose(self.path, choice)

    def keys(self, choice: Choice) -> list[str]:
        return upkeep.keys_of(self.path, choice)

    def statistics(self, choice: Choice) -> list[Group]:
        return upkeep.statistics(self.path, choice)

    def runs(self) -> dict[str, int]:
        return upkeep.runs_in(self.path)

    def problems(self) -> Iterator[Problem]:
        return upkeep.verify(self.path)

    def add(self, entries: Iterable[Dated]) -> Added:
        """Keep entries of another store, some at a time; the first under a key stays."""
        return upkeep.add_entries(self.path, entries)

    def drop(self, keys: Sequence[str], runs: Sequence[str] = ()) -> None:
        upkeep.drop_entries(self.path, keys, runs)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._writer and os.getpid() == self._pid:
            self._queue.put([(_Signal.STOP, threading.Event())])
            self._thread.join()
            self._writer.close()
        self._reader.close()
        self._claims.close()
        self._raise_trouble()

    def _connect_reader(self) -> sqlite3.Connection:
        if not self._read_only:
            return connect(self.path)
        # Without the right to write, SQLite can read a WAL database only where it may believe that nobody else does.
        immutable = not self.path.with_name(FILE + "-wal").exists()
        connection = connect(self.path, f"{self.path.resolve().as_uri()}?mode=ro{'&immutable=1' * immutable}")
        try:
            check_version(connection, self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _rows(self, sql: str, parameters: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        # A connection of its own: a long read must not hold up the lookups of the event loop.
        try:
            with contextlib.closing(self._connect_reader()) as connection:
                yield from connection.execute(sql, parameters)
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        self._queue.put(self._outgoing.pop(loop))

    def _send(self, item: _Item) -> None:
        self._check_open()
        self._queue.put([item])

    def _check_open(self) -> None:
        self._raise_trouble()
        if self._closed:
            raise StoreError(f"{self.path}: the store is closed")
        if os.getpid() != self._pid:
            raise StoreError(f"{self.path}: opened in another process; open one store per process")

    def _raise_trouble(self) -> None:
        if self._trouble:
            raise self._trouble

    def _run(self) -> None:
        stop = False
        while not stop:
            batch = self._collect()
            writes = [item for item in batch if isinstance(item, _Write)]
            signals = [item for item in batch if not isinstance(item, _Write)]
            # First the flag, then the events: one that comes in between is taken now, and its signal finds nothing.
            self._signalled = False
            events = [self._events.popleft() for _ in range(len(self._events))]
            answers: list[Kept | StoreError | None]
            try:
                answers = list(self._commit(writes, events))
            except (sqlite3.Error, OSError) as error:
                trouble = explain(error, self.path)
                if events:
                    self._trouble = trouble
                answers = [trouble] * len(writes)
            except BaseException as error:  # the thread must not die with callers waiting
                self._trouble = StoreError(f"{self.path}: {error!r}")
                answers = [self._trouble] * len(writes)
            _resolve(writes, answers)
            for signal, reached in signals:
                reached.set()
                stop |= signal is _Signal.STOP
        # A call may have slipped in behind the stop: it must not wait for ever.
        with contextlib.suppress(queue.Empty):
            while True:
                for item in self._queue.get_nowait():
                    if isinstance(item, _Write):
                        _resolve([item], [StoreError(f"{self.path}: the store is closed")])
                    else:
                        item[1].set()

    def _collect(self) -> list[_Item]:
        """Everything waiting. When that is only events, a moment longer for what may come with them."""
        batch = self._queue.get()
        due = time.monotonic() + _LINGER_S
        with contextlib.suppress(queue.Empty):
            while len(batch) < _BATCH:
                lazy = all(not isinstance(item, _Write) and item[0] is _Signal.EVENTS for item in batch)
                batch += self._queue.get(lazy, max(0.001, due - time.monotonic()) if lazy else None)
        return batch

    def _commit(self, writes: list[_Write], events: list[tuple[Any, ...]]) -> list[Kept | None]:
        if not writes and not events:
            return []
        assert self._writer is not None
        now = self._clock()
        rows = [entry_row(write.entry, now) for write in writes if write.entry]
        events = events + [write.event for write in writes if write.event]
        with transaction(self._writer):
            new = insert(self._writer, "answers", rows, f"{KEEP_FIRST} {_WHERE_OLD}", self._over)
            insert(self._writer, "events", events)
        if new == len(rows):
            return [None] * len(writes)
        return [self._held(write.entry) if write.entry else None for write in writes]

    def _held(self, entry: Entry) -> Kept | None:
        """What the store holds under the entry's key; None when it is just that entry."""
        assert self._writer is not None
        answer, failure, detail, *_ = self._writer.execute(_SELECT, (entry.key,)).fetchone()
        held = kept_of(answer, failure, detail, self.path)
        return None if held == entry.kept else held


def _resolve(writes: list[_Write], answers: "list[Kept | StoreError | None]") -> None:
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Kept | None], Kept | StoreError | None]]] = {}
    for write, answer in zip(writes, answers, strict=True):
        loops.setdefault(write.loop, []).append((write.done, answer))
    for loop, pairs in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_tell, pairs)


def _tell(pairs: "list[tuple[asyncio.Future[Kept | None], Kept | StoreError | None]]") -> None:
    for future, answer in pairs:
        if future.done():
            continue
        if isinstance(answer, StoreError):
            future.set_exception(answer)
        else:
            future.set_result(answer)
