"""The ledger of a run's ceilings in the shared state: exact over all workers, with any number of calls in flight.

Each worker has a row with what it has spent and what its calls in flight may cost. A call is admitted in a transaction
that sees the rows of all. What a worker that was killed had reserved stays reserved: its calls may have been made.
A row says sums and no steps, so that writing it twice, after a lost connection, counts once.
"""

import threading
from dataclasses import dataclass
from typing import Any, Final

from gog.transforms.services.store.batches import Again, Batches
from gog.transforms.services.store.postgres.database import Database
from gog.transforms.services.store.postgres.worker import live

_LOOK_AGAIN_S: Final = 0.1
"""How often it is asked whether calls of other workers cost less than they might have."""
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which ceiling was reached, `calls` or `cost`, and what all workers have used of it."""

    kind: str
    used: float


class Ledger:
    """This worker's part in what a run may spend."""

    def __init__(
        self, database: Database, run: str, worker: str, max_calls: int | None = None, max_cost: float | None = None
    ) -> None:
        """`max_cost` is in dollars."""
        self._database, self._run, self._worker = database, run, worker
        self._max_calls, self._max_cost = max_calls, max_cost
        self._lock = threading.Lock()
        self._calls, self._open = 0, 0
        self._spent, self._reserved = 0.0, 0.0
        self._asking = Batches[float | None, Refusal | None]("ledger", self._admit, undo=self._undo)

    def begin(self, calls: int, cost: float) -> None:
        """Enter what the run spent before there was a ledger: where it is more than the ledger has."""

        def work(connection: Any) -> None:
            made, spent, _ = self._totals(connection, "")
            more = max(0, calls - made), max(0.0, cost - spent)
            if more[0] or more[1] > _ROUNDING:
                sql = """INSERT INTO gog.spending AS s VALUES (%s, '', %s, %s, 0) ON CONFLICT (run, worker)
                    DO UPDATE SET calls = s.calls + excluded.calls, spent = s.spent + excluded.spent"""
                connection.execute(sql, (self._run, *more))

        # Twice comes to the same: the second time nothing is missing.
        self._database.run(work)

    async def reserve(self, estimate: float) -> Refusal | None:
        """Count a call and reserve its cost; waits where calls in flight may yet leave enough."""
        return await self._asking.ask(estimate)

    def settle(self, estimate: float, cost: float) -> None:
        """A call ended: give its reservation back and count what it really cost."""
        with self._lock:
            self._open -= 1
            # Exactly nothing is reserved when nothing is in flight: a rounding error would stay for good.
            self._reserved = max(0.0, self._reserved - estimate) if self._open else 0.0
            self._spent += cost
        self._asking.post(None)

    def close(self) -> None:
        """Write what was settled last."""
        self._asking.close()

    def _totals(self, connection: Any, but: str) -> tuple[int, float, float]:
        """Calls, dollars spent, and dollars reserved by workers that live, of all workers but one; nobody else changes
        them until the transaction ends.
        """
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"gog spending {self._run}",))
        sql = f"""SELECT coalesce(sum(calls), 0)::bigint,
            coalesce(sum(CASE WHEN reserved > 0 AND NOT {live("s.worker")} THEN spent + reserved ELSE spent END), 0),
            coalesce(sum(CASE WHEN reserved > 0 AND {live("s.worker")} THEN reserved ELSE 0 END), 0)
            FROM gog.spending s WHERE run = %s AND worker <> %s"""
        calls, spent, reserved = connection.execute(sql, (self._run, but or " ")).fetchone()
        return int(calls), float(spent), float(reserved)

    def _admit(self, estimates: list[float | None]) -> list[Refusal | Again | None]:
        with self._lock:
            mine, spent, reserved = self._calls, self._spent, self._reserved
        answers: list[Refusal | Again | None] = []

        def work(connection: Any) -> tuple[int, float]:
            answers.clear()
            others, spent_by_others, reserved_by_others = self._totals(connection, self._worker)
            calls, more = 0, 0.0
            for estimate in estimates:
                if estimate is None:
                    answers.append(None)
                    continue
                made, used = others + mine + calls, spent_by_others + spent
                if self._max_calls is not None and made >= self._max_calls:
                    answers.append(Refusal("calls", made))
                elif self._max_cost is not None and used + estimate > self._max_cost + _ROUNDING:
                    answers.append(Refusal("cost", used))
                elif (
                    self._max_cost is not None
                    and used + reserved_by_others + reserved + more + estimate > self._max_cost + _ROUNDING
                ):
                    answers.append(Again(_LOOK_AGAIN_S))
                else:
                    answers.append(None)
                    calls, more = calls + 1, more + estimate
            row = (self._run, self._worker, mine + calls, spent, reserved + more)
            sql = """INSERT INTO gog.spending VALUES (%s, %s, %s, %s, %s) ON CONFLICT (run, worker)
                DO UPDATE SET calls = excluded.calls, spent = excluded.spent, reserved = excluded.reserved"""
            connection.execute(sql, row)
            return calls, more

        calls, more = self._database.run(work)
        with self._lock:
            self._calls += calls
            self._open += calls
            self._reserved += more
        return answers

    def _undo(self, estimate: float | None, refusal: Refusal | None) -> None:
        if estimate is not None and refusal is None:
            self.settle(estimate, 0.0)
