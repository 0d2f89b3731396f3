"""The tables of the shared state, version by version. Forward only: a version that was released is never changed."""

from typing import Any, Final

from gog.transforms.services.store.postgres.database import Database
from gog.transforms.services.store.schema import StoreError

_FIRST: Final = """
CREATE TABLE gog.answers (
    key text COLLATE "C" PRIMARY KEY, kind text NOT NULL, provider text NOT NULL, purpose text NOT NULL,
    failure text, detail text NOT NULL, answer text, created double precision NOT NULL,
    cost double precision NOT NULL, prompt_tokens bigint NOT NULL, completion_tokens bigint NOT NULL,
    request text NOT NULL);
CREATE TABLE gog.events (
    worker text NOT NULL, number bigint NOT NULL, written bigint GENERATED ALWAYS AS IDENTITY,
    run text COLLATE "C" NOT NULL, schema_version bigint NOT NULL, key text COLLATE "C" NOT NULL,
    kind text NOT NULL, purpose text NOT NULL, provider text NOT NULL,
    started double precision NOT NULL, latency_s double precision NOT NULL,
    attempts bigint NOT NULL, from_store boolean NOT NULL, prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL, cost double precision NOT NULL, failure text,
    PRIMARY KEY (worker, number));
CREATE INDEX events_by_run ON gog.events (run, written);
CREATE TABLE gog.workers (worker text PRIMARY KEY, lease interval NOT NULL, until timestamptz NOT NULL);
CREATE TABLE gog.claims (key text COLLATE "C" PRIMARY KEY, worker text NOT NULL);
CREATE TABLE gog.spending (
    run text COLLATE "C" NOT NULL, worker text NOT NULL, calls bigint NOT NULL,
    spent double precision NOT NULL, reserved double precision NOT NULL, PRIMARY KEY (run, worker));
CREATE TABLE gog.limits (name text PRIMARY KEY, requests_due double precision NOT NULL,
    tokens_due double precision NOT NULL);
"""
MIGRATIONS: Final[tuple[str, ...]] = (_FIRST,)
_LOCK: Final = 0x676F67


def version_of(connection: Any) -> int:
    """The version of the tables, 0 where there are none."""
    # Read as any table is, as of now: a name that is looked up may be remembered as missing.
    there = "SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'gog' AND tablename = 'versions'"
    if connection.execute(there).fetchone() is None:
        return 0
    version: int = connection.execute("SELECT coalesce(max(version), 0) FROM gog.versions").fetchone()[0]
    return version


def check(database: Database, migrations: tuple[str, ...] = MIGRATIONS) -> bool:
    """Whether there are tables; changes nothing. Raises `StoreError` where they are of another version."""
    version = database.run(version_of)
    _refuse_newer(database, version, migrations)
    if 0 < version < len(migrations):
        raise StoreError(
            f"{database.place}: store version {version} is older than this engine's {len(migrations)}; "
            "`gog run` with store.mode record brings it up to date"
        )
    return version > 0


def migrate(database: Database, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Make the tables, or bring them up to date. Raises `StoreError` where they are newer than this engine."""

    def work(connection: Any) -> int:
        version = version_of(connection)
        if version >= len(migrations):
            return version
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version = version_of(connection)  # another process may have done it meanwhile
        if not version:
            connection.execute("CREATE SCHEMA IF NOT EXISTS gog")
            connection.execute(
                "CREATE TABLE gog.versions (version int PRIMARY KEY, since timestamptz NOT NULL DEFAULT now())"
            )
        for number in range(version, len(migrations)):
            connection.execute(migrations[number])
            connection.execute("INSERT INTO gog.versions VALUES (%s)", (number + 1,))
        return max(version, len(migrations))

    _refuse_newer(database, database.run(work), migrations)


def _refuse_newer(database: Database, version: int, migrations: tuple[str, ...]) -> None:
    if version > len(migrations):
        raise StoreError(
            f"{database.place}: store version {version} is newer than this engine's {len(migrations)}; "
            "upgrade glance-or-gaze"
        )
