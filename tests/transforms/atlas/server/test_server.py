"""The server through real sockets, asked by our own client: what it says, and each fault as the client sees it."""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from fakes import MemoryImages, picture

from gog.schemas import FailureClass, ImagePart, Message, TextPart
from gog.transforms.atlas.planner.policy import Planner, planner_id
from gog.transforms.atlas.server.faults import Fault, Manners
from gog.transforms.atlas.server.server import PlannerServer, serving
from gog.transforms.services.http import call_json, close_client
from gog.transforms.services.models.chat import ChatModel
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling, ServiceError

MODEL = planner_id(0.85)


def visit(server: PlannerServer, visitor: Callable[[str], Awaitable[Any]]) -> Any:
    """What comes of a visit to the server at its base URL."""

    async def go() -> Any:
        async with serving(server) as address:
            try:
                return await visitor(address)
            finally:
                await close_client()

    return asyncio.run(go())


def images() -> tuple[MemoryImages, str]:
    store = MemoryImages()
    return store, store.put(picture(), "png")


def question(sha256: str, number: int = 0) -> ChatRequest:
    parts = (ImagePart(image=sha256), TextPart(text=f"Question: What is at the top right? Number {number}"))
    messages = (Message(role="system", content="You look."), Message(role="user", content=parts))
    tool = {"type": "function", "function": {"name": "gaze", "parameters": {"type": "object"}}}
    return ChatRequest(messages, tools=(tool,), sampling=Sampling(temperature=0.7), sample_index=number)


def faulty(fault: Fault, **more: Any) -> PlannerServer:
    return PlannerServer(Manners(shares={fault: 1.0}, **more))


def failure(server: PlannerServer) -> ServiceError:
    """How our client sees the fault."""
    store, sha256 = images()

    async def ask(address: str) -> ServiceError:
        with pytest.raises(ServiceError) as caught:
            await ChatModel(address, MODEL, store).complete(question(sha256))
        return caught.value

    error: ServiceError = visit(server, ask)
    assert list(server.statistics["faults"].values()) == [1]
    assert server.statistics["answered"] == 0
    return error


def test_it_says_what_the_embedded_planner_says() -> None:
    store, sha256 = images()
    embedded = Planner(store, 0.85)

    async def ask(address: str) -> list[ChatReply]:
        model = ChatModel(address, MODEL, store)
        assert model.id == embedded.id
        return await asyncio.gather(*(model.complete(question(sha256, number)) for number in range(20)))

    server = PlannerServer()
    replies = visit(server, ask)
    assert replies == [embedded.reply(question(sha256, number)) for number in range(20)]
    assert {reply.finish_reason for reply in replies} == {"tool_calls"}
    assert server.statistics["requests"] == server.statistics["answered"] == 20
    assert server.statistics["most_in_flight"] > 1
    assert server.statistics["in_flight"] == 0


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Fault.RATE_LIMITED, FailureClass.RATE_LIMITED),
        (Fault.SERVER_ERROR, FailureClass.SERVER),
        (Fault.OVERLOADED, FailureClass.OVERLOADED),
        (Fault.CUT, FailureClass.NETWORK),
        (Fault.CUT_BODY, FailureClass.NETWORK),
        (Fault.MALFORMED, FailureClass.MALFORMED),
        (Fault.NO_CHOICES, FailureClass.MALFORMED),
        (Fault.WRONG_TYPE, FailureClass.MALFORMED),
    ],
)
def test_each_fault_is_what_it_is_called(fault: Fault, seen: FailureClass) -> None:
    assert failure(faulty(fault)).failure is seen


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.OVERLOADED])
def test_when_to_come_again_is_said_or_not(fault: Fault) -> None:
    assert failure(faulty(fault, retry_after_s=7.0)).retry_after == 7.0
    assert failure(faulty(fault, retry_after_s=None)).retry_after is None


