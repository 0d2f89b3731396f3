"""The budget: what a run may spend, and a refusal before it spends more.

A call is admitted with an estimate of its cost, which stays reserved until the true cost is known. So the money
ceiling holds with any number of calls in flight, as long as no call costs more than its estimate.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ServiceError

EMBEDDED: Final = ("planner", "segments", "gallery", "corpus")
"""Schemes of the embedded services' ids (`planner:...`): they cost nothing."""


class BudgetReached(ServiceError):  # noqa: N818
    """A ceiling was reached: no new call is admitted."""

    def __init__(self, detail: str) -> None:
        """`detail` names the ceiling and what was spent."""
        super().__init__(FailureClass.BUDGET, detail)


class PriceError(ValueError):
    """A money ceiling is set and the price of a service is unknown, so the ceiling could not be kept."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a service costs, in US dollars: per million tokens read, per million written, and per call."""

    prompt_per_million: float = 0.0
    completion_per_million: float = 0.0
    per_call: float = 0.0

    def cost(self, prompt_tokens: int = 0, completion_tokens: int = 0) -> float:
        """Cost of one call with so many tokens."""
        return (
            self.per_call
            + (prompt_tokens * self.prompt_per_million + completion_tokens * self.completion_per_million) / 1e6
        )


FREE: Final = Price()
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has used: requests made (answers from the store are none), dollars, tokens and hours at work."""

    calls: int = 0
    cost: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    hours: float = 0.0


class Budget:
    """Ceilings of a run in this process; used from one event loop.

    Once a call was refused, every later one is: the run is over until somebody raises the ceiling. Calls in
    flight finish.
    """

    def __init__(
        self,
        *,
        max_cost: float | None = None,
        max_calls: int | None = None,
        max_hours: float | None = None,
        prices: Mapping[str, Price] | None = None,
        providers: Iterable[str] = (),
        spent: Spent = Spent(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`spent` is what earlier parts of the run used; `providers` are the ids of the services to be called.

        Raises `PriceError` when `max_cost` is set and one of them has no price.
        """
        self._max_cost, self._max_calls, self._max_hours = max_cost, max_calls, max_hours
        self._prices = dict(prices or {})
        self._before, self._clock, self._began = spent, clock, clock()
        self._calls, self._cost = spent.calls, spent.cost
        self._reserved, self._open = 0.0, 0
        self._waiting: list[asyncio.Future[None]] = []
        self.reached = ""
        """Why calls are refused; empty while they are not."""
        unknown = sorted({p for p in providers if self._price(p) is None})
        if max_cost is not None and unknown:
            raise PriceError(f"max_cost is set, but no price is known for {', '.join(unknown)}: add it to prices")

    def _price(self, provider: str) -> Price | None:
        known = self._prices.get(provider)
        return FREE if known is None and provider.partition(":")[0] in EMBEDDED else known

    def price(self, provider: str) -> Price:
        """The provider's price; without a money ceiling an unknown one counts as free. Raises `PriceError`."""
        price = self._price(provider)
        if price is None and self._max_cost is not None:
            raise PriceError(f"max_cost is set, but no price is known for {provider}: add it to prices")
        return price or FREE

    @property
    def calls(self) -> int:
        """Requests made, earlier parts of the run included."""
        return self._calls

    @property
    def cost(self) -> float:
        """Dollars spent, earlier parts of the run included."""
        return self._cost

    @property
    def hours(self) -> float:
        """Hours at work, earlier parts of the run included."""
        return self._before.hours + (self._clock() - self._began) / 3600

    def check(self, estimate: float = 0.0) -> None:
        """Raise `BudgetReached` when a call of that cost can no longer be admitted."""
        if not self.reached:
            self.reached = self._ceiling(estimate)
            if self.reached:
                self._wake()
        if self.reached:
            raise BudgetReached(self.reached)

    def _ceiling(self, estimate: float) -> str:
        if self._max_calls is not None and self._calls >= self._max_calls:
            return f"max_calls: {self._calls} of {self._max_calls} calls made"
        if self._max_cost is not None and self._cost + estimate > self._max_cost + _ROUNDING:
            return f"max_cost: ${self._cost:.4f} of ${self._max_cost:.4f} spent, the next call may cost ${estimate:.4f}"
        if self._max_hours is not None and self.hours >= self._max_hours:
            return f"max_hours: {self.hours:.2f} of {self._max_hours:.2f} hours used"
        return ""

    async def admit(self, estimate: float = 0.0) -> None:
        """Count one request and reserve its cost, or raise `BudgetReached`.

        Where the money would do for this call but for what calls in flight have reserved, waits for them.
        """
        while True:
            self.check(estimate)
            if self._max_cost is None or self._cost + self._reserved + estimate <= self._max_cost + _ROUNDING:
                self._calls += 1
                self._open += 1
                self._reserved += estimate
                return
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting

    def settle(self, estimate: float, cost: float) -> None:
        """A request ended: give its reservation back and count what it really cost."""
        self._open -= 1
        # Exactly nothing is reserved when nothing is in flight: a rounding error would make the next call wait forever.
        self._reserved = max(0.0, self._reserved - estimate) if self._open else 0.0
        self._cost += cost
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
