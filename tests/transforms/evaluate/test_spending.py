"""What was asked of the outside, from events."""

from typing import Any

import pytest

from gog.schemas import Event, FailureClass
from gog.transforms.evaluate.spending import used


def event(**changes: Any) -> Event:
    values = {
        "key": "k",
        "kind": "text_search",
        "purpose": "policy",
        "provider": "serper:us-en",
        "started": 1.0,
        "latency_s": 0.1,
        "attempts": 1,
        "from_store": False,
        "cost": 0.001,
    }
    return Event(**values | changes)


def test_what_came_back_is_of_what_went_out() -> None:
    (one,) = used(
        [
            *[event()] * 6,
            event(attempts=5, failure=FailureClass.TIMEOUT),
            event(attempts=1, failure=FailureClass.NOT_FOUND),
            event(attempts=0, from_store=True, cost=0.0),
            event(attempts=0, from_store=True, failure=FailureClass.NOT_FOUND, cost=0.0),
            event(attempts=0, failure=FailureClass.BUDGET, cost=0.0),
            event(attempts=0, failure=FailureClass.STORE_MISS, cost=0.0),
        ]
    )
    assert (one.came_back.part, one.came_back.whole) == (6, 8)
    assert (one.questions, one.from_store, one.calls) == (12, 2, 12)
    assert one.cost == pytest.approx(0.008)


def test_a_line_for_each_provider_kind_and_purpose() -> None:
    events = [
        event(kind="chat", provider="m", purpose="judge", prompt_tokens=10, completion_tokens=2),
        event(purpose="prompted"),
        event(),
        event(kind="chat", provider="m", purpose="judge", prompt_tokens=1, completion_tokens=1),
    ]
    found = used(events)
    assert found == used(reversed(events))
    assert [(one.provider, one.kind, one.purpose, one.questions) for one in found] == [
        ("m", "chat", "judge", 2),
        ("serper:us-en", "text_search", "policy", 1),
        ("serper:us-en", "text_search", "prompted", 1),
    ]
    assert (found[0].prompt_tokens, found[0].completion_tokens) == (11, 3)
    assert used([]) == ()
