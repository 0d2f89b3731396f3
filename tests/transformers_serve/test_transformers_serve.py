"""`transformers serve` spoken to for real: a Qwen2.5-VL of random weights on the CPU. Its replies are garbage."""

import asyncio
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import HEIGHT, WIDTH, MemoryImages, called, picture
from runs import atlas, check_nothing_lost, number, select

from gog.pipelines.connect.services import close_stores
from gog.pipelines.steps.run import run
from gog.schemas import WHOLE, EpisodeImage, FailureClass, ImagePart, Message, TextPart
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start, system_prompt
from gog.transforms.services.http import close_client
from gog.transforms.services.models import process_guard
from gog.transforms.services.models.chat import ChatModel, ModelSettings
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling, ServiceError

pytestmark = pytest.mark.slow

UP_WITHIN_S = 120


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Base URL and name of the served model."""
    folder = tmp_path_factory.mktemp("tiny")
    subprocess.run([sys.executable, str(Path(__file__).with_name("tiny_vlm.py")), str(folder)], check=True, timeout=120)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--host", "127.0.0.1"]
    serve += ["--port", str(port), "--device", "cpu", "--trust-remote-code"]
    log = (folder / "log").open("wb")
    with subprocess.Popen(
        [sys.executable, "-I", process_guard.__file__, str(os.getpid()), "5", *serve], stdout=log, stderr=log
    ) as server:
        try:
            wait_for_health(server, port)
            yield f"http://127.0.0.1:{port}/v1", str(folder)
        except TimeoutError:
            pytest.fail((folder / "log").read_text("utf-8", "replace")[-2000:])
        finally:
            server.terminate()
            log.close()


def wait_for_health(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Return when the server is up; `TimeoutError` when it does not come up or ends."""
    last = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < last and server.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
        finally:
            connection.close()
    raise TimeoutError


def episode(images: MemoryImages) -> ChatRequest:
    """An episode in its second turn, with an image in the question and one in a tool's result."""
    sha256, settings = images.put(picture(), "png"), EpisodeSettings()
    image = EpisodeImage(sha256=sha256, width=WIDTH, height=HEIGHT, box=WHOLE)
    begun = start(settings, "What flag is it?", [image], system_prompt(settings)[0])
    result = Message(role="tool", content=(ImagePart(image=sha256), TextPart(text="a crop")), tool_call_id="c")
    turn = called("gaze", {"bbox_2d": [1, 2, 300, 400]}, think="Look closer.", call_id="c")
    return ChatRequest((*begun.messages, turn, result), offered_tools(settings), Sampling(1.0, 1.0, 24), 1)


def ask(model: tuple[str, str], name: str = "", without_images: bool = False, **settings: Any) -> ChatReply:
    images = MemoryImages()
    request = episode(images)
    if without_images:
        plain = (Message(role=m.role, content=m.text) for m in request.messages if m.role in ("system", "user"))
        request = ChatRequest(tuple(plain), request.tools, request.sampling)

    async def go() -> ChatReply:
        try:
            client = ChatModel(model[0], name or model[1], images, ModelSettings.model_validate(settings))
            return await client.complete(request)
        finally:
            await close_client()

    return asyncio.run(go())


@pytest.mark.parametrize("settings", [{}, {"tool_images": "user"}, {"family": "qwen2.5-vl", "max_pixels": 3136}])
def test_images_and_tools_go_through(model: tuple[str, str], settings: dict[str, Any]) -> None:
    reply = ask(model, **settings)
    assert 1 <= reply.completion_tokens <= 24
    assert reply.prompt_tokens > ask(model, without_images=True).prompt_tokens + 8, "four visual tokens an image"
    assert ask(model, **settings) == reply, "the seed decides"


def test_what_it_does_not_take_is_the_set_ups_fault(model: tuple[str, str]) -> None:
    options: dict[str, Any]
    for options in ({"body": {"top_k": 5}}, {"name": "another"}):
        with pytest.raises(ServiceError) as caught:
            ask(model, **options)
        assert caught.value.failure is FailureClass.AUTH


def test_every_episode_ends_in_an_orderly_way(model: tuple[str, str], tmp_path: Path) -> None:
    address, rollout = f"{model[0]}#{model[1]}", {"max_tokens": 48}
    config = atlas(
        tmp_path / "lake",
        count=4,
        shard_size=4,
        teacher=address,
        labeller=address,
        screen={"passes": 1, "max_tokens": 48},
        synthesize={"rollouts": 2, "composed": 1, "rollout": rollout},
        label={"k": 2, "rollout": rollout | {"hints": False}},
        window=4,
    )
    try:
        run(config)
    finally:
        close_stores()
    check_nothing_lost(config, 4)
    failed = select(config, "SELECT purpose, failure FROM events WHERE failure IS NOT NULL")
    assert failed == []
    assert number(config, "SELECT count(*) FROM rejects WHERE stage = 'synthesize'") > 0
    assert number(config, "SELECT sum(prompt_tokens) FROM events") > 1000
