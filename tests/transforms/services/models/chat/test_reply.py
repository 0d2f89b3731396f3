"""Replies read back, hostile ones too."""

import json
from typing import Any

import pytest
from endpoint import completion
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import FailureClass
from gog.transforms.services.models.chat.reply import MAX_CALLS, MAX_CHARACTERS, read_reply
from gog.transforms.services.protocols import ChatReply, ServiceError


def call(name: Any = "gaze", arguments: Any = '{"a": 1}', **more: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}} | more


def failure(data: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        read_reply(data)
    return caught.value


def test_a_plain_reply_comes_as_it_is() -> None:
    reply = read_reply(completion("  two\nlines ", reasoning_content=" why "))
    assert reply.message.content == "  two\nlines "
    assert reply.message.reasoning_content == " why "
    assert (reply.finish_reason, reply.prompt_tokens, reply.completion_tokens) == ("stop", 7, 3)


@pytest.mark.parametrize(
    ("message", "content", "thought"),
    [
        ({"content": "<think>a</think>b"}, "b", "a"),
        ({"content": "a\n</think>\n\nb"}, "b", "a"),
        ({"content": "<think>never done"}, "", "never done"),
        ({"content": "b", "reasoning": "a"}, "b", "a"),
        ({"content": "b", "reasoning": "a", "reasoning_content": "a"}, "b", "a"),
        ({"content": "<think>c</think>b", "reasoning": "a"}, "b", "a\nc"),
        ({"content": None, "reasoning_content": "a"}, "", "a"),
        ({"content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]}, "bc", None),
        ({"content": [{"type": "thinking", "thinking": [{"text": "a"}]}, {"type": "text", "text": "b"}]}, "b", "a"),
        ({"content": ""}, "", None),
    ],
)
def test_reasoning_is_told_from_content(message: dict[str, Any], content: str, thought: str | None) -> None:
    reply = read_reply(completion(**message)).message
    assert (reply.content, reply.reasoning_content) == (content, thought)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{"bbox_2d": [1, 2', '{"bbox_2d": [1, 2'),
        ({"a": 1}, '{"a": 1}'),
        (None, ""),
        ("", ""),
    ],
)
def test_tool_calls_are_kept_broken_or_not(arguments: Any, kept: str) -> None:
    reply = read_reply(completion(None, tool_calls=[call(arguments=arguments)]))
    assert reply.finish_reason == "tool_calls"
    assert reply.message.tool_calls[0].function.arguments == kept
    assert reply.message.tool_calls[0].id == "c1"


def test_calls_without_ids_get_them_and_many_are_cut() -> None:
    calls = [call(id=None) for _ in range(MAX_CALLS + 5)]
    ids = [made.id for made in read_reply(completion(None, tool_calls=calls)).message.tool_calls]
    assert ids == [f"call_{index}" for index in range(MAX_CALLS)]


@pytest.mark.parametrize(
    ("finish", "read"),
    [("stop", "stop"), ("length", "length"), ("max_tokens", "length"), (None, "stop"), ("eos", "stop"), ([], "stop")],
)
def test_why_it_ended(finish: Any, read: str) -> None:
    assert read_reply(completion(finish=finish)).finish_reason == read


def test_a_call_that_was_cut_off_is_told() -> None:
    cut = completion(None, finish="length", tool_calls=[call(arguments='{"query": "cap')])
    assert read_reply(cut).finish_reason == "length"


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 6}, (5, 6)),
        ({"prompt_tokens": 5.0}, (5, 0)),
        ({"prompt_tokens": -5, "completion_tokens": 10**30}, (0, 0)),
        ({"prompt_tokens": True, "completion_tokens": "7"}, (0, 0)),
        ({"prompt_tokens": float("nan"), "completion_tokens": float("inf")}, (0, 0)),
        ([], (0, 0)),
    ],
)
def test_usage_is_sane(usage: Any, tokens: tuple[int, int]) -> None:
    reply = read_reply(completion(usage=usage))
    assert (reply.prompt_tokens, reply.completion_tokens) == tokens


@pytest.mark.parametrize(
    "data",
    [
        completion(None, refusal="I cannot help with that."),
        completion("", refusal="I cannot help with that."),
        completion([{"type": "refusal", "refusal": "I cannot help with that."}]),
        completion("half of", finish="content_filter"),
        {"error": {"message": "flagged by moderation"}},
        {"error": {"message": "blocked", "code": "content_filter"}},
    ],
)
def test_refusals_are_no_failures(data: Any) -> None:
    assert failure(data).failure is FailureClass.REFUSED


def test_words_of_refusal_in_the_content_are_an_answer() -> None:
    assert read_reply(completion("I'm sorry, I can't.", refusal=None)).message.text == "I'm sorry, I can't."


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "hello",
        {},
        {"choices": []},
        {"choices": {}},
        {"choices": [None]},
        {"choices": [{}]},
        {"choices": [{"message": {}}]},
        {"choices": [{"message": "hello"}]},
        completion(None),
        completion(3),
        completion({"text": "x"}),
        completion([{"type": "audio"}]),
        completion([{"type": "text", "text": 3}]),
        completion(tool_calls={}),
        completion(tool_calls=[None]),
        completion(tool_calls=[{"function": {}}]),
        completion(tool_calls=[call(name=3)]),
        completion(tool_calls=[call(arguments=3)]),
        completion("x" * (MAX_CHARACTERS + 1)),
        completion(tool_calls=[call(arguments="x" * (MAX_CHARACTERS + 1))]),
        {"error": "out of memory"},
        {"choices": [{"error": {"message": "the model crashed"}}]},
    ],
    ids=lambda data: json.dumps(data)[:40],
)
def test_what_is_no_reply_is_malformed(data: Any) -> None:
    error = failure(data)
    assert error.failure is FailureClass.MALFORMED
    assert len(error.detail) < 400
    assert "\n" not in error.detail


