"""The gate, on a clock of its own: order, limits, the adaptive rate, `Retry-After`."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from clock import Clock, play

from gog.schemas import FailureClass
from gog.transforms.services.gateway.gate import Gate, Limits
from gog.transforms.services.gateway.rate import LEAST_RATE

pytestmark = pytest.mark.timeout(60)
"""What waits for ever because of a fault is found soon."""


def make(clock: Clock, *, longest_hold_s: float = 300.0, **limits: float) -> Gate:
    return Gate(Limits.model_validate(limits), longest_hold_s=longest_hold_s, clock=clock, sleep=clock.sleep)


async def refuse(gate: Gate, retry_after: float | None = None) -> None:
    async with gate.admit() as admission:
        gate.report(admission, FailureClass.RATE_LIMITED, retry_after)


def test_no_more_in_flight_than_allowed_and_first_come_first_served() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock, in_flight=3)
        order, most = [], 0

        async def call(number: int) -> None:
            nonlocal most
            async with gate.admit() as admission:
                order.append(number)
                most = max(most, gate.in_flight)
                await clock.sleep(1.0)
                gate.report(admission)

        await asyncio.gather(*(call(n) for n in range(10)))
        assert order == list(range(10))
        assert most == 3
        assert clock.now == 1004.0
        assert gate.in_flight == gate.waiting == 0

    play(scenario)


def test_requests_a_minute_hold() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock, requests_per_minute=120)
        times = []

        async def call() -> None:
            async with gate.admit():
                times.append(clock.now)

        await asyncio.gather(*(call() for _ in range(250)))
        for start in times:
            assert sum(start <= t < start + 60 for t in times) <= 122  # a second's worth may come at once
        assert times[-1] - times[0] == pytest.approx((250 - 2) / 2, abs=1.0)

    play(scenario)


def test_tokens_a_minute_hold_and_estimates_are_corrected() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock, tokens_per_minute=6000)

        async def call(estimate: int, used: int) -> None:
            async with gate.admit(estimate) as admission:
                gate.report(admission, tokens=used)

        for _ in range(20):
            await call(1000, 1000)
        assert clock.now - 1000 == pytest.approx((20 * 1000 - 1000) / 100, abs=1.0)
        began = clock.now
        for _ in range(20):
            await call(1000, 100)
        assert clock.now - began < 40

    play(scenario)


def test_a_call_larger_than_a_minutes_tokens_still_passes() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock, tokens_per_minute=600)
        for _ in range(2):
            async with gate.admit(6000):
                pass
        assert clock.now - 1000 == pytest.approx(600, abs=15)

    play(scenario)


def test_retry_after_holds_every_admission() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock)
        await refuse(gate, retry_after=30.0)
        async with gate.admit():
            assert clock.now == 1030.0

    play(scenario)


def test_a_hold_has_a_longest_length_and_nonsense_holds_nothing() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock, longest_hold_s=60.0)
        await refuse(gate, retry_after=1e12)
        async with gate.admit():
            assert clock.now == 1060.0
        for nonsense in (float("nan"), float("inf"), -5.0):
            other = make(clock)
            await refuse(other, retry_after=nonsense)
            before = clock.now
            async with other.admit():
                assert clock.now - before <= 1 / LEAST_RATE

    play(scenario)


@pytest.mark.parametrize(("refusals", "held"), [(1, False), (8, False), (16, True), (20, True)])
def test_a_few_refusals_among_many_answers_hold_nobody_else(refusals: int, held: bool) -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock)
        async with AsyncExitStack() as stack:
            calls = [await stack.enter_async_context(gate.admit()) for _ in range(32)]
            for number, call in enumerate(calls):
                refused = number < refusals
                gate.report(call, FailureClass.RATE_LIMITED if refused else None, 30.0 if refused else None)
        before = clock.now
        async with gate.admit():
            assert clock.now - before == (30.0 if held else pytest.approx(0, abs=0.5))

    play(scenario)


def test_answers_lift_a_hold_for_those_who_wait() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock)
        async with AsyncExitStack() as stack:
            calls = [await stack.enter_async_context(gate.admit()) for _ in range(20)]
            gate.report(calls[0], FailureClass.RATE_LIMITED, 30.0)
            waiting = asyncio.create_task(refuse(gate))
            await clock.sleep(1.0)
            assert gate.waiting == 1
            for call in calls[1:]:
                gate.report(call)
            await waiting
            assert clock.now <= 1002.0

    play(scenario)


def test_no_rate_before_more_is_refused_than_by_chance() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock, in_flight=1000)
        for failure in (None, FailureClass.SERVER, FailureClass.TIMEOUT, FailureClass.MALFORMED):
            async with gate.admit() as admission:
                gate.report(admission, failure)
        for _ in range(9):
            assert gate.rate is None
            await refuse(gate)
        assert gate.rate is None
        await refuse(gate)
        assert gate.rate is not None

    play(scenario)


def test_the_rate_starts_below_what_was_admitted() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock)
        for _ in range(40):
            async with gate.admit() as admission:
                await clock.sleep(0.1)
                gate.report(admission)
        while gate.rate is None:
            await refuse(gate)
        assert gate.rate == pytest.approx(8.0, rel=0.1)

    play(scenario)


def test_refusals_that_no_rate_would_avoid_do_not_slow_to_a_crawl() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock, in_flight=16)
        made = 0

        async def worker(number: int) -> None:
            nonlocal made
            while made < 3000:
                made += 1
                refused = made % 20 == 0
                async with gate.admit() as admission:
                    await clock.sleep(0.1)
                    gate.report(admission, FailureClass.OVERLOADED if refused else None)

        await asyncio.gather(*(worker(n) for n in range(16)))
        assert clock.now - 1000 < 2 * 3000 * 0.1 / 16

    play(scenario)


def test_a_rate_never_falls_to_nothing() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock)
        for _ in range(200):
            await refuse(gate)
        assert gate.rate == LEAST_RATE

    play(scenario)


def test_who_is_cancelled_in_the_queue_loses_its_place_and_nothing_else() -> None:
    async def scenario(clock: Clock) -> None:
        gate = make(clock, in_flight=1)
        entered = []

        async def call(number: int) -> None:
            async with gate.admit():
                entered.append(number)
                await clock.sleep(1.0)

        calls = [asyncio.create_task(call(n)) for n in range(4)]
        await asyncio.sleep(0)
        calls[1].cancel()  # waiting
        await clock.sleep(0.5)
        calls[0].cancel()  # in flight; its place goes on to number 2, which is cancelled at that very moment
        await asyncio.sleep(0)
        calls[2].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert entered in ([0, 3], [0, 2, 3])
        assert gate.in_flight == gate.waiting == 0

    play(scenario)


@pytest.mark.parametrize("limits", [{"in_flight": 0}, {"requests_per_minute": 0}, {"tokens_per_minute": -1}])
def test_a_limit_that_admits_nothing_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="greater than"):
        Limits.model_validate(limits)
