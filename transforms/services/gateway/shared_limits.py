"""Requests and tokens a minute over all workers: when a call may begin is agreed on in the shared state.

For each limit the database keeps when what was taken of it will have been given (the generic cell rate algorithm): a
token bucket in one number, on the server's clock. What a worker takes and does not use is lost for the others, so
nobody takes what is not due within a quarter of a second.
"""

from dataclasses import dataclass
from typing import Any, Final

from gog.transforms.services.store.batches import Again, Batches
from gog.transforms.services.store.postgres.database import Database

_AHEAD_S: Final = 0.25
_LOOK_AGAIN_S: Final = 1.0
_REQUESTS_AT_ONCE_S: Final = 1.0
_TOKENS_AT_ONCE_S: Final = 10.0
"""What may go at once, after a rest, in seconds of the rate."""


@dataclass(frozen=True, slots=True)
class _Take:
    requests: int
    tokens: int
    wait: bool = True


class SharedLimits:
    """What one provider may take of all workers together."""

    def __init__(
        self, database: Database, name: str, requests_per_minute: float | None, tokens_per_minute: float | None
    ) -> None:
        """`name` is the provider's: workers that name the same share its limits."""
        self._database, self._name = database, name
        self._requests, self._tokens = requests_per_minute, tokens_per_minute
        self._asking = Batches[_Take, float]("limits", self._take)

    async def take(self, tokens: int) -> float:
        """Take a call with so many tokens; returns the seconds to wait before it begins."""
        return await self._asking.ask(_Take(1, tokens))

    def correct(self, tokens: int) -> None:
        """A call took so many tokens more than was estimated; less, where it is negative."""
        if self._tokens and tokens:
            self._asking.post(_Take(0, tokens, wait=False))

    def close(self) -> None:
        """End the thread."""
        self._asking.close()

    def _take(self, items: list[_Take]) -> list[float | Again]:
        answers: list[float | Again] = []

        def work(connection: Any) -> None:
            answers.clear()
            connection.execute(
                "INSERT INTO gog.limits VALUES (%s, 0, 0) ON CONFLICT (name) DO NOTHING",
                (self._name,),
            )
            now, requests_due, tokens_due = connection.execute(
                "SELECT extract(epoch FROM clock_timestamp())::float8, requests_due, tokens_due FROM gog.limits "
                "WHERE name = %s FOR UPDATE",
                (self._name,),
            ).fetchone()
            requests = _Due(self._requests, _REQUESTS_AT_ONCE_S, requests_due, now)
            tokens = _Due(self._tokens, _TOKENS_AT_ONCE_S, tokens_due, now)
            behind = 0.0
            for item in items:
                wait = max(requests.wait(item.requests), tokens.wait(item.tokens)) if item.wait else 0.0
                # First come, first served: nobody passes one that has to wait.
                if item.wait and (behind or wait > _AHEAD_S):
                    behind = behind or wait
                    answers.append(Again(min(_LOOK_AGAIN_S, max(0.01, behind - _AHEAD_S))))
                    continue
                requests.take(item.requests)
                tokens.take(item.tokens)
                answers.append(wait)
            connection.execute(
                "UPDATE gog.limits SET requests_due = %s, tokens_due = %s WHERE name = %s",
                (requests.due, tokens.due, self._name),
            )

        self._database.run(work)
        return answers


class _Due:
    """One limit: `due` is when all that was taken will have been given, in seconds since 1970."""

    def __init__(self, per_minute: float | None, at_once_s: float, due: float, now: float) -> None:
        self.due, self._now = max(due, now) if per_minute else due, now
        self._rate = per_minute / 60 if per_minute else 0.0
        self._capacity = max(1.0, self._rate * at_once_s)

    def wait(self, amount: float) -> float:
        """Seconds until so much may be taken; what is more than the limit's capacity may when nothing is due."""
        if not self._rate:
            return 0.0
        level = self._capacity - (self.due - self._now) * self._rate
        wait = (min(amount, self._capacity) - level) / self._rate
        return wait if wait > 1e-6 else 0.0  # less is rounding

    def take(self, amount: float) -> None:
        """Count the amount, whether or not there is so much; never above a full bucket."""
        if self._rate:
            self.due = max(self._now, self.due + amount / self._rate)