@pytest.mark.parametrize(
    "answer",
    [
        completion(None, finish="length"),
        completion(None, finish="length", reasoning_content="still thinking"),
        completion([{"type": "reasoning", "text": "hm"}], finish="length"),
        completion("", finish="max_output_tokens"),
        {"choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant"}}]},
        {"choices": [{"index": 0, "finish_reason": "MAX_TOKENS"}], "usage": {"completion_tokens": 16}},
        [{"choices": [{"index": 0, "finish_reason": "length"}]}],
    ],
)
def test_a_reply_that_reached_its_limit_before_it_spoke_is_the_models_own_end(answer: Any) -> None:
    reply = read_reply(answer)
    assert (reply.message.text, reply.finish_reason) == ("", "length")


def test_parts_of_unknown_kinds_are_passed_over() -> None:
    parts = [
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "a bridge"},
        {"type": "annotation"},
        3,
    ]
    assert read_reply(completion(parts, reasoning={"effort": 1})).message.text == "a bridge"


def test_filters_of_google_are_refusals() -> None:
    assert failure(completion(None, finish="content_filter: PROHIBITED_CONTENT")).failure is FailureClass.REFUSED


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ({"error": {"message": "slow down", "code": 429}}, FailureClass.RATE_LIMITED),
        ({"error": {"message": "slow down", "code": "429", "type": "None"}}, FailureClass.RATE_LIMITED),
        ({"error": {"message": "slow down", "code": 503}}, FailureClass.OVERLOADED),
        ({"error": {"message": "the model crashed", "code": 500}}, FailureClass.SERVER),
        ({"error": {"message": "slow down", "code": []}}, FailureClass.MALFORMED),
        ({"error": {"message": "No auth credentials found", "code": 401}}, FailureClass.AUTH),
        ({"error": {"message": "Insufficient credits", "code": 402}}, FailureClass.AUTH),
        ({"error": {"message": "Key limit exceeded", "code": 403}}, FailureClass.AUTH),
        ({"error": {"message": "over budget", "type": "budget_exceeded", "code": "429"}}, FailureClass.AUTH),
        ({"error": {"message": "x", "type": "rate_limit_error"}}, FailureClass.RATE_LIMITED),
        ({"error": "Unauthorized", "status": 401}, FailureClass.AUTH),
        ({"object": "error", "message": "The model `x` does not exist.", "code": 404}, FailureClass.AUTH),
        ([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x"}}], FailureClass.RATE_LIMITED),
        (completion(None) | {"error": {"message": "Provider returned error", "code": 502}}, FailureClass.SERVER),
    ],
    ids=lambda answer: json.dumps(answer)[:60],
)  # fmt: skip
def test_an_error_in_a_200_is_what_it_says(answer: Any, known: FailureClass) -> None:
    assert failure(answer).failure is known


def test_a_wait_named_in_an_error_of_a_200_is_kept() -> None:
    error = {"code": 429, "message": "quota", "details": [{"retryDelay": "20s"}]}
    assert failure({"error": error}).retry_after == 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
NAMES = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "role")
CALLS = st.lists(st.fixed_dictionaries({"function": st.fixed_dictionaries({"name": JSON, "arguments": JSON})}))
TEXTS = st.fixed_dictionaries({"content": st.text()}, optional={"reasoning_content": st.text(), "tool_calls": CALLS})
MESSAGES = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON | CALLS)) | TEXTS | JSON
REPLIES = JSON | st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"message": MESSAGES}, optional={"finish_reason": JSON}))},
    optional={"usage": JSON, "error": JSON},
)


@given(REPLIES)
def test_any_json_is_a_reply_or_a_service_error(data: Any) -> None:
    try:
        reply = read_reply(data)
    except ServiceError as error:
        assert error.detail  # noqa: PT017
        return
    assert isinstance(reply, ChatReply)
    assert reply.message.role == "assistant"
    reply.message.model_dump_json().encode()


@given(st.text(), st.text())
def test_text_goes_through_unchanged_where_nothing_is_tagged(content: str, thought: str) -> None:
    if "<" in content or not content:
        return
    reply = read_reply(json.loads(json.dumps(completion(content, reasoning_content=thought))))
    assert reply.message.text == content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
