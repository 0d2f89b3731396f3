"""The budget: ceilings hold with calls in flight, and earlier parts of a run count."""

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import FailureClass
from gog.transforms.services.gateway.budget import Budget, BudgetReached, PriceError
from gog.transforms.services.gateway.prices import Price, find_price, list_prices
from gog.transforms.services.store.records import Spent

pytestmark = pytest.mark.timeout(60)
"""What waits for ever because of a fault is found soon."""

TEACHER = "openai:big@2026"
PRICES = {TEACHER: Price(prompt_per_million=2.0, completion_per_million=8.0)}


def admit(budget: Budget, estimate: float = 0.0) -> None:
    asyncio.run(budget.admit(estimate))


def test_price_is_by_tokens_and_by_call() -> None:
    price = Price(prompt_per_million=2.0, completion_per_million=8.0, per_call=0.01)
    assert price.cost(1_000_000, 500_000) == pytest.approx(6.01)
    assert Price().cost(10, 10) == 0


def test_calls_stop_at_the_ceiling_for_good() -> None:
    budget = Budget(max_calls=2)
    admit(budget)
    admit(budget)
    with pytest.raises(BudgetReached, match="max_calls: 2 of 2") as caught:
        admit(budget)
    assert caught.value.failure is FailureClass.BUDGET
    budget.settle(0.0, 0.0)
    with pytest.raises(BudgetReached):
        admit(budget)
    assert budget.calls == 2
    assert "max_calls" in budget.reached


def test_earlier_parts_of_the_run_count() -> None:
    spent = Spent(calls=9, cost=0.9, hours=1.5)
    with pytest.raises(BudgetReached):
        admit(Budget(max_calls=9, spent=spent))
    with pytest.raises(BudgetReached, match="max_cost"):
        admit(Budget(max_cost=1.0, spent=spent), 0.2)
    with pytest.raises(BudgetReached, match="max_hours"):
        admit(Budget(max_hours=1.5, spent=spent))


def test_hours_run_on_the_clock() -> None:
    now = [0.0]
    budget = Budget(max_hours=2.0, clock=lambda: now[0])
    now[0] = 7199.0
    admit(budget)
    now[0] = 7200.0
    with pytest.raises(BudgetReached, match="max_hours"):
        admit(budget)


def test_a_model_without_a_price_is_refused_under_a_money_ceiling() -> None:
    with pytest.raises(PriceError, match="openai:unknown"):
        Budget(max_cost=1.0, prices=PRICES, providers=[TEACHER, "openai:unknown", "planner:1"])
    with pytest.raises(PriceError, match="reader:en"):
        Budget(max_cost=1.0, prices=PRICES, providers=[TEACHER]).price("reader:en")
    assert Budget(prices=PRICES, providers=["openai:unknown"]).price("openai:unknown").cost(10**6, 10**6) == 0


def test_a_call_waits_for_money_that_is_only_reserved() -> None:
    async def scenario() -> list[str]:
        budget = Budget(max_cost=1.0)
        happened = []
        await budget.admit(0.6)

        async def second() -> None:
            await budget.admit(0.6)
            happened.append("admitted")

        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)
        happened.append("waits")
        budget.settle(0.6, 0.1)
        await waiting
        return happened

    assert asyncio.run(scenario()) == ["waits", "admitted"]


def test_a_waiting_call_is_refused_when_the_money_is_gone() -> None:
    async def scenario() -> None:
        budget = Budget(max_cost=1.0)
        await budget.admit(0.6)
        waiting = asyncio.create_task(budget.admit(0.6))
        await asyncio.sleep(0)
        budget.settle(0.6, 0.6)
        await waiting

    with pytest.raises(BudgetReached, match="max_cost"):
        asyncio.run(scenario())


@given(
    st.floats(0.01, 5.0),
    st.lists(st.tuples(st.floats(0.0001, 1.0), st.floats(0.0, 1.0)), min_size=1, max_size=40),
    st.integers(1, 8),
)
def test_money_never_passes_the_ceiling(ceiling: float, calls: list[tuple[float, float]], at_once: int) -> None:
    async def one(budget: Budget, slots: asyncio.Semaphore, estimate: float, share: float) -> None:
        async with slots:
            try:
                await budget.admit(estimate)
            except BudgetReached:
                return
            await asyncio.sleep(0)
            budget.settle(estimate, estimate * share)
            assert budget.cost <= ceiling + 1e-6

    async def scenario() -> None:
        budget, slots = Budget(max_cost=ceiling), asyncio.Semaphore(at_once)
        await asyncio.wait_for(asyncio.gather(*(one(budget, slots, e, s) for e, s in calls)), 5)
        if not budget.reached:
            assert budget.calls == len(calls)

    asyncio.run(scenario())


def test_without_ceilings_everything_is_counted_and_admitted() -> None:
    async def scenario() -> Budget:
        budget = Budget()
        for _ in range(100):
            await budget.admit(5.0)
            budget.settle(5.0, 0.5)
        return budget

    budget = asyncio.run(scenario())
    assert budget.cost == pytest.approx(50.0)
    assert (budget.calls, budget.reached) == (100, "")


class TestPrices:
    @pytest.mark.parametrize(
        ("provider", "listed"),
        [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4o@2024-08-06", "gpt-4o"),
            ("gpt-4o@2024-08-06+0123abcd", "gpt-4o"),
            ("gpt-4o+0123abcd", "gpt-4o"),
            ("serper:us-en", "serper"),
            ("serper:lens:us-en+3thumbnails", "serper:lens"),
        ],
    )
    def test_the_list_is_looked_up_by_what_an_id_begins_with(self, provider: str, listed: str) -> None:
        found = find_price(provider, {})
        assert found == list_prices()[listed].price
        assert found
        assert found.cost(1000, 1000) > 0

    @pytest.mark.parametrize(
        "provider", ["gpt-4o-audio", "Qwen/Qwen2.5-VL-7B-Instruct", "jina:r", "", ":", "ft:gpt-4o:me"]
    )
    def test_what_is_not_listed_has_no_price(self, provider: str) -> None:
        assert find_price(provider, {}) is None

    def test_ones_own_price_wins_at_any_length(self) -> None:
        own = {"serper": Price(per_call=1.0), "Qwen/Qwen2.5-VL-7B-Instruct": Price()}
        assert find_price("serper:lens:us-en", own) == Price(per_call=1.0)
        assert find_price("Qwen/Qwen2.5-VL-7B-Instruct+0123abcd", own) == Price()

    def test_every_line_says_when_and_where(self) -> None:
        for listed in list_prices().values():
            assert re.fullmatch(r"20\d\d-[01]\d", listed.as_of)
            assert listed.source.startswith("https://") or (listed.price == Price() and listed.note)
            assert min(listed.price.prompt_per_million, listed.price.completion_per_million, listed.price.per_call) >= 0
