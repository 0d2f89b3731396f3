"""Leases: workers that share a ceiling never pass it, however they race and whoever is killed."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gog.transforms.services.gateway.budget import Budget, BudgetReached
from gog.transforms.services.gateway.leases import MICROS, Leases
from gog.transforms.services.gateway.prices import Price
from gog.transforms.services.store.records import Spent

pytestmark = pytest.mark.timeout(60)
"""What waits for ever because of a fault is found soon."""

Open = Callable[[], Leases]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    return lambda: Leases(tmp_path, "run")


class TestLedger:
    def test_slices_go_out_until_the_ceiling(self, opened: Open) -> None:
        one, two = opened(), opened()
        assert one.claim("calls", 1, 40, 100) == 40
        assert two.claim("calls", 1, 40, 100) == 40
        assert one.claim("calls", 1, 40, 100) == 20, "what is left"
        assert two.claim("calls", 1, 40, 100) == 0
        assert two.claim("cost", 1, 40, 100) == 40, "another kind"

    def test_less_than_is_needed_is_nothing(self, opened: Open) -> None:
        one = opened()
        assert one.claim("cost", 30, 10, 100) == 30
        assert one.claim("cost", 80, 80, 100) == 0
        assert one.claim("cost", 70, 10, 100) == 70

    def test_what_is_given_back_is_free_and_what_is_not_stays_spent(self, opened: Open) -> None:
        kept, killed = opened(), opened()
        assert kept.claim("calls", 1, 50, 100) == 50
        assert killed.claim("calls", 1, 50, 100) == 50
        kept.give_back({"calls": 10})
        assert opened().claim("calls", 1, 100, 100) == 40

    def test_who_gave_back_can_lease_again(self, opened: Open) -> None:
        one = opened()
        one.claim("calls", 1, 50, 100)
        one.give_back({"calls": 10, "cost": 0})
        assert one.claim("calls", 1, 50, 100) == 50
        one.give_back({"calls": 45, "cost": 0})
        assert opened().claim("calls", 1, 1000, 100) == 55

    def test_a_higher_ceiling_goes_on(self, opened: Open) -> None:
        assert opened().claim("calls", 1, 100, 100) == 100
        assert opened().claim("calls", 1, 100, 100) == 0
        assert opened().claim("calls", 1, 100, 150) == 50

    def test_what_was_spent_before_there_was_a_ledger_counts_once(self, opened: Open) -> None:
        one, two = opened(), opened()
        for ledger in (one, two, one):
            ledger.begin({"calls": 60, "cost": 0})
        assert one.claim("calls", 1, 10, 100) == 10
        opened().begin({"calls": 65})
        assert two.claim("calls", 1, 100, 100) == 30, "the ledger knew of 70"

    def test_runs_do_not_share(self, tmp_path: Path) -> None:
        assert Leases(tmp_path, "a").claim("calls", 1, 10, 10) == 10
        assert Leases(tmp_path, "b").claim("calls", 1, 10, 10) == 10


WORKER = """
import asyncio, json, sys
from pathlib import Path
from gog.transforms.services.gateway.budget import Budget, BudgetReached
from gog.transforms.services.gateway.leases import Leases
from gog.transforms.services.gateway.prices import Price

leases, settings = Leases(Path(sys.argv[1]), "run"), json.loads(sys.argv[2])
budget = Budget(leases=leases, prices={"m": Price(per_call=0.01)}, providers=["m"], **settings)

async def call():
    while True:
        estimate = budget.price("m").cost()
        await budget.admit(estimate)
        print("call", flush=True)
        await asyncio.sleep(0.002)
        budget.settle(estimate, 0.01)

async def main():
    calls = [asyncio.create_task(call()) for _ in range(4)]
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if not isinstance(result, BudgetReached):
            raise result

