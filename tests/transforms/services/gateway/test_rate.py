"""The adaptive rate against providers that refuse in their own ways, on a clock of the test's."""

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from clock import Clock, play

from gog.schemas import FailureClass
from gog.transforms.services.gateway.bucket import Bucket
from gog.transforms.services.gateway.gate import Gate, Limits
from gog.transforms.services.gateway.rate import LEAST_RATE, AdaptiveRate
from gog.transforms.services.gateway.retry import Retry, with_retries
from gog.transforms.services.protocols import ServiceError

pytestmark = pytest.mark.timeout(60)
"""What waits for ever because of a fault is found soon."""

Limiter = Callable[[float], float]
"""At a time: seconds until the next call is borne; 0 when this one is."""


def bucket(rate: float, burst: float, began: float) -> Limiter:
    """So many a second, and some at once."""
    held = Bucket(rate, burst, began)

    def limit(now: float) -> float:
        wait = held.wait(1, now)
        if wait == 0:
            held.take(1, now)
        return wait

    return limit


def window(rate: float, seconds: float) -> Limiter:
    """So many in each window of that length, from 0 again at its start."""
    counts: dict[int, int] = {}

    def limit(now: float) -> float:
        number = math.floor(now / seconds + 0.37)
        counts[number] = counts.get(number, 0) + 1
        return 0.0 if counts[number] <= rate * seconds else (number + 1 - 0.37) * seconds - now

    return limit


def chance(share: float) -> Limiter:
    """Refuses that share of the calls, whatever their rate."""
    rng = random.Random(0)
    return lambda now: 1.0 if rng.random() < share else 0.0


def changing(first: Limiter, then: Limiter, at: float) -> Limiter:
    """One limiter, and from that time on another."""
    return lambda now: (first if now < at else then)(now)


@dataclass
class Traffic:
    """What went to a provider: when, and whether it was borne."""

    sent: list[tuple[float, bool]] = field(default_factory=list)

    def between(self, begin: float, end: float) -> tuple[float, float]:
        """Calls borne a second, and the share of all that was refused, in seconds from the start."""
        borne = [good for at, good in self.sent if begin <= at < end]
        return sum(borne) / (end - begin), 1 - sum(borne) / max(1, len(borne))


def ask(
    limiter: Callable[[float], Limiter], *, seconds: float, says_when: bool, latency: float = 0.05, callers: int = 64
) -> Traffic:
    """Callers who always have a call to make, and make refused ones again as the door does."""
    traffic = Traffic()

    async def scenario(clock: Clock) -> None:
        gate = Gate(Limits(in_flight=64), clock=clock, sleep=clock.sleep)
        began, rng, retry = clock.now, random.Random(1), Retry()
        limit = limiter(began)

        async def call(attempt: int) -> bool:
            async with gate.admit() as admission:
                await clock.sleep(0.02 * rng.random())
                wait = limit(clock.now)
                traffic.sent.append((clock.now - began, wait == 0))
                await clock.sleep(latency * (0.5 + rng.random()) if wait == 0 else 0.003)
                after = float(math.ceil(wait)) if says_when else None
                gate.report(admission, FailureClass.RATE_LIMITED if wait else None, after)
            if wait:
                await clock.sleep(retry.pause(attempt, after, rng.random()))
            return wait == 0

        async def caller() -> None:
            attempt = 0
            while clock.now < began + seconds:
                attempt = 0 if await call(attempt + 1) else attempt + 1

        await asyncio.gather(*(caller() for _ in range(callers)))

    play(scenario)
    return traffic


@pytest.mark.parametrize("says_when", [True, False])
@pytest.mark.parametrize(
    "limiter",
    [lambda began: bucket(20, 20, began), lambda began: bucket(20, 200, began), lambda began: window(20, 1.0)],
    ids=["bucket", "large bucket", "window"],
)
def test_a_limit_is_found_in_ten_seconds_and_kept(limiter: Callable[[float], Limiter], says_when: bool) -> None:
    traffic = ask(limiter, seconds=120, says_when=says_when)
    for begin, end, most_refused in ((10, 60, 0.015), (60, 120, 0.01)):
        rate, refused = traffic.between(begin, end)
        assert refused < most_refused
        assert rate == pytest.approx(20, rel=0.15)


@pytest.mark.parametrize("says_when", [True, False])
def test_a_provider_that_bears_nothing_at_once_is_not_crawled_to(says_when: bool) -> None:
    rate, refused = ask(lambda began: bucket(20, 1, began), seconds=60, says_when=says_when).between(10, 60)
    assert refused < 0.015
    assert rate > 12


