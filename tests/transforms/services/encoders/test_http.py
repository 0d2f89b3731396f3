"""Servers that embed: texts many at once, pictures as data URLs, answers that are none."""

import asyncio
import base64
import io
import json
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from gog.schemas import FailureClass
from gog.transforms.services.encoders.encoder import Encoder
from gog.transforms.services.http import close_client
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import Opening, ProviderError
from gog.transforms.services.providers import ENCODERS, open_service

Speak = Callable[[Encoder], Awaitable[Any]]


def talk(answer: Callable[[dict[str, Any]], Any], speak: Speak) -> tuple[Any, list[dict[str, Any]], list[str]]:
    """What came of it, the bodies that were sent, and their keys."""
    bodies, keys = list[dict[str, Any]](), list[str]()

    async def handle(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        keys.append(request.headers.get("Authorization", ""))
        told = answer(bodies[-1])
        return told if isinstance(told, web.Response) else web.Response(text=json.dumps(told))

    async def go() -> Any:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/v1/embeddings", handle)
        async with TestServer(app) as server:
            encoder = open_service(ENCODERS, Opening(f"{server.make_url('/v1')}#clip"))
            try:
                return await speak(encoder)
            finally:
                await close_client()

    return asyncio.run(go()), bodies, keys


def of_texts(body: dict[str, Any]) -> dict[str, Any]:
    """The vectors last first, each with its number."""
    entries = [{"index": at, "embedding": [len(text), 1]} for at, text in enumerate(body["input"])]
    return {"data": entries[::-1]}


def of_picture(body: dict[str, Any]) -> dict[str, Any]:
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    image = Image.open(io.BytesIO(base64.b64decode(url.partition("base64,")[2])))
    return {"data": [{"embedding": [image.width, image.height]}]}


def test_texts_go_many_in_one_request_and_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOG_ENCODER_KEY", "a-key-of-the-tests")
    texts = ["x" * n for n in range(1, 101)]
    rows, bodies, keys = talk(of_texts, lambda encoder: encoder.texts(texts, asks=False))
    assert [len(body["input"]) for body in bodies] == [64, 36]
    assert {body["model"] for body in bodies} == {"clip"}
    assert set(keys) == {"Bearer a-key-of-the-tests"}
    assert np.allclose(rows[:, 0] / rows[:, 1], range(1, 101), atol=0.01)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)


def test_pictures_go_as_data_urls_and_none_larger_than_it_is_seen() -> None:
    pictures = [Image.new("RGB", size) for size in ((40, 30), (3000, 1500))]
    rows, bodies, _ = talk(of_picture, lambda encoder: encoder.pictures(pictures))
    assert np.allclose(rows, [[0.8, 0.6], [0.894, 0.447]], atol=0.01)
    assert len(bodies) == 2


@pytest.mark.parametrize(
    ("told", "failure"),
    [
        ({"data": []}, FailureClass.MALFORMED),
        ({"error": "x"}, FailureClass.MALFORMED),
        ({"data": [{"embedding": [0, 0]}]}, FailureClass.MALFORMED),
        ({"data": [{"embedding": [1, None]}]}, FailureClass.MALFORMED),
        ({"data": [{"embedding": "AAAA"}]}, FailureClass.MALFORMED),
        ({"data": [{"embedding": [1]}, {"embedding": [1, 2]}]}, FailureClass.MALFORMED),
        ([1], FailureClass.MALFORMED),
        (web.Response(status=429), FailureClass.RATE_LIMITED),
        (web.Response(status=401), FailureClass.AUTH),
    ],
)
def test_an_answer_that_is_none_is_a_failure_and_never_a_vector(told: Any, failure: FailureClass) -> None:
    with pytest.raises(ServiceError) as error:
        talk(lambda body: told, lambda encoder: encoder.texts(["a"], asks=True))
    assert error.value.failure is failure


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://127.0.0.1:1/v1", "the model behind a #"),
        ("http://127.0.0.1:1/v1#", "the model behind a #"),
        ("http://user:secret@host/v1#m", "GOG_ENCODER_KEY"),
        ("https://host/v1?token=secret#m", "GOG_ENCODER_KEY"),
    ],
)
def test_addresses_that_are_none_show_no_key(address: str, says: str) -> None:
    with pytest.raises(ProviderError, match=says) as error:
        open_service(ENCODERS, Opening(address))
    assert "secret" not in str(error.value)