asyncio.run(main())
budget.give_back()
"""


def start(folder: Path, **settings: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WORKER, str(folder), json.dumps(settings)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(child: "subprocess.Popen[str]") -> int:
    """Calls that the worker made from now on."""
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    return out.count("call")


@pytest.mark.parametrize(
    ("settings", "ceiling"), [({"max_calls": 230, "slices": 23}, 230), ({"max_cost": 2.305, "slices": 20}, 230)]
)
def test_workers_that_race_make_just_so_many_calls(tmp_path: Path, settings: dict[str, object], ceiling: int) -> None:
    children = [start(tmp_path, **settings) for _ in range(3)]
    made = [finish(child) for child in children]
    assert sum(made) <= ceiling
    assert sum(made) >= ceiling * 0.8, "little stays unused: parts of a slice that another could not know of"
    assert finish(start(tmp_path, **settings)) == ceiling - sum(made), "what was given back goes to the next"


def test_a_slice_of_a_killed_worker_stays_spent(tmp_path: Path) -> None:
    killed = start(tmp_path, max_calls=100, slices=2)
    assert killed.stdout
    assert killed.stderr
    for _ in range(3):
        assert killed.stdout.readline() == "call\n"
    killed.send_signal(signal.SIGKILL)
    out, _ = killed.communicate()
    before = 3 + out.count("call")
    assert before <= 100
    after = finish(start(tmp_path, max_calls=100, slices=2))
    assert before + after <= 100
    assert after in {0, 50}, "whole slices: what the killed one held is lost"
    assert finish(start(tmp_path, max_calls=160, slices=2)) == 60, "a higher ceiling goes on"


def admitted(budget: Budget, most: int = 1000) -> int:
    async def scenario() -> int:
        for made in range(most):
            try:
                await budget.admit(0.1)
            except BudgetReached:
                return made
            budget.settle(0.1, 0.1)
        return most

    return asyncio.run(scenario())


class TestBudget:
    def test_two_workers_share_both_ceilings(self, opened: Open) -> None:
        prices = {"m": Price(per_call=0.1)}
        one, two, three = (
            Budget(max_calls=30, max_cost=2.0, slices=10, leases=opened(), prices=prices) for _ in range(3)
        )
        assert admitted(one, 5) == 5
        assert admitted(two) == 14, "of 20 calls that the money does for, 6 slices of 2 are out"
        assert "max_cost" in two.reached
        assert "leased" in two.reached
        one.give_back()
        assert admitted(three) == 1

    def test_earlier_parts_of_the_run_count(self, opened: Open) -> None:
        spent = Spent(calls=90, cost=0.5)
        assert admitted(Budget(max_calls=100, slices=5, leases=opened(), spent=spent)) == 10
        assert admitted(Budget(max_calls=100, slices=5, leases=opened(), spent=Spent(calls=100))) == 0

    def test_a_call_that_costs_more_than_a_slice_gets_what_it_needs(self, opened: Open) -> None:
        budget = Budget(max_cost=1.0, slices=1000, leases=opened())

        async def scenario() -> None:
            await budget.admit(0.9)
            budget.settle(0.9, 0.9)
            with pytest.raises(BudgetReached):
                await budget.admit(0.2)

        asyncio.run(scenario())

    def test_an_idle_worker_gives_back(self, opened: Open) -> None:
        async def scenario() -> int:
            idle = Budget(max_calls=10, slices=1, leases=opened(), idle_s=0.01)
            await idle.admit()
            idle.settle(0.0, 0.0)
            ledger = opened()
            for _ in range(500):
                await asyncio.sleep(0.01)
                got = await asyncio.to_thread(ledger.claim, "calls", 1, 4, 10)
                if got:
                    await idle.admit()
                    idle.settle(0.0, 0.0)
                    assert idle.calls == 2
                    return got
            return 0

        assert asyncio.run(scenario()) == 4

    def test_calls_in_flight_keep_what_they_have_reserved(self, opened: Open) -> None:
        async def scenario() -> None:
            budget = Budget(max_cost=1.0, slices=1, leases=opened())
            await budget.admit(0.4)
            budget.give_back()
            assert opened().claim("cost", 1, MICROS, MICROS) == 600_000
            budget.settle(0.4, 0.4)

        asyncio.run(scenario())