@pytest.mark.parametrize("says_when", [True, False])
@pytest.mark.parametrize("latency", [3.0])
def test_slow_answers_do_not_confuse_it(says_when: bool, latency: float) -> None:
    traffic = ask(lambda began: bucket(20, 20, began), seconds=60, says_when=says_when, latency=latency)
    rate, refused = traffic.between(10, 60)
    assert refused < 0.03
    assert 16 < rate < 23


@pytest.mark.parametrize("says_when", [True, False])
def test_a_window_of_a_minute_is_filled_and_waited_for(says_when: bool) -> None:
    rate, refused = ask(lambda began: window(20, 60.0), seconds=180, says_when=says_when).between(0, 180)
    assert refused < 0.06
    assert 12 < rate <= 20 * 4 / 3


def test_a_limit_that_falls_is_followed_and_one_that_rises_is_found() -> None:
    def limiter(began: float) -> Limiter:
        rising = changing(bucket(10, 10, began), bucket(30, 30, began), began + 80)
        return changing(bucket(40, 40, began), rising, began + 40)

    traffic = ask(limiter, seconds=160, says_when=False)
    assert traffic.between(20, 40)[0] > 32
    fallen, refused = traffic.between(60, 80)
    assert fallen == pytest.approx(10, rel=0.2)
    assert refused < 0.1
    assert traffic.between(140, 160)[0] > 22


@pytest.mark.parametrize("says_when", [True, False])
def test_refusals_by_chance_do_not_slow_it_to_a_crawl(says_when: bool) -> None:
    rate, _ = ask(lambda _: chance(0.05), seconds=30, says_when=says_when, latency=1.0).between(5, 30)
    assert rate > 0.6 * 64 / 1.05


@pytest.mark.parametrize("says_when", [True, False])
@pytest.mark.parametrize("share", [0.05, 0.12])
def test_refusals_by_chance_hold_up_nobody_else(share: float, says_when: bool) -> None:
    """At 64 callers each waits for its own refusals alone, which leaves so many a second."""
    wait = (1.0 if says_when else 0.0) + 0.375
    each = 0.01 + (1 - share) * 0.05 + share * (0.003 + wait)
    rate, refused = ask(lambda began: chance(share), seconds=5, says_when=says_when).between(0, 5)
    assert refused == pytest.approx(share, rel=0.25)
    assert rate > 0.85 * 64 * (1 - share) / each


def test_an_outage_is_waited_for_and_costs_few_calls() -> None:
    def limiter(began: float) -> Limiter:
        closed = changing(lambda now: 1.0, chance(0.0), began + 50)
        return changing(chance(0.0), closed, began + 20)

    traffic = ask(limiter, seconds=90, says_when=False, latency=0.5)
    assert sum(not good for _, good in traffic.sent) < 64 + 30
    assert traffic.between(60, 90)[0] > 30


def test_a_rate_after_a_long_rest_still_climbs() -> None:
    rate, now = AdaptiveRate(), 0.0
    while rate.bucket is None:
        rate.outcome(rate.admitted(now), True, now)
    now += 3600
    for _ in range(20_000):
        now += rate.wait(now)
        rate.outcome(rate.admitted(now), False, now)
        if now > 3600 + 400:
            break
    assert rate.bucket is not None
    assert rate.bucket.rate > 20 * LEAST_RATE


@pytest.mark.parametrize("says_when", [True, False])
@pytest.mark.parametrize(("per_minute", "calls"), [(1, 6), (5, 30)])
def test_a_quota_of_a_few_calls_a_minute_costs_no_call(per_minute: int, calls: int, says_when: bool) -> None:
    outcomes: list[str] = []

    async def scenario(clock: Clock) -> None:
        gate, rng = Gate(clock=clock, sleep=clock.sleep), random.Random(0)
        limit, began = window(per_minute / 60, 60.0), clock.now

        async def ask_once() -> None:
            async with gate.admit() as admission:
                await clock.sleep(0.02)
                wait = limit(clock.now)
                after = float(math.ceil(wait)) if says_when else None
                gate.report(admission, FailureClass.RATE_LIMITED if wait else None, after)
            if wait:
                raise ServiceError(FailureClass.RATE_LIMITED, "slow down", after)

        async def call() -> None:
            try:
                await with_retries(ask_once, Retry(), rng, clock.sleep)
                outcomes.append("answered")
            except ServiceError as error:
                outcomes.append(error.failure)

        await asyncio.gather(*(call() for _ in range(calls)))
        assert clock.now - began < 1.8 * 60 * calls / per_minute

    play(scenario)
    assert outcomes == ["answered"] * calls
