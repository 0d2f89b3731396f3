"""The store in PostgreSQL: answers, events, and claims, so that an equal request is made once among all workers.

What many tasks ask of it in one moment goes as one transaction (`gog.transforms.services.store.batches`), and `put`
returns after its commit. A lost connection is waited for, and what was under way is done again: each statement comes to
the same when it is done twice.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gog.schemas import Event
from gog.transforms.services.store.batches import Again, Batches
from gog.transforms.services.store.postgres import upkeep
from gog.transforms.services.store.postgres.database import PATIENCE_S, Database
from gog.transforms.services.store.postgres.migrations import check, migrate
from gog.transforms.services.store.postgres.rows import (
    EVENT_SQL,
    INSERT_ANSWER,
    KEPT_SQL,
    OF_RUN,
    answer_values,
    event_values,
    kept_of,
)
from gog.transforms.services.store.postgres.worker import LEASE_S, Worker, live
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
from gog.transforms.services.store.rows import ASKED, hours_of
from gog.transforms.services.store.schema import EVENT_COLUMNS, StoreError

_LOOK_AGAIN_S: Final = 0.1
"""How often a request that another worker makes is looked for."""


@dataclass(frozen=True, slots=True)
class _Put:
    entry: Entry | None
    event: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class _Claim:
    key: str
    free: bool = False
    """Whether it is given up."""


class PostgresStore(AnyStore):
    """The store in a database that many processes share, opened by one of them. Close it, or use it as a context
    manager.
    """

    def __init__(
        self,
        address: str,
        mode: Mode = Mode.RECORD,
        *,
        fresh: Freshness = ALWAYS,
        clock: Callable[[], float] = time.time,
        lease_s: float = LEASE_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`fresh` says what counts, `clock` gives seconds since 1970.

        Of a worker that is not heard of for `lease_s` seconds the claims are taken over. A lost database is waited for
        `patience_s` seconds. Raises `StoreError`: not to be reached, no driver, nothing to replay, another version.
        """
        self.mode, self._fresh, self._clock = mode, fresh, clock
        self.database = Database(address, patience_s=patience_s)
        try:
            self._worker = self._begin(lease_s)
        except BaseException:
            self.database.close()
            raise
        self._name = self._worker.name if self._worker else secrets.token_hex(8)
        self._over = (sorted(fresh.refresh), fresh.before)
        self._numbers, self._number = threading.Lock(), 0
        self._mine: set[str] = set()
        self._closed = False
        self._looking = Batches[str, Kept | None]("look", self._look)
        self._claiming = Batches[_Claim, Kept | None]("claims", self._claim, undo=self._unclaim)
        self._writing = Batches[_Put, Kept | None]("store", self._write)

    @property
    def place(self) -> str:
        return self.database.place

    @property
    def worker(self) -> str:
        """The name of this process among the workers."""
        return self._name

    def get(self, key: str) -> Kept | None:
        return self._look([key])[0]

    async def find(self, key: str) -> Kept | None:
        return None if self.mode is Mode.LIVE else await self._looking.ask(key)

    async def claim(self, key: str) -> Kept | None:
        """What is kept of the request meanwhile, or None: it is this process's to make, until `release`.

        Waits while another worker makes it.
        """
        return await self._claiming.ask(_Claim(key)) if self.mode is Mode.RECORD else None

    def release(self, key: str) -> None:
        if self.mode is Mode.RECORD:
            self._claiming.post(_Claim(key, free=True))

    async def put(self, entry: Entry, run: str = "", event: Event | None = None) -> Kept:
        row = None if event is None else self._event_row(run, event)
        if self.mode is not Mode.RECORD and row is None:
            return entry.kept
        self._raise_trouble()
        return await self._writing.ask(_Put(entry if self.mode is Mode.RECORD else None, row)) or entry.kept

    def log(self, run: str, event: Event) -> None:
        self._writing.post(_Put(None, self._event_row(run, event)))

    def flush(self) -> None:
        self._writing.flush()
        self._raise_trouble()

    def events(self, run: str) -> Iterator[Event]:
        columns = ", ".join(EVENT_COLUMNS)
        for row in self.database.stream(f"SELECT {columns} FROM gog.events WHERE {OF_RUN} ORDER BY written", _of(run)):
            yield Event.model_validate(dict(zip(EVENT_COLUMNS, row, strict=True)))

    def tally(self, run: str, since: float = 0.0) -> list[Tally]:
        sql = f"""SELECT provider, kind, purpose, count(*), sum(attempts)::bigint, count(*) FILTER (WHERE from_store),
            count(failure), sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint, sum(cost),
            coalesce(sum(latency_s) FILTER (WHERE NOT from_store), 0)
            FROM gog.events WHERE {OF_RUN} AND {ASKED} AND started >= %(since)s
            GROUP BY 1, 2, 3 ORDER BY provider COLLATE "C", kind COLLATE "C", purpose COLLATE "C" """
        return [Tally(*row) for row in self.database.stream(sql, _of(run) | {"since": since})]

    def spend(self, run: str) -> Spent:
        totals = f"""SELECT coalesce(sum(attempts), 0)::bigint, coalesce(sum(cost), 0),
            coalesce(sum(prompt_tokens), 0)::bigint, coalesce(sum(completion_tokens), 0)::bigint
            FROM gog.events WHERE {OF_RUN}"""
        ((calls, cost, read, written),) = self.database.stream(totals, _of(run))
        spans = f"SELECT started, latency_s FROM gog.events WHERE {OF_RUN} ORDER BY started"
        return Spent(calls, cost, read, written, hours_of(self.database.stream(spans, _of(run))))

    def asked(self, run: str) -> Iterator[Asked]:
        sql = f"""SELECT substr(e.run, length(%(run)s) + 2), min(e.provider), min(e.kind), min(e.purpose),
            greatest(max(e.prompt_tokens), coalesce(min(a.prompt_tokens), 0)),
            greatest(max(e.completion_tokens), coalesce(min(a.completion_tokens), 0)),
            min(e.latency_s) FILTER (WHERE NOT e.from_store)
            FROM gog.events e LEFT JOIN gog.answers a USING (key) WHERE {OF_RUN} AND e.failure IS NULL
            GROUP BY e.run, key ORDER BY e.run, key"""
        for row in self.database.stream(sql, _of(run)):
            yield Asked(*row)

    def count(self) -> int:
        ((count,),) = self.database.stream("SELECT count(*) FROM gog.answers", None)
        return int(count)

    def size(self) -> int:
        return upkeep.size(self.database)

    def choose(self, choice: Choice) -> Iterator[Dated]:
        return upkeep.choose(self.database, choice)

    def keys(self, choice: Choice) -> list[str]:
        return upkeep.keys(self.database, choice)

    def statistics(self, choice: Choice) -> list[Group]:
        return upkeep.statistics(self.database, choice)

    def runs(self) -> dict[str, int]:
        return upkeep.runs(self.database)

    def problems(self) -> Iterator[Problem]:
        return upkeep.problems(self.database)

    def add(self, entries: Iterable[Dated]) -> Added:
        return upkeep.add(self.database, entries)

    def drop(self, keys: Sequence[str], runs: Sequence[str] = ()) -> None:
        upkeep.drop(self.database, keys, runs)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._writing.close()
            self._claiming.close()
            self._looking.close()
            if self._worker:
                self._worker.close()
            self._raise_trouble()
        finally:
            self.database.close()

    def _begin(self, lease_s: float) -> Worker | None:
        if self.mode is not Mode.REPLAY:
            migrate(self.database)
            return Worker(self.database, lease_s)
        if not check(self.database):
            raise StoreError(f"{self.place}: nothing to replay; run once with mode record")
        return None

    def _raise_trouble(self) -> None:
        if self._writing.trouble and self.mode is not Mode.REPLAY:  # where a role may only read, events are lost
            raise self._writing.trouble

    def _event_row(self, run: str, event: Event) -> tuple[Any, ...]:
        with self._numbers:
            self._number += 1
            return event_values(self._name, self._number, run, event)

    def _counts(self, kind: str, kept: Kept, created: float) -> bool:
        return self.mode is Mode.REPLAY or self._fresh.counts(kind, kept.failure, created, self._clock())

    def _held(self, connection: Any, keys: Sequence[str]) -> dict[str, Kept]:
        """What counts of these requests."""
        rows = connection.execute(f"{KEPT_SQL} WHERE key = ANY(%s)", (list(keys),)).fetchall()
        found = {key: (kind, kept_of(answer, failure, detail), at) for key, answer, failure, detail, kind, at in rows}
        return {key: kept for key, (kind, kept, created) in found.items() if self._counts(kind, kept, created)}

    def _look(self, keys: list[str]) -> list[Kept | None]:
        if self.mode is Mode.LIVE:
            return [None] * len(keys)
        held = self.database.run(lambda connection: self._held(connection, keys))
        return [held.get(key) for key in keys]

    def _claim(self, items: list[_Claim]) -> list[Kept | Again | None]:
        """Free what is given up, and claim what nobody else has; what is kept by now needs no claim."""
        freed = sorted({item.key for item in items if item.free})
        self._mine.difference_update(freed)
        wanted = sorted({item.key for item in items if not item.free} - self._mine)
        free = f"DELETE FROM gog.claims WHERE worker = %s AND key IN ({_IN_ORDER})"
        claim = f"""INSERT INTO gog.claims AS c SELECT key, %(me)s FROM unnest(%(keys)s::text[]) AS k (key)
            WHERE NOT EXISTS
                (SELECT FROM gog.claims o WHERE o.key = k.key AND o.worker <> %(me)s AND {live("o.worker")})
            ON CONFLICT (key) DO UPDATE SET worker = excluded.worker WHERE c.worker = %(me)s OR NOT {live("c.worker")}
            RETURNING key"""

        def work(connection: Any) -> tuple[set[str], dict[str, Kept]]:
            if freed:
                connection.execute(free, (self.worker, freed))
            if not wanted:
                return set(), {}
            got = {key for (key,) in connection.execute(claim, {"keys": wanted, "me": self.worker}).fetchall()}
            # Looked up after the claim: whoever had it before has kept an answer before giving it up.
            held = self._held(connection, wanted)
            if unneeded := sorted(got & held.keys()):
                connection.execute(free, (self.worker, unneeded))
            return got - held.keys(), held

        got, held = self.database.run(work)
        answers: list[Kept | Again | None] = []
        for item in items:
            if item.free:
                answers.append(None)
            elif item.key in held:
                answers.append(held[item.key])
            elif item.key in got:
                got.discard(item.key)  # of two in this process that ask the same, the first
                self._mine.add(item.key)
                answers.append(None)
            else:
                answers.append(Again(_LOOK_AGAIN_S))
        return answers

    def _unclaim(self, item: _Claim, kept: Kept | None) -> None:
        if kept is None and not item.free:
            self.release(item.key)

    def _write(self, items: list[_Put]) -> list[Kept | None]:
        now = self._clock()
        # In order of keys: two workers that write the same answers must not wait for each other.
        entries = sorted((item.entry for item in items if item.entry), key=lambda entry: entry.key)
        events = [item.event for item in items if item.event]

        def work(connection: Any) -> dict[str, Kept]:
            with connection.cursor() as cursor:
                if events:
                    cursor.executemany(EVENT_SQL, events)
                if not entries:
                    return {}
                cursor.executemany(INSERT_ANSWER, [(*answer_values(entry, now), *self._over) for entry in entries])
            rows = connection.execute(f"{KEPT_SQL} WHERE key = ANY(%s)", ([entry.key for entry in entries],)).fetchall()
            return {key: kept_of(answer, failure, detail) for key, answer, failure, detail, *_ in rows}

        held = self.database.run(work)
        answers = [held.get(item.entry.key) if item.entry else None for item in items]
        # Just that entry is told as None: it is not read again.
        return [
            None if item.entry is None or kept == item.entry.kept else kept
            for item, kept in zip(items, answers, strict=True)
        ]


def has_store(address: str) -> bool:
    """Whether there is a store in the database; writes nothing. Raises `StoreError`."""
    database = Database(address)
    try:
        return check(database)
    finally:
        database.close()


_IN_ORDER: Final = "SELECT key FROM gog.claims WHERE key = ANY(%s) ORDER BY key FOR UPDATE"


def _of(run: str) -> dict[str, Any]:
    return {"run": run}
