"""Leases: a ceiling that several workers share, taken in slices. What is leased and not given back counts as spent.

A ledger holds what the workers of a run have leased. A worker claims a slice before it spends, spends it without
asking anybody, and when it ends the ledger is told what it really used. A worker that is killed gives nothing back, so
its slices stay spent: the ceiling is never passed, and a kill costs at most the slices that were out. Units are whole
numbers: calls, or millionths of a dollar.
"""

import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from gog.transforms.services.store.schema import connect, explain, transaction

FILE: Final = "leases.sqlite"
MICROS: Final = 1_000_000
"""Units of `cost` in a dollar."""


class Leases:
    """One worker's part in a run's ledger: an SQLite file of this machine, where a claim is a transaction."""

    def __init__(self, folder: Path, run: str) -> None:
        """`folder/leases.sqlite` is made where it is missing. Raises `StoreError`."""
        self._path, self._run, self._worker = folder / FILE, run, secrets.token_hex(6)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(error, self._path) from error
        with self._writing() as ledger:
            ledger.execute(
                "CREATE TABLE IF NOT EXISTS leases (run TEXT NOT NULL, worker TEXT NOT NULL, kind TEXT NOT NULL, "
                "units INTEGER NOT NULL, PRIMARY KEY (run, worker, kind))"
            )

    def begin(self, spent: Mapping[str, int]) -> None:
        """Enter what the run spent before there was a ledger: where `spent` is more than the ledger has, by kind."""
        with self._writing() as ledger:
            for kind, units in spent.items():
                more = units - self._total(ledger, kind)
                if more > 0:
                    self._book(ledger, "", kind, more)

    def claim(self, kind: str, least: int, wanted: int, ceiling: int) -> int:
        """Lease units: as many as are wanted, or what is left below the ceiling, or 0 when that is under `least`."""
        with self._writing() as ledger:
            units = min(max(least, wanted), ceiling - self._total(ledger, kind))
            if units < max(1, least):
                return 0
            self._book(ledger, self._worker, kind, units)
            return units

    def give_back(self, used: Mapping[str, int]) -> None:
        """All that this worker ever used, by kind; what else it leased is free again."""
        with self._writing() as ledger:
            for kind, units in used.items():
                mine = (self._run, self._worker, kind)
                ledger.execute("DELETE FROM leases WHERE (run, worker, kind) = (?, ?, ?)", mine)
                if units:
                    self._book(ledger, self._worker, kind, units)

    def _total(self, ledger: sqlite3.Connection, kind: str) -> int:
        sql = "SELECT coalesce(sum(units), 0) FROM leases WHERE run = ? AND kind = ?"
        total: int = ledger.execute(sql, (self._run, kind)).fetchone()[0]
        return total

    def _book(self, ledger: sqlite3.Connection, worker: str, kind: str, units: int) -> None:
        more = "ON CONFLICT DO UPDATE SET units = units + excluded.units"
        ledger.execute(f"INSERT INTO leases VALUES (?, ?, ?, ?) {more}", (self._run, worker, kind, units))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(connect(self._path)) as ledger, transaction(ledger):
                yield ledger
        except sqlite3.Error as error:
            raise explain(error, self._path) from error
