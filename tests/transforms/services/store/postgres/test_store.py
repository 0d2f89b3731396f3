"""The store in PostgreSQL: it answers as the SQLite store does, loses nothing, and makes an equal request once."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from postgres_server import Server, serving
from storing import entry, event, put

from gog.schemas import FailureClass
from gog.transforms.services.store.postgres import migrations
from gog.transforms.services.store.postgres.database import Database, secret_in
from gog.transforms.services.store.postgres.store import PostgresStore, has_store
from gog.transforms.services.store.records import ALL, Choice, Dated, Freshness, Mode
from gog.transforms.services.store.schema import StoreError
from gog.transforms.services.store.sqlite import Store

T = TypeVar("T")
KEY = "ab" * 32
needs_postgres = pytest.mark.postgres


def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(work, seconds)

    return asyncio.run(bounded())


@needs_postgres
def test_it_tells_what_the_sqlite_store_tells(postgres: Server, tmp_path: Path) -> None:
    entries = [
        entry('{"a":1}'),
        entry('{"b":2}', failure=FailureClass.REFUSED),
        entry('{"c":3}', failure=FailureClass.TIMEOUT),
        entry('{"d":"' + "long " * 2000 + '"}', '"\\u0000 ä 字"', kind="page"),
    ]
    clock = iter(range(1000, 2000)).__next__
    with Store(tmp_path, clock=clock) as one, PostgresStore(postgres.address(), clock=clock) as other:
        told = []
        for store in (one, other):
            for number, kept in enumerate(entries):
                asyncio.run(store.put(kept, f"r/{number % 2}", event(kept.key, failure=kept.kept.failure, cost=0.5)))
            store.log("r", event(entries[0].key, from_store=True, attempts=0))
            store.log("r0", event(KEY, started=5000.0))
            store.flush()
            assert put(store, entry('{"a":1}', '"another"')) == [entries[0].kept]
            told.append(
                {
                    "get": [store.get(kept.key) for kept in entries],
                    "find": [asyncio.run(store.find(kept.key)) for kept in entries],
                    "events": list(store.events("r")),
                    "tally": (store.tally("r"), store.tally("r", 2000.0)),
                    "spend": (store.spend("r"), store.spend("r0"), store.spend("none")),
                    "asked": list(store.asked("r")),
                    "count": store.count(),
                    "runs": store.runs(),
                    "keys": (store.keys(Choice(run="r")), store.keys(Choice(unasked_by=("r0",)))),
                    "failures": store.keys(Choice(failures=True, kinds=("chat",), before=1e9)),
                    "problems": list(store.problems()),
                    "entries": [dated.entry for dated in store.choose(ALL)],
                    "groups": [(g.kind, g.provider, g.failure, g.entries, g.cost) for g in store.statistics(ALL)],
                }
            )
            added = store.add([Dated(entry('{"a":1}'), 1.0), Dated(entry('{"e":1}'), 1.0), Dated(entries[3], 1.0)])
            conflict = store.add([Dated(entry('{"a":1}', '"no"'), 1.0)])
            better = store.add([Dated(entry('{"c":3}', '"at last"'), 1.0)])
            store.drop([entries[1].key], ["r0"])
            told[-1] |= {"added": (added, conflict, better), "left": (store.count(), store.runs(), store.size() > 0)}
        assert told[0] == told[1]


@needs_postgres
def test_what_is_kept_counts_as_long_as_it_should(postgres: Server) -> None:
    address, now = postgres.address(), 1000.0
    fresh = Freshness({FailureClass.TIMEOUT: 10.0}, frozenset({"page"}), 1005.0)
    with PostgresStore(address, fresh=fresh, clock=lambda: now) as store:
        late, page = entry('{"t":1}', failure=FailureClass.TIMEOUT), entry('{"p":1}', kind="page")
        put(store, late, page)
        assert store.get(late.key) == late.kept
        assert store.get(page.key) is None
        now = 1020.0
        assert store.get(late.key) is None
        assert put(store, entry('{"p":1}', '"new"', kind="page"))[0].answer == '"new"'
        assert store.get(page.key).answer == '"new"'  # type: ignore[union-attr]
    with PostgresStore(address, Mode.REPLAY, fresh=fresh, clock=lambda: now) as store:
        assert store.get(late.key) == late.kept
    with PostgresStore(address, Mode.LIVE) as store:
        assert within(10, store.find(page.key)) is None
        assert within(10, store.claim(page.key)) is None


@needs_postgres
def test_an_equal_request_is_made_once_and_a_claim_ends_with_its_lease(postgres: Server) -> None:
    address = postgres.address()
    wanted = entry('{"q":1}')

    async def ask(one: PostgresStore, other: PostgresStore) -> None:
        assert await one.claim(wanted.key) is None
        waits = [asyncio.create_task(store.claim(wanted.key)) for store in (one, other)]
        await asyncio.sleep(0.5)
        assert not any(task.done() for task in waits)
        gone = asyncio.create_task(other.claim(wanted.key))
        await asyncio.sleep(0.1)
        gone.cancel()
        await one.put(wanted)
        one.release(wanted.key)
        assert [await task for task in waits] == [wanted.kept] * 2
        assert await other.claim(KEY) is None

    with PostgresStore(address) as one, PostgresStore(address, lease_s=1.0) as other:
        within(30, ask(one, other))
        # As a process that was killed: nobody renews its lease, and nobody gives its claims back.
        assert other._worker is not None
        other._worker._ended.set()
        assert within(90, one.claim(KEY)) is None
        one.release(KEY)


@needs_postgres
def test_nothing_is_lost_or_done_twice_when_the_server_is_killed() -> None:
    entries = [entry(f'{{"n":{number}}}') for number in range(200)]

    async def work(store: PostgresStore) -> None:
        async def one(number: int) -> None:
            await asyncio.sleep(number * 0.01)
            kept = entries[number]
            assert await store.find(kept.key) is None
            assert await store.claim(kept.key) is None
            assert await store.put(kept, "r", event(kept.key)) == kept.kept
            store.release(kept.key)

        await asyncio.gather(*map(one, range(200)))

    with serving() as server, PostgresStore(server.address()) as store:

        def kill() -> None:
            server.kill()
            server.start()

        killer = threading.Timer(0.7, kill)
        killer.start()
        within(120, work(store))
        killer.join()
        store.flush()
        assert store.database.lost >= 1
        assert store.count() == 200
        assert store.spend("r").calls == 200


@needs_postgres
def test_an_outage_that_does_not_end_is_told_and_not_waited_for_again() -> None:
    with serving() as server:
        store = PostgresStore(server.address(), patience_s=1.0)
        server.kill()
        with pytest.raises(StoreError, match=r"was not there for 1 s .*run again: what was kept stays"):
            put(store, entry('{"a":1}'))
        with pytest.raises(StoreError, match="was not there"):
            within(5, store.find(KEY))
        with pytest.raises(StoreError, match="was not there"):
            store.close()


@needs_postgres
def test_the_version_of_the_tables_is_told(postgres: Server) -> None:
    address = postgres.address()
    assert not has_store(address)
    with pytest.raises(StoreError, match="nothing to replay; run once with mode record"):
        PostgresStore(address, Mode.REPLAY)
    assert postgres.query("SELECT to_regnamespace('gog')", address) == [(None,)]  # a look makes nothing
    PostgresStore(address).close()
    assert has_store(address)
    newer = (*migrations.MIGRATIONS, "ALTER TABLE gog.answers ADD COLUMN more text")
    database = Database(address)
    with pytest.raises(StoreError, match="store version 1 is older than this engine's 2"):
        migrations.check(database, newer)
    migrations.migrate(database, newer)
    assert migrations.check(database, newer)
    for refuses in (lambda: migrations.migrate(database), lambda: has_store(address)):
        with pytest.raises(StoreError, match="store version 2 is newer than this engine's 1; upgrade"):
            refuses()
    database.close()


@needs_postgres
def test_what_is_wrong_with_a_database_is_one_line(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "open-sesame-1234")
    with pytest.raises(StoreError, match="does not exist") as told:
        PostgresStore(postgres.address("nowhere"))
    assert "open-sesame" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("postgresql://gog@db/x", ""),
        ("postgresql://gog@db-1,db-2/x?target_session_attrs=read-write&sslmode=verify-full&sslrootcert=/ca.pem", ""),
        ("postgresql://gog:geheim12@db/x", "a password"),
        ("postgresql://gog@db/x?password=geheim12", "password"),
        ("postgresql://gog@db/x?sslpassword=geheim12", "sslpassword"),
        ("postgresql://gog@db/x?geheim12", "what is behind the ?"),
    ],
)
def test_an_address_has_no_secret_in_it(address: str, secret: str) -> None:
    assert secret_in(address) == secret
    if secret:
        with pytest.raises(StoreError) as told:
            Database(address)
        assert "geheim12" not in str(told.value)
