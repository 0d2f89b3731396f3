"""Jina's Reader: its wire format, as its documentation has it."""

from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values
from websites import Handler, failure, refused, run, site

from gog.schemas import FailureClass
from gog.transforms.services.pages.jina import JinaReader, _page
from gog.transforms.services.protocols import Page, ServiceError

REPLY = {
    "code": 200,
    "status": 20000,
    "data": {
        "title": "Chad",
        "description": "",
        "url": "https://example.org/chad",
        "content": "# Chad\n\nIts [capital](https://example.org/n) is N'Djamena. ![a map](https://example.org/m.png)",
        "usage": {"tokens": 25},
    },
}


async def read(answer: Handler, key: str = "", url: str = "https://example.org/chad") -> Page:
    async with site({"/": answer}) as base:
        return await JinaReader(key, url=base).read(url)


def test_the_request_and_the_reply() -> None:
    seen: dict[str, Any] = {}

    async def answer(request: web.Request) -> web.Response:
        seen.update(method=request.method, body=await request.json(), headers=dict(request.headers))
        return web.json_response(REPLY)

    page = run(read(answer, "jina-planted", "https://example.org/chad#history"))
    assert page == Page("https://example.org/chad", "# Chad\n\nIts capital is N'Djamena. a map")
    assert (seen["method"], seen["body"]) == ("POST", {"url": "https://example.org/chad"})
    assert seen["headers"]["Authorization"] == "Bearer jina-planted"
    assert seen["headers"]["Accept"] == "application/json"
    run(read(answer))
    assert "Authorization" not in seen["headers"]


def test_addresses_that_are_not_public_are_not_sent() -> None:
    async def answer(request: web.Request) -> web.Response:
        raise AssertionError("sent")

    for url in ("http://127.0.0.1/", "http://10.0.0.1/x", "file:///etc/passwd", "http://u:p@example.org/"):
        assert refused(read(answer, url=url))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, FailureClass.AUTH),
        (402, FailureClass.AUTH),
        (429, FailureClass.RATE_LIMITED),
        (503, FailureClass.OVERLOADED),
    ],
)
def test_failures(status: int, kind: FailureClass) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"message": f"key {request.headers['Authorization']} is bad"}, status=status)

    error = failure(read(answer, "jina-planted"))
    assert error.failure is kind
    assert "planted" not in error.detail


@given(
    json_values | st.fixed_dictionaries({"data": st.fixed_dictionaries({"content": json_values, "url": json_values})})
)
def test_any_reply_is_a_page_or_malformed(reply: Any) -> None:
    try:
        page = _page(reply, "https://example.org/")
    except ServiceError as error:
        if error.failure is not FailureClass.MALFORMED:
            raise
    else:
        assert page.url.startswith("http")
