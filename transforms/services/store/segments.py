"""A store that many workers share: immutable segments on a file system, read as a whole when it is opened.

Each process keeps a copy of all segments in an SQLite file of its own, in a temporary folder, and answers from that:
lookups never wait for the network, and memory does not grow with the store. What it keeps itself goes to the copy at
once, and to a new segment after `flush_s` seconds or when enough has gathered. **A process that is killed loses what
was not yet published, no more**; it is bought again, and its copy stays in the temporary folder. Answers that another
worker buys meanwhile are not seen, so two workers may buy the same; the first by time stays. `gog store gc` makes few
segments of many.
"""

import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from gog.schemas import Event
from gog.transforms.services.store.places import Files
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
from gog.transforms.services.store.rows import ANSWER_COLUMNS, KEEP_FIRST, entry_row, event_row, insert
from gog.transforms.services.store.schema import FILE, StoreError, explain, open_file, transaction
from gog.transforms.services.store.segment_files import (
    FOLDER,
    SegmentSection,
    compact,
    encode,
    new_worker,
    read_segment,
    section_name,
)
from gog.transforms.services.store.sqlite import Store
from gog.transforms.services.store.upkeep import (
    add_entries,
    choose,
    drop_entries,
    keys_of,
    runs_in,
    size_of,
    statistics,
    verify,
)

FLUSH_S: Final = 5.0
MOST_ITEMS: Final = 500
MOST_BYTES: Final = 1 << 22
"""Of the texts of entries: with so many or so much waiting, a segment is published at once."""
_TRIES: Final = 20


