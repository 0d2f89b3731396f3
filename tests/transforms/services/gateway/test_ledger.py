"""The ceilings of a run in the shared state are exact: over processes, lost connections and kills."""

import asyncio
import signal
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_server import Server

from gog.transforms.services.gateway.budget import Budget, BudgetReached
from gog.transforms.services.gateway.ledger import Ledger, Refusal
from gog.transforms.services.gateway.prices import Price
from gog.transforms.services.store.postgres.store import PostgresStore
from gog.transforms.services.store.records import Spent

pytestmark = pytest.mark.postgres
WORKER = """
import asyncio, random, sys
from gog.transforms.services.gateway.budget import Budget, BudgetReached
from gog.transforms.services.gateway.ledger import Ledger
from gog.transforms.services.gateway.prices import Price
from gog.transforms.services.store.postgres.store import PostgresStore

address, seed, max_calls, max_cost, at_once = sys.argv[1], *map(float, sys.argv[2:6])
rng, made, cost = random.Random(seed), 0, 0.0

async def calls(budget):
    global made, cost
    while True:
        estimate = rng.choice([0.01, 0.02, 0.05])
        try:
            await budget.admit(estimate)
        except BudgetReached:
            return
        made += 1
        await asyncio.sleep(rng.uniform(0, 0.01))
        really = estimate * rng.choice([0.0, 0.5, 1.0])
        cost += really
        budget.settle(estimate, really)

async def all_at_once(budget):
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(calls(budget) for _ in range(int(at_once))))

with PostgresStore(address) as store:
    ledger = Ledger(store.database, "r", store.worker, int(max_calls), max_cost)
    budget = Budget(max_calls=int(max_calls), max_cost=max_cost, prices={"p": Price()}, ledger=ledger)
    asyncio.run(all_at_once(budget))
    budget.give_back()
print(made, repr(cost), flush=True)
"""


def workers(address: str, count: int, max_calls: int, max_cost: float, at_once: int) -> "list[subprocess.Popen[str]]":
    """Processes that call as much as they may, all of them ready and none begun."""
    arguments = [address, str(max_calls), str(max_cost), str(at_once)]
    found = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, arguments[0], str(seed), *arguments[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(count)
    ]
    for process in found:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    return found


def go(processes: "list[subprocess.Popen[str]]") -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


@pytest.mark.slow
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 300), st.floats(0.1, 5.0), st.integers(1, 16))
def test_eight_processes_spend_a_ceiling_and_never_more(
    postgres: Server, max_calls: int, max_cost: float, at_once: int
) -> None:
    processes = workers(postgres.address(), 8, max_calls, max_cost, at_once)
    go(processes)
    ended = [process.communicate(timeout=120)[0].split() for process in processes]
    made, cost = sum(int(calls) for calls, _ in ended), sum(float(spent) for _, spent in ended)
    assert made <= max_calls
    assert cost <= max_cost + 1e-6
    # Used to the end: either not a call is left, or not the price of the dearest one.
    assert made == max_calls or cost > max_cost - 0.05 - 1e-6


def test_what_a_killed_worker_had_reserved_counts_as_spent(postgres: Server) -> None:
    with PostgresStore(postgres.address(), lease_s=30.0) as store:
        store.database.run(
            lambda connection: connection.execute(
                "INSERT INTO gog.spending VALUES ('r', 'killed', 3, 0.25, 0.5), ('other', 'killed', 9, 9, 9)"
            )
        )
        ledger = Ledger(store.database, "r", store.worker, 10, 1.0)
        # Its calls may have been made, so a dollar less 0.75 is left.
        assert asyncio.run(ledger.reserve(0.3)) == Refusal("cost", 0.75)
        assert asyncio.run(ledger.reserve(0.25)) is None
        ledger.settle(0.25, 0.0)
        # One that lives is waited for: its call may cost less.
        store.database.run(
            lambda connection: connection.execute(
                "INSERT INTO gog.workers VALUES ('killed', '1 hour', clock_timestamp() + interval '1 hour')"
            )
        )

        async def waits() -> None:
            asked = asyncio.create_task(ledger.reserve(0.5))
            await asyncio.sleep(0.4)
            assert not asked.done()
            store.database.run(lambda connection: connection.execute("UPDATE gog.spending SET reserved = 0.1"))
            assert await asyncio.wait_for(asked, 20) is None

        asyncio.run(waits())
        ledger.close()


def test_a_call_that_nobody_waits_for_any_more_leaves_nothing_reserved(postgres: Server) -> None:
    address = postgres.address()
    with PostgresStore(address) as store:
        ledger = Ledger(store.database, "r", store.worker, None, 1.0)

        async def cancelled() -> None:
            calls = [asyncio.create_task(ledger.reserve(0.5)) for _ in range(2)]
            await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert await asyncio.wait_for(ledger.reserve(1.0), 20) is None

        asyncio.run(cancelled())
        ledger.close()


def test_what_was_spent_before_counts_once(postgres: Server) -> None:
    with PostgresStore(postgres.address()) as store:
        for _ in range(2):
            ledger = Ledger(store.database, "r", store.worker, 10, None)
            budget = Budget(max_calls=10, spent=Spent(calls=9, cost=1.0), prices={"p": Price()}, ledger=ledger)

        async def last(budget: Budget) -> None:
            await budget.admit()
            budget.settle(0.0, 0.0)
            with pytest.raises(BudgetReached, match="max_calls: 10 of 10 calls made by all workers"):
                await budget.admit()

        asyncio.run(last(budget))
        budget.give_back()


def test_a_killed_process_stops_nobody(postgres: Server) -> None:
    address = postgres.address()
    one, other = workers(address, 2, 200, 1e6, 4)
    go([one])
    one.send_signal(signal.SIGKILL)
    one.communicate(timeout=60)
    go([other])
    made = int(other.communicate(timeout=120)[0].split()[0])
    ((counted,),) = postgres.query("SELECT sum(calls) FROM gog.spending", address)
    assert made <= 200
    assert counted == 200