def test_a_truncated_reply_is_cut_in_its_arguments() -> None:
    store, sha256 = images()
    reply: ChatReply = visit(
        faulty(Fault.TRUNCATED), lambda address: ChatModel(address, MODEL, store).complete(question(sha256))
    )
    assert reply.finish_reason == "length"
    whole = Planner(store, 0.85).reply(question(sha256)).message.tool_calls[0].function.arguments
    assert reply.message.tool_calls[0].function.arguments == whole[: len(whole) // 2]


def test_a_stall_lasts_and_ends_with_its_caller() -> None:
    store, sha256 = images()
    server = faulty(Fault.STALL, stall_s=60.0)

    async def ask(address: str) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ChatModel(address, MODEL, store).complete(question(sha256)), 0.3)
        for _ in range(100):
            if not server.in_flight:
                return
            await asyncio.sleep(0.02)

    visit(server, ask)
    assert (server.in_flight, server.requests) == (0, 1)


def test_answers_take_their_time() -> None:
    store, sha256 = images()
    server = PlannerServer(Manners(latency_s=0.05, tail_share=0.5, tail_s=0.3))

    async def ask(address: str) -> list[float]:
        model = ChatModel(address, MODEL, store)

        async def one(number: int) -> float:
            began = time.monotonic()
            await model.complete(question(sha256, number))
            return time.monotonic() - began

        return [await one(number) for number in range(8)]

    taken = visit(server, ask)
    assert all(seconds >= 0.045 for seconds in taken)
    assert any(seconds >= 0.29 for seconds in taken)
    assert min(taken) < 0.29


@pytest.mark.parametrize("says_when", [True, False])
def test_the_rate_limiter_bears_its_rate_and_refuses_the_rest(says_when: bool) -> None:
    server = PlannerServer(Manners(rate_limit=5.0, retry_after_s=1.0 if says_when else None))

    async def ask(address: str) -> list[ServiceError | None]:
        model = ChatModel(address, MODEL, MemoryImages())

        async def one(number: int) -> ServiceError | None:
            try:
                await model.complete(ChatRequest((Message(role="user", content="Hi"),), sample_index=number))
            except ServiceError as error:
                return error
            return None

        return [await one(number) for number in range(30)]

    ends: list[ServiceError | None] = visit(server, ask)
    refused = [error for error in ends if error is not None]
    assert 5 <= len(ends) - len(refused) <= 20
    assert refused
    assert {error.failure for error in refused} == {FailureClass.RATE_LIMITED}
    assert {error.retry_after for error in refused} == {1.0 if says_when else None}
    assert server.statistics["faults"]["rate-limit"] == len(refused)


@pytest.mark.parametrize("name", ["planner:", "planner:skill=0.85", "planner:skill=1", MODEL])
def test_models_have_the_planners_names(name: str) -> None:
    async def ask(address: str) -> ChatReply:
        return await ChatModel(address, name, MemoryImages()).complete(ChatRequest((Message(role="user"),)))

    assert "rule-based program" in visit(PlannerServer(), ask).message.text


@pytest.mark.parametrize("name", ["gpt-9", "planner:skill=7", "planner:99?skill=1", "planner:wit=1", ""])
def test_no_other_model_is_there(name: str) -> None:
    async def ask(address: str) -> None:
        with pytest.raises(ServiceError) as caught:
            await ChatModel(address, name, MemoryImages()).complete(ChatRequest((Message(role="user"),)))
        assert caught.value.failure is FailureClass.AUTH
        assert "does not exist" in caught.value.detail

    visit(PlannerServer(), ask)


def test_what_else_can_be_asked() -> None:
    server = PlannerServer()

    async def ask(address: str) -> tuple[Any, Any, Any]:
        root = address.removesuffix("/v1")
        models = await call_json("GET", f"{address}/models")
        return models, await call_json("GET", f"{root}/health"), await call_json("GET", f"{root}/stats")

    models, health, stats = visit(server, ask)
    assert [model["id"] for model in models["data"]] == [planner_id(skill) for skill in (0.85, 1, 0.5)]
    assert health == {"status": "ok"}
    assert stats == server.statistics