class SegmentStore(AnyStore):
    """The store at a place that many processes share. Close it, or use it as a context manager."""

    def __init__(
        self,
        files: Files,
        mode: Mode = Mode.RECORD,
        *,
        fresh: Freshness = ALWAYS,
        clock: Callable[[], float] = time.time,
        flush_s: float = FLUSH_S,
    ) -> None:
        """Read all segments. Raises `StoreError`: nothing to replay, a damaged or foreign segment, no access."""
        self.mode, self._files, self._fresh, self._clock = mode, files, fresh, clock
        self._worker, self._number = new_worker(), 0
        self._lock, self._publishing = threading.Lock(), threading.Lock()
        self._waiting, self._bytes = SegmentSection(""), 0
        self._trouble: StoreError | None = None
        self._wake, self._closed = threading.Event(), False
        self._read: set[str] = set()
        self._folder = Path(tempfile.mkdtemp(prefix="gog-store-"))
        try:
            self._mirror = open_file(self._folder / FILE)
            self._mirror.execute("CREATE TABLE sections (name TEXT PRIMARY KEY)")
            self._look()
            if mode is Mode.REPLAY and not self._read:
                raise StoreError(f"{self.place}: nothing to replay; run once with mode record")
            self._local = Store(self._folder, mode, fresh=fresh, clock=clock)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._flush_s = flush_s
        self._thread = threading.Thread(target=self._run, name="gog-segments", daemon=True)
        self._thread.start()

    @property
    def place(self) -> str:
        """The place of the segments."""
        return self._files.place

    @property
    def database(self) -> Path:
        """The copy of this process, with what other workers have published up to now."""
        self._look()
        self._local.flush()
        return self._folder / FILE

    def get(self, key: str) -> Kept | None:
        return self._local.get(key)

    async def find(self, key: str) -> Kept | None:
        return self._local.get(key)

    async def claim(self, key: str) -> Kept | None:
        """Of this process alone: what others are making is not known."""
        return await self._local.claim(key)

    def release(self, key: str) -> None:
        self._local.release(key)

    async def put(self, entry: Entry, run: str = "", event: Event | None = None) -> Kept:
        """Keep the entry, and the event with it; both are published soon. Raises `StoreError`."""
        self._raise_trouble()
        held = await self._local.put(entry, run, event)
        new = self.mode is Mode.RECORD and held == entry.kept
        dated = Dated(entry, self._clock(), self._fresh.over(entry.kind)) if new else None
        self._hand_over(dated, None if event is None else (run, event))
        return held

    def log(self, run: str, event: Event) -> None:
        self._local.log(run, event)
        self._hand_over(None, (run, event))

    def flush(self) -> None:
        """Return when everything handed over so far is published. Raises `StoreError`."""
        self._local.flush()
        self._publish()
        self._raise_trouble()

    def events(self, run: str) -> Iterator[Event]:
        """The events of a run, those that other workers have published included."""
        self._look()
        yield from self._local.events(run)

    def tally(self, run: str, since: float = 0.0) -> list[Tally]:
        self._look()
        return self._local.tally(run, since)

    def spend(self, run: str) -> Spent:
        """What the run has used so far, as far as it was published."""
        self._look()
        return self._local.spend(run)

    def asked(self, run: str) -> Iterator[Asked]:
        self._look()
        yield from self._local.asked(run)

    def count(self) -> int:
        self._look()
        return self._local.count()

    def size(self) -> int:
        return size_of(self.database)

    def choose(self, choice: Choice) -> Iterator[Dated]:
        return choose(self.database, choice)

    def keys(self, choice: Choice) -> list[str]:
        return keys_of(self.database, choice)

    def statistics(self, choice: Choice) -> list[Group]:
        return statistics(self.database, choice)

    def runs(self) -> dict[str, int]:
        return runs_in(self.database)

    def problems(self) -> Iterator[Problem]:
        return verify(self.database)

    def add(self, entries: Iterable[Dated]) -> Added:
        """Keep entries of another store, and publish those that are new; the first under a key stays."""

        def publish(new: list[Dated]) -> None:
            for dated in new:
                self._hand_over(dated, None)
            self.flush()

        return add_entries(self.database, entries, publish)

    def drop(self, keys: Sequence[str], runs: Sequence[str] = ()) -> None:
        """Remove entries by key, and the events of runs with their parts: all segments are written anew."""
        self.flush()
        drop_entries(self.database, keys, runs)
        try:
            compact(self._files, keys=frozenset(keys), runs=frozenset(runs))
        except OSError as error:
            raise self._explain(error, "written") from error

    def close(self) -> None:
        """Publish what is waiting and close. Raises `StoreError` when something could not be published."""
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        self._thread.join()
        try:
            self._local.close()
            self._publish()
            self._raise_trouble()
        finally:
            self._mirror.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _hand_over(self, dated: Dated | None, event: tuple[str, Event] | None) -> None:
        with self._lock:
            if dated is not None:
                self._waiting.entries.append(dated)
                self._bytes += len(dated.entry.request) + len(dated.entry.kept.answer or "")
            if event is not None:
                self._waiting.events.append(event)
            items = len(self._waiting.entries) + len(self._waiting.events)
            full = items >= MOST_ITEMS or self._bytes >= MOST_BYTES
        if full:
            self._wake.set()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(self._flush_s)
            self._wake.clear()
            self._publish()

    def _publish(self) -> None:
        """Write what waits as a segment; what cannot be written goes on waiting, and callers hear of the trouble."""
        with self._publishing:
            with self._lock:
                section, self._waiting, self._bytes = self._waiting, SegmentSection(""), 0
            if not section.entries and not section.events:
                return
            self._number += 1
            section.name = section_name(self._clock(), self._worker, self._number)
            name, data = encode([section])
            try:
                self._files.publish(FOLDER, name, data)
            except OSError as error:
                if self.mode is Mode.REPLAY:  # where nobody may write, only events are lost
                    return
                self._trouble = self._explain(error, "written")
                with self._lock:
                    self._waiting.entries[:0] = section.entries
                    self._waiting.events[:0] = section.events
                return
            self._trouble = None
            self._read.add(name)
            self._mirror.execute("INSERT OR IGNORE INTO sections VALUES (?)", (section.name,))

    def _raise_trouble(self) -> None:
        if self._trouble:
            raise self._trouble

    def _explain(self, error: OSError, done: str) -> StoreError:
        return StoreError(
            f"{self.place}: the store cannot be {done}: {error}; check the address, its rights and the net"
        )

    def _look(self) -> None:
        """Read the segments that are new since the last look."""
        try:
            with self._publishing:
                for _ in range(_TRIES):
                    if self._look_once():
                        return
                raise StoreError(f"{self.place}: segments vanish while they are read; run again when the store rests")
        except OSError as error:
            raise self._explain(error, "read") from error
        except sqlite3.Error as error:
            raise explain(error, self._folder / FILE) from error

    def _look_once(self) -> bool:
        """False when a segment vanished on the way: it was compacted, and the listing must be taken anew."""
        whole = True
        for name in self._files.names(FOLDER):
            if name in self._read:
                continue
            try:
                sections = read_segment(self._files, name)
            except FileNotFoundError:
                whole = False
                continue
            self._take(sections)
            self._read.add(name)
        return whole

    def _take(self, sections: Sequence[SegmentSection]) -> None:
        marks = ", ".join("?" * (ANSWER_COLUMNS.count(",") + 1))
        with transaction(self._mirror):
            for section in sections:
                there = self._mirror.execute("INSERT OR IGNORE INTO sections VALUES (?)", (section.name,))
                if not there.rowcount:
                    continue
                rows = [(*entry_row(dated.entry, dated.created), dated.over) for dated in section.entries]
                clause = f"{KEEP_FIRST} OR answers.created < ?"
                self._mirror.executemany(f"INSERT INTO answers VALUES ({marks}) {clause}", rows)
                insert(self._mirror, "events", [event_row(run, event) for run, event in section.events])
