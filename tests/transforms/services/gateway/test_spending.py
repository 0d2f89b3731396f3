"""Money through the door: what a call is charged, and that a ceiling holds with many calls in flight."""

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gog.schemas import FailureClass, Message
from gog.transforms.services.gateway.budget import Budget
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.leases import Leases
from gog.transforms.services.gateway.prices import Price
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling, ServiceError
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store

pytestmark = pytest.mark.timeout(60)
"""What waits for ever because of a fault is found soon."""

PRICE = Price(prompt_per_million=10.0, completion_per_million=100.0, per_call=0.001)


class Paid:
    """A model that answers as it is told: tokens read and written, or a failure."""

    id = "paid"
    thinking_tokens = 0

    def __init__(self, *told: tuple[int, int] | FailureClass, rng: random.Random | None = None) -> None:
        self.told, self.rng, self.asked = list(told), rng, 0

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.asked += 1
        told = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        await asyncio.sleep(self.rng.random() / 500 if self.rng else 0)
        if isinstance(told, FailureClass):
            raise ServiceError(told, "told so")
        return ChatReply(Message(role="assistant", content="A short reply."), "stop", *told)


def door(store: Store, budget: Budget, attempts: int = 1) -> Gateway:
    async def no_pause(_: float) -> None:
        return

    return Gateway(store, budget=budget, retry=Retry(attempts=attempts), run="run", sleep=no_pause)


def request(number: int) -> ChatRequest:
    return ChatRequest(
        (Message(role="user", content="x" * 300),), sampling=Sampling(max_tokens=100), sample_index=number
    )


def ask(gateway: Gateway, policy: Paid, count: int) -> list[ChatReply | FailureClass]:
    async def one(number: int) -> ChatReply | FailureClass:
        try:
            return await gateway.chat(policy, request(number), "episode")
        except ServiceError as error:
            return error.failure

    async def everyone() -> list[ChatReply | FailureClass]:
        return list(await asyncio.gather(*(one(number) for number in range(count))))

    return asyncio.run(everyone())


def test_a_reply_is_charged_by_its_usage(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        budget = Budget(prices={"paid": PRICE})
        ask(door(store, budget), Paid((1000, 50)), 2)
        assert budget.cost == pytest.approx(2 * (0.001 + 0.01 + 0.005))
        store.flush()
        assert store.spend("run").cost == pytest.approx(budget.cost)


def test_a_reply_without_usage_is_charged_by_estimate(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        budget = Budget(prices={"paid": PRICE})
        ask(door(store, budget), Paid((0, 0)), 1)
        assert 0.001 + 100 * 10e-6 < budget.cost < 0.02
        store.flush()
        (event,) = store.events("run")
        assert event.cost == budget.cost
        assert event.prompt_tokens >= 100, "some 300 characters and the request around them"
        assert event.completion_tokens > 0


def test_a_free_service_counts_what_it_says(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        ask(door(store, Budget()), Paid((0, 0)), 1)
        store.flush()
        (event,) = store.events("run")
        assert (event.cost, event.prompt_tokens, event.completion_tokens) == (0.0, 0, 0)


@pytest.mark.parametrize(
    ("failure", "charged"),
    [
        (FailureClass.TIMEOUT, True),
        (FailureClass.MALFORMED, True),
        (FailureClass.REFUSED, True),
        (FailureClass.RATE_LIMITED, False),
        (FailureClass.SERVER, False),
        (FailureClass.NETWORK, False),
        (FailureClass.AUTH, False),
    ],
)
def test_failures_that_may_be_charged_are(tmp_path: Path, failure: FailureClass, charged: bool) -> None:
    with Store(tmp_path) as store:
        budget = Budget(prices={"paid": PRICE})
        ask(door(store, budget), Paid(failure), 1)
        assert (budget.cost > 0) is charged
        store.flush()
        assert store.spend("run").cost == budget.cost, "a run that goes on knows of it"


def test_what_a_model_may_think_is_reserved(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        policy = Paid((100, 10))
        without = PRICE.cost(200, 100)
        policy.thinking_tokens = 10_000
        found = ask(door(store, Budget(max_cost=without, prices={"paid": PRICE})), policy, 1)
        assert found == [FailureClass.BUDGET], "a reply of that length would pass the ceiling"


def test_attempts_before_the_answer_are_paid_too(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        budget = Budget(prices={"paid": PRICE})
        policy = Paid(FailureClass.TIMEOUT, FailureClass.SERVER, (100, 10))
        ask(door(store, budget, attempts=3), policy, 1)
        store.flush()
        (event,) = store.events("run")
        assert policy.asked == event.attempts == 3
        assert event.cost == pytest.approx(budget.cost)
        assert event.cost > PRICE.cost(100, 10)


FAILURES = [
    FailureClass.TIMEOUT,
    FailureClass.SERVER,
    FailureClass.NETWORK,
    FailureClass.MALFORMED,
    FailureClass.REFUSED,
]
"""Those that the gate does not answer with patience."""

told = st.lists(
    st.one_of(st.tuples(st.integers(0, 150), st.integers(0, 100)), st.sampled_from(FAILURES)),
    min_size=1,
    max_size=20,
)


@settings(max_examples=25, deadline=None)
@given(told, st.floats(0, 0.5), st.integers(0, 1000), st.sampled_from([None, 1, 7]))
def test_the_ceiling_is_never_passed_while_no_call_costs_more_than_its_estimate(
    tmp_path_factory: pytest.TempPathFactory,
    told: list[tuple[int, int] | FailureClass],
    ceiling: float,
    seed: int,
    slices: int | None,
) -> None:
    folder = tmp_path_factory.mktemp("spending")
    leases = Leases(folder, "run") if slices else None
    budget = Budget(max_cost=ceiling, prices={"paid": PRICE}, leases=leases, slices=slices or 1)
    with Store(folder, Mode.LIVE) as store:
        found = ask(door(store, budget, attempts=2), Paid(*told, rng=random.Random(seed)), 60)
        assert budget.cost <= ceiling + 1e-9
        store.flush()
        assert store.spend("run").cost == pytest.approx(budget.cost)
    assert len(found) == 60, "every question ends"
    if FailureClass.BUDGET in found:
        assert "max_cost" in budget.reached


def test_a_call_that_costs_more_than_was_foreseen_passes_it_by_no_more_than_what_is_in_flight(tmp_path: Path) -> None:
    """A provider that counts twice the tokens that were asked for."""
    estimate = PRICE.cost(150, 100)
    with Store(tmp_path) as store:
        budget = Budget(max_cost=20 * estimate, prices={"paid": PRICE})
        policy = Paid((300, 200), rng=random.Random(1))
        found = ask(door(store, budget), policy, 100)
        assert FailureClass.BUDGET in found
        assert budget.cost <= 20 * estimate + 20 * PRICE.cost(300, 200)
        assert policy.asked <= 20
        store.flush()
        spent = store.spend("run")
    with Store(tmp_path) as store:
        higher = Budget(max_cost=1000.0, prices={"paid": PRICE}, spent=spent)
        again = ask(door(store, higher), policy, 100)
        assert FailureClass.BUDGET not in again
        assert policy.asked == 100, "what was bought is not bought again"
        assert higher.cost == pytest.approx(100 * PRICE.cost(300, 200))