@pytest.mark.parametrize("damaged", [b"\x89PNG\r\n\x1a\nnothing", b"\xff\xd8\xffno", b"RIFFxxxx"])
def test_a_damaged_picture_is_a_bad_request(damaged: bytes) -> None:
    url = "data:image/png;base64," + base64.b64encode(damaged).decode()
    part = {"type": "image_url", "image_url": {"url": url}}
    said = {"model": "planner:", "messages": [{"role": "user", "content": [part, {"type": "text", "text": "What?"}]}]}

    async def ask(address: str) -> ServiceError:
        with pytest.raises(ServiceError) as caught:
            await call_json("POST", f"{address}/chat/completions", payload=said)
        return caught.value

    error = visit(PlannerServer(), ask)
    assert error.failure is FailureClass.BAD_REQUEST
    assert "the image cannot be read" in error.detail


def test_a_request_that_is_too_long_is_refused() -> None:
    server = PlannerServer()

    async def ask(address: str) -> ServiceError:
        long = {"model": "planner:", "messages": [{"role": "user", "content": "x" * (65 << 20)}]}
        with pytest.raises(ServiceError) as caught:
            await call_json("POST", f"{address}/chat/completions", payload=long)
        return caught.value

    error = visit(server, ask)
    assert error.failure in {FailureClass.BAD_REQUEST, FailureClass.NETWORK}
    assert server.answered == 0


def asked(**changes: Any) -> Any:
    """Status and body of a request for a reply as any client makes it."""
    parts = [{"type": "text", "text": "Question: What is at the top right?"}]
    picture_url = "data:image/png;base64," + base64.b64encode(picture()).decode()
    parts.insert(0, {"type": "image_url", "image_url": {"url": changes.pop("picture", picture_url)}})  # type: ignore[dict-item]
    tool = {"type": "function", "function": {"name": "gaze", "parameters": {"type": "object"}}}
    sent = {"model": MODEL, "messages": [{"role": "user", "content": parts}], "tools": [tool]} | changes
    path, method = sent.pop("path", "/chat/completions"), sent.pop("method", "POST")

    async def go(address: str) -> Any:
        async with aiohttp.ClientSession() as session, session.request(method, address + path, json=sent) as response:
            return response.status, await response.text()

    return visit(PlannerServer(), go)


def test_choices_and_a_stream_say_the_same() -> None:
    status, body = asked(n=3, seed=1)
    choices = json.loads(body)["choices"]
    assert (status, [choice["index"] for choice in choices]) == (200, [0, 1, 2])
    status, body = asked(n=3, seed=1, stream=True, stream_options={"include_usage": True})
    assert status == 200
    events = [line.removeprefix("data: ") for line in body.splitlines() if line]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    for choice in choices:
        parts = [part for chunk in chunks for part in chunk["choices"] if part["index"] == choice["index"]]
        assert (parts[0]["delta"]["content"], parts[-1]["finish_reason"]) == (
            choice["message"]["content"],
            choice["finish_reason"],
        )


def test_stop_and_limits_are_kept() -> None:
    whole = json.loads(asked(seed=1, tools=[])[1])["choices"][0]
    assert "<answer>" in whole["message"]["content"]
    ended = json.loads(asked(seed=1, tools=[], stop=["</answer>"])[1])["choices"][0]
    assert ended["message"]["content"] == whole["message"]["content"].removesuffix("</answer>")
    short = json.loads(asked(seed=1, tools=[], max_completion_tokens=1)[1])
    assert (short["choices"][0]["finish_reason"], short["usage"]["completion_tokens"]) == ("length", 1)


BROKEN = "data:image/png;base64," + base64.b64encode(picture()[:60]).decode()


@pytest.mark.parametrize(
    ("status", "said", "changes"),
    [
        (400, "cannot be read", {"picture": BROKEN}),
        (400, "logprobs", {"logprobs": True}),
        (400, "tool_choice", {"tool_choice": "required"}),
        (400, "response_format", {"response_format": {"type": "json_object"}}),
        (404, "does not exist", {"model": "gpt-9"}),
        (404, "/v1/chat/completions", {"path": "/responses"}),
        (405, "/v1/chat/completions", {"method": "GET"}),
    ],
)
def test_errors_are_openais_json(status: int, said: str, changes: dict[str, Any]) -> None:
    came, body = asked(**changes)
    error = json.loads(body)["error"]
    assert came == status
    assert said in error["message"]
    assert set(error) == {"message", "type", "param", "code"}
