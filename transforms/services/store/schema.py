"""The store's SQLite file: its tables, how it is opened, and what its errors mean."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gog.schemas import Event
from gog.schemas.errors import UserError

STORE_VERSION: Final = 1
FILE: Final = "store.sqlite"
_BUSY_S: Final = 30.0

EVENT_COLUMNS: Final = tuple(Event.model_fields)
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS answers (
        key TEXT PRIMARY KEY, kind TEXT NOT NULL, provider TEXT NOT NULL, purpose TEXT NOT NULL,
        failure TEXT, detail TEXT NOT NULL, answer, created REAL NOT NULL, cost REAL NOT NULL,
        prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, request NOT NULL)""",
    f"CREATE TABLE IF NOT EXISTS events (run TEXT NOT NULL, {', '.join(EVENT_COLUMNS)})",
    "CREATE INDEX IF NOT EXISTS events_by_run ON events (run)",
)


class StoreError(UserError):
    """The store cannot be read or written; the message says what to do."""


def connect(path: Path, uri: str = "") -> sqlite3.Connection:
    """A connection that waits for others and begins no transaction by itself."""
    return sqlite3.connect(uri or path, uri=bool(uri), timeout=_BUSY_S, isolation_level=None, check_same_thread=False)


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to the store, which is made where there is none."""
    connection = connect(path)
    try:
        version = check_version(connection, path)
        _enter_wal(connection)
        if version < STORE_VERSION:
            with transaction(connection):
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {STORE_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """Version of the store, 0 for a new file. `StoreError` when it is newer than this engine's."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > STORE_VERSION:
        raise StoreError(
            f"{path}: store version {version} is newer than this engine's {STORE_VERSION}; upgrade glance-or-gaze"
        )
    return version


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that the block writes, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _enter_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite's busy timeout does not cover two processes that do it at once."""
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def explain(error: OSError | sqlite3.Error, path: Path) -> StoreError:
    """The error as one line that says what to do."""
    code = getattr(error, "sqlite_errorcode", None)
    code = None if code is None else code & 0xFF
    advice = {
        sqlite3.SQLITE_FULL: "the disk is full: make room and run again, what was kept stays",
        sqlite3.SQLITE_READONLY: "no right to write: change it, or use mode replay",
        sqlite3.SQLITE_CORRUPT: "the file is damaged: restore a copy, or move it away to start a new store",
        sqlite3.SQLITE_NOTADB: "not a store: restore a copy, or move it away to start a new store",
        sqlite3.SQLITE_BUSY: "another process holds the store: end it, or wait and run again",
        sqlite3.SQLITE_LOCKED: "another process holds the store: end it, or wait and run again",
        sqlite3.SQLITE_CANTOPEN: "cannot open it: check that the folder exists and may be written",
        sqlite3.SQLITE_IOERR: "reading or writing failed: check the disk and its free space, then run again",
    }.get(code or 0, "cannot use the store: check the folder and its rights")
    return StoreError(f"{path}: {advice} ({error})")
