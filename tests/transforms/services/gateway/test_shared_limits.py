"""A minute's requests and tokens hold over all workers that share their state."""

import asyncio
import time

import pytest
from postgres_server import Server

from gog.transforms.services.gateway.gate import Gate, Limits
from gog.transforms.services.gateway.shared_limits import SharedLimits, _Due
from gog.transforms.services.store.postgres.database import Database
from gog.transforms.services.store.postgres.store import PostgresStore


def test_a_limit_is_a_bucket_in_one_number() -> None:
    due = _Due(600.0, 1.0, 0.0, 1000.0)  # ten a second, ten at once
    for _ in range(10):
        assert due.wait(1) == 0.0
        due.take(1)
    assert due.wait(1) == pytest.approx(0.1)
    assert due.wait(100) == pytest.approx(1.0)  # more than fits: when the bucket is full
    later = _Due(600.0, 1.0, due.due, 1000.5)
    assert later.wait(5) == 0.0
    assert later.wait(6) == pytest.approx(0.1)
    later.take(-1000)  # what was estimated and not taken; never above a full bucket
    assert later.due == 1000.5
    assert _Due(None, 1.0, 5.0, 1000.0).wait(1e9) == 0.0


@pytest.mark.postgres
def test_two_workers_share_what_a_provider_may_take(postgres: Server) -> None:
    address = postgres.address()
    PostgresStore(address).close()
    one, other = Database(address), Database(address)
    limits = Limits(in_flight=50, requests_per_minute=1200)  # twenty a second, twenty at once
    begun: list[float] = []

    async def calls() -> None:
        shared = [SharedLimits(database, "host", 1200, None) for database in (one, other)]
        gates = [Gate(limits, shared=each) for each in shared]

        async def call(gate: Gate) -> None:
            async with gate.admit() as admission:
                begun.append(time.monotonic())
                gate.report(admission)

        await asyncio.gather(*(call(gates[number % 2]) for number in range(60)))
        for each in shared:
            each.close()

    asyncio.run(calls())
    begun.sort()
    # Sixty calls: twenty at once, and two seconds for forty more.
    assert begun[-1] - begun[0] >= 1.9
    for first in range(len(begun)):
        within = [at for at in begun[first:] if at < begun[first] + 1.0]
        assert len(within) <= 20 + 20 + 6  # a full bucket, a second's worth, and what was taken just ahead
    one.close()
    other.close()


@pytest.mark.postgres
def test_tokens_are_counted_as_they_really_were(postgres: Server) -> None:
    address = postgres.address()
    PostgresStore(address).close()
    database = Database(address)
    shared = SharedLimits(database, "host", None, 600)  # ten a second, a hundred at once

    async def calls() -> None:
        gate = Gate(Limits(tokens_per_minute=600), shared=shared)
        for _ in range(3):  # estimated at a hundred each, and one token in truth
            async with gate.admit(100) as admission:
                gate.report(admission, tokens=1)
        began = time.monotonic()
        assert await shared.take(100) <= 0.31
        assert time.monotonic() - began < 5

    asyncio.run(asyncio.wait_for(calls(), 60))
    shared.close()
    database.close()
