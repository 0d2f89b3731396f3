"""A PostgreSQL database: its address, its connections, what is done when one is lost, and what its errors mean."""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gog.transforms.extras import install
from gog.transforms.services.http import hide, key_in
from gog.transforms.services.store.schema import StoreError

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

SCHEMES: Final = ("postgresql://", "postgres://")
PATIENCE_S: Final = 300.0
"""How long a lost database is waited for: a failover takes a minute or two."""
OPENING_S: Final = 10.0
"""How long one that was never there is."""
LONGEST_PAUSE_S: Final = 1.0
MOST_IDLE: Final = 4
_WITHOUT_A_SECRET: Final = frozenset(
    {
        *("host", "hostaddr", "port", "dbname", "user", "service", "application_name", "connect_timeout"),
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslnegotiation", "channel_binding", "gssencmode"),
        *("target_session_attrs", "load_balance_hosts", "passfile", "keepalives_idle", "tcp_user_timeout"),
    }
)
"""Parameters of libpq that an address may have."""
_PASSING: Final = ("08", "40", "53300", "57P01", "57P02", "57P03", "25006")
"""SQLSTATEs, or their beginnings: a lost connection, a deadlock, no slot, a server that ends or only reads for now."""
_SOON: Final = re.compile(r"starting up|shutting down|recovery|too many|connection slots|not yet accepting|terminating")
"""Words of a refusal that passes by itself."""
_DEFAULTS: Final = {
    "application_name": "gog",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_log = logging.getLogger(__name__)


def is_address(path: str) -> bool:
    """Whether a store's path is the address of a PostgreSQL database."""
    return path.startswith(SCHEMES)


def secret_in(address: str) -> str:
    """What of an address is, or may be, a secret: configs are kept with the run. Empty where nothing is."""
    parts = urlsplit(address)
    if parts.password is not None:
        return "a password"
    rest = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in _WITHOUT_A_SECRET]
    host = parts.netloc.rpartition("@")[2]
    return key_in(urlunsplit((parts.scheme, host, parts.path, urlencode(rest), parts.fragment)))


class Database:
    """The database at an address, for one process; connections are made when they are needed, and kept."""

    def __init__(self, address: str, *, patience_s: float = PATIENCE_S) -> None:
        """Connects nowhere yet. The password comes from PGPASSWORD, a password file or a service file, as libpq has it.

        Raises `StoreError` where the driver is not installed or the address holds a secret.
        """
        if secret := secret_in(address):
            raise StoreError(
                f"store: the address has {secret} in it, and configs are kept: take it out, and set PGPASSWORD or a "
                "password file (PGPASSFILE)"
            )
        try:
            import psycopg
        except ImportError:
            raise StoreError(f"store: {address} needs psycopg: {install('postgres')}") from None
        self._driver = psycopg
        self.place, self._patience_s = address, patience_s
        self._idle: list[psycopg.Connection[Any]] = []
        self._lock, self._pid = threading.Lock(), os.getpid()
        self._lost_since: float | None = None
        self._ever = False
        self._closing = threading.Event()
        self.lost = 0
        """How often the connection was lost."""

    def run(self, work: "Callable[[psycopg.Connection[Any]], T]") -> T:
        """What `work` gives, in one transaction of its own.

        Where the connection is lost, a new one is waited for and all of it done again: whether the last commit was
        heard cannot be known, so `work` must come to the same when it is done twice. Raises `StoreError`.
        """
        pause = 0.02
        while True:
            try:
                with self._connection() as connection, connection.transaction():
                    answer = work(connection)
            except self._driver.Error as error:
                if not _passes(error):
                    raise self._explain(error) from error
                self._wait(error, pause)
                pause = min(LONGEST_PAUSE_S, 2 * pause)
                continue
            if self._lost_since is not None:
                _log.warning("the store is back: %s", self.place)
            self._lost_since, self._ever = None, True
            return answer

    def stream(self, sql: str, values: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of a long query, some at a time. Raises `StoreError`, also where the connection is lost."""
        self.run(lambda connection: connection.execute("SELECT 1"))  # waits, where there is something to wait for
        try:
            with self._connection() as connection, connection.transaction(), connection.cursor(name="rows") as cursor:
                cursor.itersize = 500
                cursor.execute(sql, values)
                yield from cursor
        except self._driver.Error as error:
            raise self._explain(error) from error

    def close(self) -> None:
        """Close what is not in use, and wait for nothing any more."""
        self._closing.set()
        self._drop_idle()

    def _wait(self, error: "psycopg.Error", pause: float) -> None:
        now = time.monotonic()
        patience = self._patience_s if self._ever else min(OPENING_S, self._patience_s)
        if _is_lost(error):
            self._drop_idle()
            if self._lost_since is None:
                self.lost += 1
                self._lost_since = now
                if self._ever:
                    said = self._said(error)
                    _log.warning("the store is lost, waiting %g s for it: %s: %s", patience, self.place, said)
            if now - self._lost_since >= patience:
                waited = f"was not there for {patience:g} s" if self._ever else "cannot be reached"
                raise StoreError(
                    f"{self.place}: the database {waited} ({self._said(error)}); check that it runs, its address and "
                    "the net, then run again: what was kept stays"
                ) from error
        if self._closing.wait(pause):
            raise self._explain(error) from error

    @contextmanager
    def _connection(self) -> "Iterator[psycopg.Connection[Any]]":
        if os.getpid() != self._pid:
            raise StoreError(f"{self.place}: opened in another process; open one store per process")
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if len(self._idle) < MOST_IDLE and not self._closing.is_set():
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> "psycopg.Connection[Any]":
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        wanted: dict[str, Any] = {**_DEFAULTS, **conninfo_to_dict(self.place)}
        # Nothing is prepared on the server: poolers that lend connections for a transaction alone would lose it.
        return self._driver.connect(make_conninfo(**wanted), autocommit=True, prepare_threshold=None)

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _said(self, error: "psycopg.Error") -> str:
        return " ".join(hide(str(error), (os.environ.get("PGPASSWORD", ""),)).split())[:300]

    def _explain(self, error: "psycopg.Error") -> StoreError:
        advice = {
            "28": "the role or its password is wrong: set PGPASSWORD or a password file",
            "3D": "there is no such database: create it",
            "42501": "the role may not do this: make it the owner of the database",
            "53": "the server is full: make room and run again, what was kept stays",
        }
        code = error.sqlstate or ""
        known = advice.get(code) or advice.get(code[:2])
        said = known or "the database cannot be used: check its address, its rights and its log"
        return StoreError(f"{self.place}: {said} ({self._said(error)})")


def _is_lost(error: "psycopg.Error") -> bool:
    return not (error.sqlstate or "").startswith("40")


def _passes(error: "psycopg.Error") -> bool:
    """Whether a new connection may mend it."""
    if error.sqlstate:
        return str(error.sqlstate).startswith(_PASSING)
    # What libpq says itself has no code: it could not connect, or the server has gone. FATAL is the server's refusal.
    return type(error).__name__ == "OperationalError" and ("FATAL" not in str(error) or bool(_SOON.search(str(error))))
