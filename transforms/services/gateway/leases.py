"""Leases: a ceiling that several workers share, taken in slices. What is leased and not given back counts as spent.

A ledger holds what the workers of a run have leased. A worker claims a slice before it spends, spends it without
asking anybody, and when it ends the ledger is told what it really used. A worker that is killed gives nothing back, so
its slices stay spent: the ceiling is never passed, and a kill costs at most the slices that were out. Units are whole
numbers: calls, or millionths of a dollar.
"""

import random
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Protocol

from gog.transforms.services.store.places import Files
from gog.transforms.services.store.schema import StoreError, connect, explain, transaction

FILE: Final = "leases.sqlite"
FOLDER: Final = "leases"
MICROS: Final = 1_000_000
"""Units of `cost` in a dollar."""
_TRIES: Final = 60
_LOOKS: Final = 3
"""How often a worker looks again when there is no room: a claim that it sees may be withdrawn the next moment."""
_PAUSE_S: Final = (0.01, 0.5)
_NAME: Final = re.compile(r"(calls|cost)-(claim|used|before)-(\d{1,18})-([0-9a-f]{12}|\d{1,12})-(\d{1,6})")


class Leases(Protocol):
    """One worker's part in a run's ledger."""

    def begin(self, spent: Mapping[str, int]) -> None:
        """Enter what the run spent before there was a ledger: where `spent` is more than the ledger has, by kind."""

    def claim(self, kind: str, least: int, wanted: int, ceiling: int) -> int:
        """Lease units: as many as are wanted, or what is left below the ceiling, or 0 when that is under `least`."""

    def give_back(self, used: Mapping[str, int]) -> None:
        """All that this worker ever used, by kind; what else it leased is free again."""


class FileLeases(Leases):
    """A ledger of one machine: an SQLite file, where a claim is a transaction."""

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
        with self._writing() as ledger:
            for kind, units in spent.items():
                more = units - self._total(ledger, kind)
                if more > 0:
                    self._book(ledger, "", kind, more)

    def claim(self, kind: str, least: int, wanted: int, ceiling: int) -> int:
        with self._writing() as ledger:
            units = min(max(least, wanted), ceiling - self._total(ledger, kind))
            if units < max(1, least):
                return 0
            self._book(ledger, self._worker, kind, units)
            return units

    def give_back(self, used: Mapping[str, int]) -> None:
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


class SharedLeases(Leases):
    """A ledger of files, for file systems that cannot create a file only where there is none.

    A claim is a file that says how much. It is written, then all are listed: when they are more than the ceiling
    together, the claim is withdrawn and tried again after a drawn pause. Whichever of two claims is listed for later
    sees the other, so claims that stand are never more than the ceiling, however many race; two may both withdraw.
    It rests on listings that hold every file written before (see `gog.transforms.services.store.places`).
    """

    def __init__(
        self, files: Files, run: str, *, rng: random.Random | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """`rng` draws the pauses; workers should not share its seed."""
        self._files, self._folder, self._worker = files, f"{FOLDER}/{run}", secrets.token_hex(6)
        self._rng, self._sleep = rng or random.Random(self._worker), sleep
        self._number = 0
        self._mine: list[str] = []

    def begin(self, spent: Mapping[str, int]) -> None:
        with self._told():
            for kind, units in spent.items():
                names = self._names(kind)
                more = units - _total(names)
                if more > 0:
                    # Called by how many there were: workers that begin together say the same, and it counts once.
                    self._write(f"{kind}-before-{more}-{len(names):012d}-0")

    def claim(self, kind: str, least: int, wanted: int, ceiling: int) -> int:
        least = max(1, least)
        with self._told():
            for attempt in range(_TRIES):
                units = min(max(least, wanted), ceiling - _total(self._names(kind)))
                if units >= least:
                    name = self._name(kind, "claim", units)
                    self._write(name)
                    if _total(self._names(kind)) <= ceiling:
                        self._mine.append(name)
                        return units
                    self._files.remove(self._folder, [name])
                elif attempt >= _LOOKS:
                    return 0
                # Others may be about to withdraw, too.
                shortest, longest = _PAUSE_S
                self._sleep(self._rng.uniform(shortest, min(longest, shortest * 2 ** (attempt + 1))))
        return 0

    def give_back(self, used: Mapping[str, int]) -> None:
        with self._told():
            for kind, units in used.items():
                old = [name for name in self._mine if name.startswith(f"{kind}-")]
                self._mine = [name for name in self._mine if name not in old]
                if units:
                    # First what was used, then the claims go: in between too much counts, never too little.
                    name = self._name(kind, "used", units)
                    self._write(name)
                    self._mine.append(name)
                self._files.remove(self._folder, old)

    def _name(self, kind: str, what: str, units: int) -> str:
        self._number += 1
        return f"{kind}-{what}-{units}-{self._worker}-{self._number}"

    def _names(self, kind: str) -> list[str]:
        names = self._files.names(self._folder)
        wrong = next((name for name in names if not _NAME.fullmatch(name)), None)
        if wrong:
            raise StoreError(f"{self._files.place}/{self._folder}/{wrong}: no lease; move it away")
        return [name for name in names if name.startswith(f"{kind}-")]

    def _write(self, name: str) -> None:
        self._files.publish(self._folder, name, b"")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = self._files.place
            raise StoreError(f"{place}: leases cannot be kept: {error}; check the address and its rights") from error


def _total(names: list[str]) -> int:
    total, before = 0, dict[str, int]()
    for name in names:
        _, what, units, of, _ = name.split("-")
        if what == "before":
            before[of] = max(before.get(of, 0), int(units))
        else:
            total += int(units)
    return total + sum(before.values())
