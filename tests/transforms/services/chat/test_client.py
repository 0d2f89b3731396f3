"""The chat model against real sockets."""

import asyncio
import json
import logging
from typing import Any

import pytest
from aiohttp import web
from endpoint import Endpoint, completion, refusal, talk
from fakes import MemoryImages, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gog.schemas import FailureClass, ImagePart, Message, TextPart
from gog.transforms.services.chat import ChatModel, ModelSettings
from gog.transforms.services.chat.client import completions_url, schema_error
from gog.transforms.services.planner import Planner
from gog.transforms.services.protocols import ChatReply, ChatRequest, ServiceError

KEY = "sk-planted-0123456789"
QUESTION = ChatRequest((Message(role="user", content="hi"),))
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def ask(
    endpoint: Endpoint,
    request: ChatRequest = QUESTION,
    images: MemoryImages | None = None,
    key: str = "",
    **changes: Any,
) -> ChatReply:
    async def speak(endpoint: Endpoint) -> ChatReply:
        model = ChatModel(endpoint.base, "m", images or MemoryImages(), ModelSettings(**changes), key)
        return await model.complete(request)

    return talk(endpoint, speak)


def failing(*script: Any, **options: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        ask(Endpoint(list(script)), **options)
    return caught.value


def test_a_question_and_its_reply() -> None:
    endpoint = Endpoint([completion("hello")])
    assert ask(endpoint).message.text == "hello"
    assert endpoint.bodies[0]["messages"] == [{"role": "user", "content": "hi"}]
    assert "Authorization" not in endpoint.headers[0]


def test_large_pictures_go_through() -> None:
    images = MemoryImages()
    noise = picture(2400, 1800)
    one = images.put(noise + b"\0" * 3_000_000, "png")
    content = (ImagePart(image=one), TextPart(text="What is it?"))
    endpoint = Endpoint([completion("hello")])
    ask(endpoint, ChatRequest((Message(role="user", content=content),)), images, max_pixels=1 << 24)
    sent = endpoint.bodies[0]["messages"][0]["content"]
    assert sent[0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert len(sent[0]["image_url"]["url"]) > 4_000_000
    assert sent[1] == {"type": "text", "text": "What is it?"}


@pytest.mark.parametrize(
    ("status", "message", "failure"),
    [
        (429, "slow down", FailureClass.RATE_LIMITED),
        (503, "loading", FailureClass.OVERLOADED),
        (500, "oops", FailureClass.SERVER),
        (401, "no key", FailureClass.AUTH),
        (404, "The model `m` does not exist", FailureClass.AUTH),
        (400, "maximum context length is 10 tokens", FailureClass.BAD_REQUEST),
        (400, "content_filter", FailureClass.REFUSED),
    ],
)
def test_failures_by_class(status: int, message: str, failure: FailureClass) -> None:
    error = failing(refusal(status, message))
    assert error.failure is failure
    assert message in error.detail


def test_the_key_is_in_the_header_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint = Endpoint([completion()])
    ask(endpoint, key=KEY)
    assert endpoint.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in json.dumps(endpoint.bodies)
    model = ChatModel("http://127.0.0.1:9/v1", "m", MemoryImages(), ModelSettings(key_env="X"), KEY)
    error = failing(refusal(401, f"Incorrect API key provided: {KEY}"), key=KEY)
    assert KEY not in f"{model!r} {model} {model.id} {error!r} {error} {caplog.text}"
    with pytest.raises(ServiceError) as caught:
        talk(Endpoint([{}]), lambda _: model.complete(QUESTION))
    assert caught.value.failure is FailureClass.NETWORK
    assert KEY not in str(caught.value)


def test_a_key_that_is_no_header_is_not_shown() -> None:
    error = failing(completion(), key=f"{KEY}\nX-Other: 1")
    assert KEY not in str(error)


@pytest.mark.parametrize("way", ["object", "prompt"])
def test_json_that_does_not_fit_is_asked_for_once_more(way: str) -> None:
    request = ChatRequest(QUESTION.messages, response_schema=SCHEMA)
    endpoint = Endpoint([completion("not at all"), completion('{"n": 1}')])
    reply = ask(endpoint, request, json_replies=way)
    assert reply.message.text == '{"n": 1}'
    assert (reply.prompt_tokens, reply.completion_tokens) == (14, 6), "both are counted"
    first, second = endpoint.bodies
    assert json.dumps(SCHEMA, separators=(",", ":"), sort_keys=True) in first["messages"][-1]["content"]
    assert first["messages"][-1]["content"].startswith("hi\n\n")
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    assert "not a JSON object" in second["messages"][-1]["content"]
    assert ("response_format" in first) == (way == "object")


def test_json_is_asked_for_twice_at_most() -> None:
    request = ChatRequest(QUESTION.messages, response_schema=SCHEMA)
    endpoint = Endpoint([completion("no")])
    assert ask(endpoint, request, json_replies="prompt").message.text == "no"
    assert len(endpoint.bodies) == 2
    endpoint = Endpoint([completion('```json\n{"n": 2}\n```')])
    ask(endpoint, request, json_replies="prompt")
    assert len(endpoint.bodies) == 1


def test_json_by_schema_is_the_endpoints_business() -> None:
    endpoint = Endpoint([completion("no")])
    ask(endpoint, ChatRequest(QUESTION.messages, response_schema=SCHEMA))
    assert len(endpoint.bodies) == 1


def test_the_words_for_json_follow_an_image() -> None:
    images = MemoryImages()
    content = (ImagePart(image=images.put(picture(), "png")), TextPart(text="q"))
    endpoint = Endpoint([completion('{"n": 1}')])
    ask(
        endpoint,
        ChatRequest((Message(role="user", content=content),), response_schema=SCHEMA),
        images,
        json_replies="prompt",
    )
    kinds = [part["type"] for part in endpoint.bodies[0]["messages"][0]["content"]]
    assert kinds == ["image_url", "text", "text"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"n": 1}', ""),
        ('{"n": "x"}', "[\"n\"] 'x' is not of type 'integer'"),
        ("{}", "'n' is a required property"),
        ("[1]", "it is not a JSON object"),
        ("", "it is not a JSON object"),
    ],
)
def test_why_json_does_not_fit(text: str, error: str) -> None:
    assert schema_error(text, SCHEMA).strip() == error


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://h:1/v1", "http://h:1/v1/chat/completions"),
        ("http://h:1/v1/", "http://h:1/v1/chat/completions"),
        ("http://h", "http://h/chat/completions"),
        ("https://h/v1?api-version=2", "https://h/v1/chat/completions?api-version=2"),
        ("https://h/v1/chat/completions", "https://h/v1/chat/completions"),
    ],
)
def test_the_address_of_completions(base: str, url: str) -> None:
    assert completions_url(base) == url


def test_the_id_is_the_embedded_models_wherever_it_is_served() -> None:
    planner = Planner(MemoryImages(), 0.85)
    assert ChatModel("http://127.0.0.1:1/v1", planner.id, MemoryImages()).id == planner.id
    assert ChatModel("https://elsewhere/v1", planner.id, MemoryImages(), key=KEY).id == planner.id


def test_many_at_once() -> None:
    endpoint = Endpoint([completion("hello")])

    async def speak(endpoint: Endpoint) -> list[ChatReply]:
        model = ChatModel(endpoint.base, "m", MemoryImages())
        requests = (ChatRequest(QUESTION.messages, sample_index=n) for n in range(64))
        return await asyncio.gather(*map(model.complete, requests))

    assert len(talk(endpoint, speak)) == 64
    assert sorted(body["seed"] for body in endpoint.bodies) == list(range(64))


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200), st.sampled_from([200, 201, 204, 400, 418, 500]))
def test_any_bytes_are_a_service_error(body: bytes, status: int) -> None:
    with pytest.raises(ServiceError):
        ask(Endpoint([web.Response(status=status, body=body)]))
