"""JSON of a schema: what is asked, and the one request more where the reply is none."""

import asyncio
import json
from pathlib import Path

import pytest
from fakes import ScriptedPolicy, said

from gog.schemas import Message
from gog.transforms.services.gateway.budget import Budget
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.json_replies import asked_in_words, schema_error
from gog.transforms.services.gateway.prices import Price
from gog.transforms.services.protocols import ChatReply, ChatRequest
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
REQUEST = ChatRequest((Message(role="user", content="hi"),), response_schema=SCHEMA)


def asked(policy: ScriptedPolicy, store: Store, budget: Budget | None = None) -> ChatReply:
    return asyncio.run(Gateway(store, budget=budget, run="run").chat(policy, REQUEST, "episode"))


def test_a_reply_that_does_not_fit_is_asked_for_once_more(tmp_path: Path) -> None:
    policy = ScriptedPolicy([said("not at all"), said('{"n": 1}')])
    with Store(tmp_path) as store:
        assert asked(policy, store).message.text == '{"n": 1}'
    first, second = policy.requests
    assert first == REQUEST
    assert [message.role for message in second.messages] == ["user", "assistant", "user"]
    assert "not a JSON object" in second.messages[-1].text
    with Store(tmp_path, Mode.REPLAY) as store:
        assert asked(policy, store).message.text == '{"n": 1}', "both are kept"
    assert len(policy.requests) == 2


def test_it_is_asked_for_twice_at_most(tmp_path: Path) -> None:
    policy = ScriptedPolicy([said("no"), said("no"), said("never said")])
    with Store(tmp_path) as store:
        assert asked(policy, store).message.text == "no"
    assert len(policy.requests) == 2


def test_the_second_request_passes_gate_and_budget_as_the_first_does(tmp_path: Path) -> None:
    policy = ScriptedPolicy([said("no"), said('{"n": 1}')])
    with Store(tmp_path) as store:
        budget = Budget(max_calls=10, prices={policy.id: Price(per_call=1.0)})
        door = Gateway(store, budget=budget, run="run")
        asyncio.run(door.chat(policy, REQUEST, "episode"))
        assert (budget.calls, budget.cost, door.statistics.calls) == (2, 2.0, 2)
        store.flush()
        assert [event.attempts for event in store.events("run")] == [1, 1]


def test_the_words_are_the_last_of_the_users() -> None:
    words = asked_in_words(REQUEST).messages[-1].text
    assert words.startswith("hi\n\n")
    assert json.dumps(SCHEMA, separators=(",", ":"), sort_keys=True) in words
    after = asked_in_words(ChatRequest((Message(role="assistant", content="yes?"),), response_schema=SCHEMA)).messages
    assert [message.role for message in after] == ["assistant", "user"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"n": 1}', ""),
        ('```json\n{"n": 2}\n```', ""),
        ('{"n": "x"}', "[\"n\"] 'x' is not of type 'integer'"),
        ("{}", "'n' is a required property"),
        ("[1]", "it is not a JSON object"),
        ("", "it is not a JSON object"),
    ],
)
def test_why_json_does_not_fit(text: str, error: str) -> None:
    assert schema_error(text, SCHEMA).strip() == error
