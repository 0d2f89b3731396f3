"""The gate before a provider: how many requests at once, how many a minute, and what to do when it says no.

All waiting is first come, first served, on the event loop, without polling. The adaptive rate
(`rate` beside it) engages once more is refused (429 or overload) than by chance; until then only the limits of the
config hold. `Retry-After` holds all admissions until then while the provider refuses half of the latest calls or
more, and twice as many as it does by chance. Below that the refusal is that call's own, which waits for it
(`gog.transforms.services.gateway.retry`), and nobody else.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from gog.schemas import FailureClass
from gog.transforms.services.gateway.bucket import Bucket
from gog.transforms.services.gateway.rate import AdaptiveRate, Admitted
from gog.transforms.services.gateway.shared_limits import SharedLimits

REFUSALS: Final = frozenset({FailureClass.RATE_LIMITED, FailureClass.OVERLOADED})
LATEST: Final = 32
HOLDING_SHARE: Final = 0.5
"""Share of the latest calls refused from which a `Retry-After` is meant for all."""


class Limits(BaseModel):
    """What one provider may take, per process; a minute's over all workers, where they share their state."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    in_flight: int = Field(default=64, ge=1)
    """Calls at once."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Calls that begin in a minute; without it the pace follows refusals."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Tokens read and written in a minute, estimated before and corrected after a call."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that was let through, with the tokens it was counted with."""

    tokens: int
    attempt: Admitted


class Gate:
    """Admission to one provider, from one event loop."""

    def __init__(
        self,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        *,
        shared: SharedLimits | None = None,
        longest_hold_s: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`shared` keeps what the limits allow a minute, for all workers.

        `longest_hold_s` caps what a `Retry-After` may ask for; `clock` (seconds) and `sleep` are for tests.
        """
        self._limits, self._longest_hold_s, self._clock, self._sleep = limits, longest_hold_s, clock, sleep
        now = clock()
        self._shared = shared
        self._requests = None if shared else _per_minute(limits.requests_per_minute, 1.0, now)
        self._tokens = None if shared else _per_minute(limits.tokens_per_minute, 10.0, now)
        self._adaptive = AdaptiveRate()
        self._queue: deque[tuple[asyncio.Future[Admission], int]] = deque()
        self._alarm: tuple[float, asyncio.Task[None]] | None = None
        self._hold_until = -math.inf
        self._refusals: deque[bool] = deque(maxlen=LATEST)
        self.in_flight = 0

    @property
    def rate(self) -> float | None:
        """The adaptive rate in requests a second; None while the provider has refused no more than by chance."""
        return self._adaptive.bucket.rate if self._adaptive.bucket else None

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._queue)

    @asynccontextmanager
    async def admit(self, tokens: int = 0) -> AsyncIterator[Admission]:
        """Wait for one's turn, and hold a place while the request is in flight.

        `tokens` estimates those of request and reply; `report` corrects it.
        """
        if self._queue or self._wait(tokens) > 0 or self.in_flight >= self._limits.in_flight:
            future: asyncio.Future[Admission] = asyncio.get_running_loop().create_future()
            self._queue.append((future, tokens))
            self._pump()
            try:
                admission = await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():
                    self._leave()
                raise
        else:
            admission = self._enter(tokens)
        try:
            # Last, so that what is taken is used at once.
            if self._shared is not None and (wait := await self._shared.take(tokens)) > 0:
                await self._sleep(wait)
            yield admission
        finally:
            self._leave()

    def report(
        self,
        admission: Admission,
        failure: FailureClass | None = None,
        retry_after: float | None = None,
        tokens: int | None = None,
    ) -> None:
        """How an admitted request went: None is an answer; `tokens` are those it really took."""
        now = self._clock()
        if tokens is not None and self._shared is not None:
            self._shared.correct(tokens - admission.tokens)
        if tokens is not None and self._tokens:
            self._tokens.take(tokens - admission.tokens, now)
        if failure in REFUSALS and retry_after is not None and math.isfinite(retry_after):
            hold = min(max(0.0, retry_after), self._longest_hold_s)
            self._hold_until = max(self._hold_until, now + hold)
        if failure is None or failure in REFUSALS:
            self._refusals.append(failure is not None)
            if (hold := self._hold(now)) > 0:
                self._adaptive.held_until = now + hold
            self._adaptive.outcome(admission.attempt, failure is not None, now)
        self._pump()

    def _hold(self, now: float) -> float:
        share = max(HOLDING_SHARE, 2 * self._adaptive.noise)
        if now >= self._hold_until or sum(self._refusals) < share * len(self._refusals):
            return 0.0
        return self._hold_until - now

    def _wait(self, tokens: int) -> float:
        now = self._clock()
        return max(
            0.0,
            self._hold(now),
            self._requests.wait(1, now) if self._requests else 0.0,
            self._tokens.wait(tokens, now) if self._tokens else 0.0,
            self._adaptive.wait(now),
        )

    def _enter(self, tokens: int) -> Admission:
        now = self._clock()
        if self._requests:
            self._requests.take(1, now)
        if self._tokens:
            self._tokens.take(tokens, now)
        self.in_flight += 1
        return Admission(tokens, self._adaptive.admitted(now))

    def _leave(self) -> None:
        self.in_flight -= 1
        self._pump()

    def _pump(self) -> None:
        """Admit from the head of the queue whatever may enter now; set the alarm for when the next one may."""
        while self._queue and self.in_flight < self._limits.in_flight:
            future, tokens = self._queue[0]
            if not future.done():
                wait = self._wait(tokens)
                if wait > 0:
                    self._set_alarm(wait)
                    return
                future.set_result(self._enter(tokens))
            self._queue.popleft()
        if not self._queue:
            self._clear_alarm()

    def _set_alarm(self, wait: float) -> None:
        due = self._clock() + wait
        if self._alarm and abs(self._alarm[0] - due) < 1e-6:
            return
        self._clear_alarm()
        self._alarm = (due, asyncio.get_running_loop().create_task(self._ring(wait)))

    def _clear_alarm(self) -> None:
        if self._alarm:
            self._alarm[1].cancel()
            self._alarm = None

    async def _ring(self, wait: float) -> None:
        await self._sleep(wait)
        self._alarm = None
        self._pump()


def _per_minute(limit: float | None, burst_s: float, now: float) -> Bucket | None:
    return Bucket(limit / 60, max(1.0, limit / 60 * burst_s), now) if limit else None
