"""A detector behind HTTP, against real sockets."""

import asyncio
import base64
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fakes import MemoryImages
from hypothesis import given
from hypothesis import strategies as st
from strategies import boxes

from gog.schemas import Box, FailureClass
from gog.transforms.services.detectors.http import RemoteDetector, read_detections
from gog.transforms.services.detectors.settings import DetectSettings
from gog.transforms.services.http import close_client
from gog.transforms.services.protocols import Detection, Detector, ServiceError

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
ANSWER = {
    "detections": [
        {"box": [0.1, 0.1, 0.4, 0.5], "label": "clock", "score": 0.6},
        {"box": [0.5, 0.5, 0.9, 0.9], "label": "flag", "score": 0.9},
        {"box": [0.5, 0.5, 0.4, 0.9], "label": "inside out", "score": 0.9},
        {"box": [0.5, 0.5], "label": "half"},
        {"box": [0, 0, 1, 1], "label": "unsure", "score": 0.1},
        "nonsense",
    ]
}


def detect(answer: Any, key: str = "") -> tuple[tuple[Detection, ...], dict[str, Any], str]:
    """What a server that answers so makes of a call, what it was sent, and the authorization."""
    sent: list[Any] = []

    async def handle(request: web.Request) -> web.Response:
        sent.append((await request.json(), request.headers.get("Authorization", "")))
        return web.json_response(answer)

    async def go() -> tuple[Detection, ...]:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/detect", handle)
        images = MemoryImages()
        sha256 = images.put(PNG, "png")
        async with TestServer(app) as server:
            detector: Detector = RemoteDetector(f"{server.make_url('/detect')}#v2", images, DetectSettings(), key)
            try:
                return await detector.detect(sha256, ("clock",))
            finally:
                await close_client()

    return asyncio.run(go()), *sent[0]


def test_boxes_come_best_first_and_nonsense_is_left_out() -> None:
    found, sent, authorization = detect(ANSWER, "planted")
    assert found == (
        Detection(Box(0.5, 0.5, 0.9, 0.9), "flag", 0.9),
        Detection(Box(0.1, 0.1, 0.4, 0.5), "clock", 0.6),
    )
    assert base64.b64decode(sent.pop("image")) == PNG
    assert sent == {"media_type": "image/png", "phrases": ["clock"], "limit": 24}
    assert authorization == "Bearer planted"


@pytest.mark.parametrize("answer", [[], {}, {"detections": {}}, None, 7])
def test_a_reply_without_a_list_is_malformed(answer: Any) -> None:
    with pytest.raises(ServiceError) as caught:
        detect(answer)
    assert caught.value.failure is FailureClass.MALFORMED


def test_a_picture_that_is_not_there() -> None:
    detector = RemoteDetector("http://127.0.0.1:9/detect", MemoryImages(), DetectSettings())
    with pytest.raises(ServiceError) as caught:
        asyncio.run(detector.detect("0" * 64, ()))
    assert caught.value.failure is FailureClass.NOT_FOUND


def test_the_id_has_the_version_and_what_changes_answers_and_no_key() -> None:
    detector = RemoteDetector("http://me:pass@host:80/d#v2", MemoryImages(), DetectSettings(confidence=0.5), "planted")
    assert detector.id == "detector:host/d@v2,confidence=0.5"


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["box", "label", "score"]), inner),
    max_leaves=20,
)


near_detections = st.fixed_dictionaries(
    {"box": boxes().map(list) | st.lists(st.floats(-0.1, 1.1), min_size=4, max_size=4)},
    optional={"score": st.floats(0, 1.1) | json_values, "label": st.text() | json_values},
)


@given(st.lists(json_values | near_detections, max_size=5))
def test_any_list_gives_detections(entries: list[Any]) -> None:
    for one in read_detections({"detections": entries}, DetectSettings()):
        assert Box.checked(*one.box) == one.box
        assert 0.25 <= one.score <= 1
