"""The server of a checkpoint: batches of what waits, errors as an endpoint says them, spoken to by our own client."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from fakes import HEIGHT, WIDTH, MemoryImages, answered, picture

from gog.schemas import WHOLE, EpisodeImage, FailureClass, Message
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start, system_prompt
from gog.transforms.services.http import close_client
from gog.transforms.services.models.chat import ChatModel
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling, ServiceError
from gog_train.generate import Prompt, PromptError
from gog_train.serve import CheckpointServer, main

NAME = "models/gog/merged"


class Parrot:
    """Answers with the sample index; a batch of more than `most` has no room."""

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.seen: list[int] = []
        self.images: list[int] = []

    def prompt(self, request: ChatRequest, images: Mapping[str, bytes]) -> Prompt:
        if request.messages[-1].text == "bad":
            raise PromptError("this model's maximum context length is 5 tokens, the prompt has 9")
        self.images.append(len(images))
        return Prompt({}, request.messages[-1].text, 0, request.sampling, request.sample_index)

    def replies(self, prompts: Sequence[Prompt]) -> list[ChatReply]:
        self.seen.append(len(prompts))
        if len(prompts) > self.most or any(prompt.text == "crash" for prompt in prompts):
            raise RuntimeError("CUDA out of memory")
        return [ChatReply(answered(str(prompt.seed)), "stop", 11, prompt.sampling.max_tokens) for prompt in prompts]


def talk(server: CheckpointServer, speak: Callable[[str], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        async with TestServer(server.application()) as listening:
            try:
                return await speak(str(listening.make_url("/v1")))
            finally:
                await close_client()

    return asyncio.run(go())


def question(text: str = "hi", index: int = 0, **more: Any) -> ChatRequest:
    return ChatRequest((Message(role="user", content=text),), (), Sampling(1.0, 1.0, 9), index, **more)


def test_what_waits_is_answered_together_and_each_gets_its_own() -> None:
    parrot = Parrot()
    server = CheckpointServer(parrot, NAME, batch=4)

    async def speak(base: str) -> list[ChatReply]:
        model = ChatModel(base, NAME, MemoryImages())
        return await asyncio.gather(*(model.complete(question(index=index)) for index in range(10)))

    replies = talk(server, speak)
    assert [reply.message.text for reply in replies] == [f"<answer>{index}</answer>" for index in range(10)]
    assert {(reply.prompt_tokens, reply.completion_tokens) for reply in replies} == {(11, 9)}
    assert sum(parrot.seen) == 10
    assert max(parrot.seen) <= 4
    assert len(parrot.seen) <= 5, "they were not answered one by one"


@pytest.mark.parametrize("most", [1, 100])
def test_one_that_fails_takes_no_other_with_it(most: int) -> None:
    server = CheckpointServer(Parrot(most), NAME, batch=8)

    async def speak(base: str) -> list[Any]:
        model = ChatModel(base, NAME, MemoryImages())
        texts = ["a", "crash", "b", "bad"]
        return await asyncio.gather(*(model.complete(question(text)) for text in texts), return_exceptions=True)

    one, crashed, other, long = talk(server, speak)
    assert isinstance(one, ChatReply)
    assert isinstance(other, ChatReply)
    assert isinstance(crashed, ServiceError)
    assert crashed.failure is FailureClass.SERVER
    assert "out of memory" in crashed.detail
    assert isinstance(long, ServiceError)
    assert long.failure is FailureClass.BAD_REQUEST
    assert "too long for the endpoint" in long.detail


def test_images_and_tools_of_an_episode_go_through() -> None:
    parrot, images, settings = Parrot(), MemoryImages(), EpisodeSettings()
    image = EpisodeImage(sha256=images.put(picture(), "png"), width=WIDTH, height=HEIGHT, box=WHOLE)
    begun = start(settings, "What flag is it?", [image], system_prompt(settings)[0])
    request = ChatRequest(begun.messages, offered_tools(settings), Sampling(1.0, 1.0, 9), 5)
    reply = talk(CheckpointServer(parrot, NAME, 1), lambda base: ChatModel(base, NAME, images).complete(request))
    assert reply.message.text == "<answer>5</answer>"
    assert parrot.images == [1]


def test_what_is_no_request_is_told_so() -> None:
    server = CheckpointServer(Parrot(), NAME, 1)

    async def speak(base: str) -> list[tuple[int, str]]:
        found = []
        async with aiohttp.ClientSession() as session:
            url = f"{base}/chat/completions"
            message = [{"role": "user", "content": "x"}]
            for body in ("{", {"model": "other", "messages": message}, {"model": NAME, "messages": [], "n": 2}):
                data = body if isinstance(body, str) else None
                async with session.post(url, json=None if data else body, data=data) as answer:
                    found.append((answer.status, (await answer.json())["error"]["message"]))
            for path in ("/v1/models", "/health"):
                async with session.get(base.removesuffix("/v1") + path) as answer:
                    found.append((answer.status, await answer.text()))
        return found

    bad, other, empty, models, health = talk(server, speak)
    assert (bad[0], other[0], empty[0]) == (400, 404, 400)
    assert NAME in other[1]
    assert NAME in models[1]
    assert health[0] == 200


def test_whoever_hangs_up_is_not_answered() -> None:
    parrot = Parrot()
    server = CheckpointServer(parrot, NAME, 1, gather_s=0.3)

    async def speak(base: str) -> None:
        model = ChatModel(base, NAME, MemoryImages())
        gone = asyncio.create_task(model.complete(question("gone")))
        while not server._waiting.qsize() and not parrot.images:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert (await model.complete(question("stays"))).message.text == "<answer>0</answer>"

    talk(server, speak)
    assert sum(parrot.seen) == 1


def test_a_folder_that_is_no_checkpoint_ends_with_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--checkpoint", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path} has no gog.json")


def test_choices_streams_stops_and_errors_are_as_other_servers_have_them() -> None:
    asked = {"model": NAME, "messages": [{"role": "user", "content": "hi"}]}
    answers: list[tuple[int, str]] = []

    async def speak(base: str) -> None:
        async with aiohttp.ClientSession() as session:
            for more in (
                {"n": 2, "seed": 3},
                {"n": 2, "seed": 3, "stream": True},
                {"seed": 345, "stop": "4"},
                {"logprobs": True},
                {"response_format": {"type": "json_object"}},
            ):
                async with session.post(f"{base}/chat/completions", json=asked | more) as response:
                    answers.append((response.status, await response.text()))
            async with session.post(f"{base}/completions", json=asked) as response:
                answers.append((response.status, await response.text()))

    talk(CheckpointServer(Parrot(), NAME, 8), speak)
    assert [status for status, _ in answers] == [200, 200, 200, 400, 400, 404]
    several, stream, stopped, *errors = [body for _, body in answers]
    said = [choice["message"]["content"] for choice in json.loads(several)["choices"]]
    assert [text.count("3") or text.count("4") for text in said] == [1, 1]
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    assert [part["delta"]["content"] for event in events for part in event["choices"] if part["delta"]] == said
    assert "4" not in json.loads(stopped)["choices"][0]["message"]["content"]
    assert all(json.loads(body)["error"]["message"] for body in errors)
