"""A set-up that is wrong is found by the first calls."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from scripted_teacher import REPLY, Naps, Teacher, fails, play, request

from gog.schemas import FailureClass
from gog.transforms.services.gateway.breaker import AT_FIRST, FIRST_CALLS, IN_A_ROW, Breaker
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.store.sqlite import Store

pytestmark = pytest.mark.timeout(60)
"""What waits for ever because of a fault is found soon."""


async def asked(gateway: Gateway, teacher: Teacher, count: int) -> list[Any]:
    """What comes of so many different questions at once."""
    questions = (gateway.chat(teacher, request(f"{index}"), "episode") for index in range(count))
    return await asyncio.gather(*questions, return_exceptions=True)


def failures(outcomes: list[Any]) -> set[FailureClass]:
    return {outcome.failure for outcome in outcomes if isinstance(outcome, ServiceError)}


@pytest.mark.parametrize("failure", [FailureClass.AUTH, FailureClass.BAD_REQUEST, FailureClass.NETWORK])
def test_first_calls_that_all_fail_stop_the_run_and_leave_nothing(tmp_path: Path, failure: FailureClass) -> None:
    async def scenario() -> None:
        teacher = Teacher(fails(failure), latency_s=0.001)
        with Store(tmp_path) as store:
            gateway = Gateway(store, breaker=Breaker(), sleep=Naps())
            outcomes = await asked(gateway, teacher, 60)
            assert failures(outcomes) <= {FailureClass.SETUP, failure}
            assert gateway.budget.stopped.startswith("set-up: ")
            assert len(teacher.calls) <= 5 * (AT_FIRST + FIRST_CALLS)
            gateway.budget.go_on()
            gateway.breaker.forget()
            teacher.outcomes = [REPLY]
            assert await asked(gateway, teacher, 60) == [REPLY] * 60

    play(scenario)


def test_a_bad_request_among_the_first_is_told_from_a_wrong_set_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        class Picky(Teacher):
            async def complete(self, request: Any) -> Any:
                await asyncio.sleep(0.001)
                if request.messages[0].text == "0":
                    self.calls.append(request)
                    raise ServiceError(FailureClass.BAD_REQUEST, "an odd picture")
                return await super().complete(request)

        teacher = Picky()
        with Store(tmp_path) as store:
            outcomes = await asked(Gateway(store, breaker=Breaker()), teacher, 8)
            assert [type(outcome) for outcome in outcomes[1:]] == [type(REPLY)] * 7
            assert failures(outcomes) == {FailureClass.BAD_REQUEST}
            asked_before = len(teacher.calls)
            again = Gateway(store, breaker=Breaker(answered=[teacher.id]))
            assert failures(await asked(again, teacher, 8)) == {FailureClass.BAD_REQUEST}
            assert len(teacher.calls) <= asked_before + 1

    play(scenario)


def test_bad_requests_in_a_row_after_answers_stop_and_are_not_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        teacher = Teacher(REPLY, fails(FailureClass.BAD_REQUEST))
        with Store(tmp_path) as store:
            gateway = Gateway(store, breaker=Breaker())
            await asked(gateway, teacher, 1)
            for index in range(1, 2 * IN_A_ROW):
                with pytest.raises(ServiceError):
                    await gateway.chat(teacher, request(f"{index}"), "episode")
            assert len(teacher.calls) == 1 + IN_A_ROW
            assert store.count() == 1

    play(scenario)


def test_only_refusals_for_the_rate_for_long_are_a_quota_that_is_used_up() -> None:
    now = 0.0
    breaker, limited = Breaker(clock=lambda: now), fails(FailureClass.RATE_LIMITED)
    assert breaker.refuse("chat", "a", limited) == ""
    now = 599.0
    assert breaker.refuse("chat", "a", limited) == ""
    breaker.answer("a", now)
    now = 700.0
    assert breaker.refuse("chat", "a", limited) == ""
    now = 1301.0
    assert "a has refused every call for 10 minutes" in breaker.refuse("chat", "a", limited)


def test_pages_tell_nothing_of_the_set_up() -> None:
    breaker = Breaker()
    assert {breaker.refuse("page", "local", fails(FailureClass.AUTH)) for _ in range(100)} == {""}
    assert {breaker.give_up("page", "local", fails(FailureClass.TIMEOUT)) for _ in range(100)} == {""}
