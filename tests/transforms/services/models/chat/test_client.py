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
from gog.transforms.atlas.planner.policy import Planner
from gog.transforms.services.models.chat import ChatModel, ModelSettings
from gog.transforms.services.models.chat.client import completions_url
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling, ServiceError

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


@pytest.mark.parametrize("way", ["schema", "object", "prompt"])
def test_json_is_asked_for_by_the_endpoints_means_or_in_words(way: str) -> None:
    endpoint = Endpoint([completion("not at all")])
    assert ask(endpoint, ChatRequest(QUESTION.messages, response_schema=SCHEMA), json_replies=way).message.text
    (body,) = endpoint.bodies
    assert ("response_format" in body) == (way != "prompt")
    words = json.dumps(SCHEMA, separators=(",", ":"), sort_keys=True)
    assert (words in body["messages"][-1]["content"]) == (way != "schema")
    assert body["messages"][-1]["content"].startswith("hi")


def test_who_thinks_first_gets_room_for_it() -> None:
    endpoint = Endpoint([completion("hello")])
    request = ChatRequest(QUESTION.messages, sampling=Sampling(max_tokens=512))
    ask(endpoint, request, thinking_tokens=4000)
    ask(endpoint, request, thinking_tokens=100, length_key="max_completion_tokens")
    ask(endpoint, request)
    limits = [body.get("max_tokens", body.get("max_completion_tokens")) for body in endpoint.bodies]
    assert limits == [4512, 612, 512]


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
