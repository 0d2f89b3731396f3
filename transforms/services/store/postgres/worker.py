"""A process that shares the state: it lives as long as it says so again and again."""

import logging
import secrets
import threading
from typing import Any, Final

from gog.transforms.services.store.postgres.database import Database
from gog.transforms.services.store.schema import StoreError

LEASE_S: Final = 30.0
_RENEWALS: Final = 5
"""In a lease."""
_log = logging.getLogger(__name__)


def live(worker: str) -> str:
    """SQL: whether the worker that this expression names lives.

    A server that has just started says of nobody that they are dead: none could renew a lease meanwhile. Clocks are the
    server's.
    """
    return (
        f"EXISTS (SELECT FROM gog.workers w WHERE w.worker = {worker} AND (w.until > clock_timestamp() "
        "OR pg_postmaster_start_time() > clock_timestamp() - w.lease))"
    )


class Worker:
    """This process, with a lease that a thread renews."""

    def __init__(self, database: Database, lease_s: float = LEASE_S) -> None:
        """Raises `StoreError`."""
        self.name = secrets.token_hex(8)
        self._database, self._lease_s = database, lease_s
        self._ended = threading.Event()
        self._renew()
        self._thread = threading.Thread(target=self._run, name="gog-lease", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave: claims are free, and what is still reserved counts as spent."""
        self._ended.set()
        self._thread.join()

        def work(connection: Any) -> None:
            connection.execute("DELETE FROM gog.claims WHERE worker = %s", (self.name,))
            connection.execute("DELETE FROM gog.workers WHERE worker = %s", (self.name,))

        self._database.run(work)

    def _run(self) -> None:
        while not self._ended.wait(self._lease_s / _RENEWALS):
            try:
                self._renew()
            except StoreError as error:  # whoever needs the store hears of it, too
                _log.warning("%s", error)

    def _renew(self) -> None:
        values = (self.name, self._lease_s)
        renewed = "ON CONFLICT (worker) DO UPDATE SET until = excluded.until"
        self._database.run(
            lambda connection: connection.execute(
                "INSERT INTO gog.workers SELECT %s, lease, clock_timestamp() + lease "
                f"FROM (SELECT make_interval(secs => %s) AS lease) l {renewed}",
                values,
            )
        )
