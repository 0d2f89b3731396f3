"""The budget: what a run may spend, and a refusal before it spends more.

A call is admitted with an estimate of its cost, which stays reserved until the true cost is known. So the money
ceiling holds with any number of calls in flight, as long as no call costs more than its estimate. Where several workers
share the ceilings, a ledger in the shared state admits each call (`gog.transforms.services.gateway.ledger`), or, where
there is none, each spends what it has leased of them (`gog.transforms.services.gateway.leases`); hours are each
worker's own.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final

from gog.schemas import FailureClass
from gog.schemas.errors import UsageError
from gog.transforms.services.gateway.leases import MICROS, Leases
from gog.transforms.services.gateway.ledger import Ledger, Refusal
from gog.transforms.services.gateway.prices import FREE, Price, find_price
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.store.records import Spent
from gog.transforms.services.store.schema import StoreError


class BudgetReached(ServiceError):  # noqa: N818
    """A ceiling was reached: no new call is admitted."""

    def __init__(self, detail: str) -> None:
        """`detail` names the ceiling and what was spent."""
        super().__init__(FailureClass.BUDGET, detail)


class PriceError(UsageError, ValueError):
    """A money ceiling is set and the price of a service is unknown, so the ceiling could not be kept."""


_ROUNDING: Final = 1e-9
_LEASED: Final = " or leased by workers"
IDLE_S: Final = 30.0


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
        spent: Spent = Spent(),  # noqa: B008  # frozen
        leases: Leases | None = None,
        ledger: Ledger | None = None,
        slices: int = 1,
        idle_s: float = IDLE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`spent` is what earlier parts of the run used; `providers` are the ids of the services to be called.

        With `leases`, calls and money are leased in slices of a ceiling's `slices`-th part, and what is left of them is
        given back when nothing was called for `idle_s` seconds. With a `ledger` each call is admitted by it, and no
        lease is needed. Raises `PriceError` when `max_cost` is set and a
        provider has no price.
        """
        self._max_cost, self._max_calls, self._max_hours = max_cost, max_calls, max_hours
        self._prices = dict(prices or {})
        self._found: dict[str, Price | None] = {}
        self._before, self._clock, self._began = spent, clock, clock()
        self._calls, self._cost, self._reserved, self._open = 0, 0.0, 0.0, 0
        self._leases, self._slices, self._idle_s = leases, slices, idle_s
        self._ledger = ledger
        self._leasing: asyncio.Lock | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._giving: asyncio.Task[None] | None = None
        # What this process may use: of the ceiling what is left, or what it has leased.
        self._may_call = math.inf if max_calls is None or ledger else 0 if leases else max_calls - spent.calls
        self._may_cost = math.inf if max_cost is None or ledger else 0.0 if leases else max_cost - spent.cost
        self._final = set() if leases or ledger else {"calls", "cost"}
        """Of what no more can be leased."""
        self._waiting: list[asyncio.Future[None]] = []
        self.reached = ""
        """Why calls are refused; empty while they are not."""
        self._stop: tuple[FailureClass, str] | None = None
        unknown = sorted({p for p in providers if self._price(p) is None})
        if max_cost is not None and unknown:
            raise PriceError(f"max_cost is set, but no price is known for {', '.join(unknown)}: add it to prices")
        if ledger:
            ledger.begin(spent.calls, spent.cost)
        if leases:
            leases.begin({"calls": spent.calls, "cost": _micros(spent.cost)})

    def _price(self, provider: str) -> Price | None:
        if provider not in self._found:
            self._found[provider] = find_price(provider, self._prices)
        return self._found[provider]

    def price(self, provider: str) -> Price:
        """The provider's price; without a money ceiling an unknown one counts as free. Raises `PriceError`."""
        price = self._price(provider)
        if price is None and self._max_cost is not None:
            raise PriceError(f"max_cost is set, but no price is known for {provider}: add it to prices")
        return price or FREE

    @property
    def calls(self) -> int:
        """Requests made, earlier parts of the run included; those of other workers are not."""
        return self._before.calls + self._calls

    @property
    def cost(self) -> float:
        """Dollars spent, earlier parts of the run included; by other workers not."""
        return self._before.cost + self._cost

    @property
    def hours(self) -> float:
        """Hours at work, earlier parts of the run included."""
        return self._before.hours + (self._clock() - self._began) / 3600

    def check(self, estimate: float = 0.0) -> None:
        """Raise `BudgetReached` when a call of that cost can no longer be admitted, or what the run was stopped for."""
        if self._stop:
            raise ServiceError(*self._stop)
        if not self.reached:
            self.reached = self._ceiling(estimate)
            if self.reached:
                self._wake()
        if self.reached:
            raise BudgetReached(self.reached)

    def stop(self, failure: FailureClass, detail: str) -> None:
        """Refuse every call from now on, for another reason than a ceiling; those in flight finish."""
        self._stop = failure, detail
        self._wake()

    @property
    def stopped(self) -> str:
        """What `stop` was told; empty where it was not."""
        return self._stop[1] if self._stop else ""

    def go_on(self) -> None:
        """Take back what `stop` was told."""
        self._stop = None

    def _ceiling(self, estimate: float) -> str:
        if "calls" in self._final and self._calls >= self._may_call:
            made = f"{self.calls} of" if self._leases is None else "all of"
            return f"max_calls: {made} {self._max_calls} calls made{_LEASED if self._leases else ''}"
        if "cost" in self._final and self._cost + estimate > self._may_cost + _ROUNDING:
            spent = f"${self.cost:.4f} of" if self._leases is None else "of"
            by = _LEASED if self._leases else ""
            return f"max_cost: {spent} ${self._max_cost:.4f} spent{by}, the next call may cost ${estimate:.4f}"
        if self._max_hours is not None and self.hours >= self._max_hours:
            return f"max_hours: {self.hours:.2f} of {self._max_hours:.2f} hours used"
        return ""

    async def admit(self, estimate: float = 0.0) -> None:
        """Count one request and reserve its cost, or raise `BudgetReached`.

        Where the money would do for this call but for what calls in flight have reserved, waits for them.
        """
        while True:
            self.check(estimate)
            short = self._short(estimate)
            if not short:
                if self._ledger is not None and not await self._reserve(self._ledger, estimate):
                    continue
                self._calls += 1
                self._open += 1
                self._reserved += estimate
                return
            if short not in self._final:
                await self._lease(estimate)
            else:
                waiting = asyncio.get_running_loop().create_future()
                self._waiting.append(waiting)
                await waiting

    async def _reserve(self, ledger: Ledger, estimate: float) -> bool:
        """Whether the ledger admits the call; else why not can be told, and `check` raises it."""
        refusal = await ledger.reserve(estimate)
        if refusal is not None:
            self.reached = self._refused(refusal, estimate)
            self._wake()
        elif self._stop:  # meanwhile
            ledger.settle(estimate, 0.0)
        return not (refusal or self._stop)

    def _refused(self, refusal: Refusal, estimate: float) -> str:
        if refusal.kind == "calls":
            return f"max_calls: {refusal.used:.0f} of {self._max_calls} calls made by all workers"
        spent = f"${refusal.used:.4f} of ${self._max_cost:.4f} spent by all workers"
        return f"max_cost: {spent}, the next call may cost ${estimate:.4f}"

    def _short(self, estimate: float) -> str:
        """What is missing for a call of that cost, reservations counted."""
        if self._calls >= self._may_call:
            return "calls"
        return "cost" if self._cost + self._reserved + estimate > self._may_cost + _ROUNDING else ""

    async def _lease(self, estimate: float) -> None:
        """Lease what a call of that cost is short of, a slice at least; where there is nothing, that is final."""
        assert self._leases is not None
        self._leasing = self._leasing or asyncio.Lock()
        async with self._leasing:
            short = self._short(estimate)  # another call may have leased meanwhile
            if not short or short in self._final:
                return
            if short == "calls":
                assert self._max_calls is not None
                least, ceiling = 1, self._max_calls
            else:
                assert self._max_cost is not None
                least = _micros(self._cost + self._reserved + estimate - self._may_cost)
                ceiling = int(self._max_cost * MICROS + _ROUNDING)
            got = await asyncio.to_thread(self._leases.claim, short, least, math.ceil(ceiling / self._slices), ceiling)
            if not got:
                self._final.add(short)
            elif short == "calls":
                self._may_call += got
            else:
                self._may_cost += got / MICROS

    def settle(self, estimate: float, cost: float) -> None:
        """A request ended: give its reservation back and count what it really cost."""
        self._open -= 1
        # Exactly nothing is reserved when nothing is in flight: a rounding error would make the next call wait forever.
        self._reserved = max(0.0, self._reserved - estimate) if self._open else 0.0
        self._cost += cost
        if self._ledger is not None:
            self._ledger.settle(estimate, cost)
        self._wake()
        if self._leases and not self._open:
            if self._idle:
                self._idle.cancel()
            self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._when_idle)

    def _when_idle(self) -> None:
        if not self._open and not (self._giving and not self._giving.done()):
            self._giving = asyncio.get_running_loop().create_task(self._give_back_soon())

    async def _give_back_soon(self) -> None:
        self._leasing = self._leasing or asyncio.Lock()
        async with self._leasing:
            # Nothing is admitted beyond what is used while the ledger is being told.
            used = self._keep_what_is_used()
            await asyncio.to_thread(self._tell, used)

    def give_back(self) -> None:
        """Give what is leased and not used back to the other workers: for the end of the process."""
        if self._leases:
            self._tell(self._keep_what_is_used())
        if self._ledger is not None:
            self._ledger.close()

    def _keep_what_is_used(self) -> dict[str, int]:
        if self._max_calls is not None:
            self._may_call = self._calls
        if self._max_cost is not None:
            self._may_cost = self._cost + self._reserved
        return {"calls": self._calls, "cost": _micros(self._cost + self._reserved)}

    def _tell(self, used: Mapping[str, int]) -> None:
        assert self._leases is not None
        with suppress(StoreError):  # then the slices count as spent
            self._leases.give_back(used)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


def _micros(dollars: float) -> int:
    """Millionths of a dollar, rounded up."""
    return max(0, math.ceil(dollars * MICROS - _ROUNDING))
