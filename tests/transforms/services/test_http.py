"""The HTTP client against real sockets."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gog.schemas import FailureClass
from gog.transforms.services.http import call, call_json, close_client
from gog.transforms.services.protocols import ServiceError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def ask(handler: Handler, **options: Any) -> Any:
    """The JSON answer of a server with that handler."""

    async def go() -> Any:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        async with TestServer(app) as server:
            try:
                return await call_json("POST", str(server.make_url("/x")), payload={"a": "ü"}, **options)
            finally:
                await close_client()

    return asyncio.run(go())


def failing(handler: Handler, **options: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        ask(handler, **options)
    return caught.value


def test_json_goes_both_ways() -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"got": await request.json(), "type": request.headers["Content-Type"]})

    assert ask(echo) == {"got": {"a": "ü"}, "type": "application/json"}


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (429, FailureClass.RATE_LIMITED),
        (503, FailureClass.OVERLOADED),
        (529, FailureClass.OVERLOADED),
        (500, FailureClass.SERVER),
        (502, FailureClass.SERVER),
        (504, FailureClass.TIMEOUT),
        (401, FailureClass.AUTH),
        (403, FailureClass.AUTH),
        (404, FailureClass.NOT_FOUND),
        (400, FailureClass.BAD_REQUEST),
        (302, FailureClass.BAD_REQUEST),
    ],
)
def test_a_status_is_a_failure_class(status: int, failure: FailureClass) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status, text="no\nthank you", headers={"Location": "http://127.0.0.1:9/"})

    error = failing(refuse)
    assert error.failure is failure
    assert error.detail == f"HTTP {status}: no thank you"


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None), ("", None)])
def test_retry_after_is_in_seconds(header: str, seconds: float | None) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": header})

    assert failing(refuse).retry_after == seconds


def test_retry_after_may_be_a_date() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})

    assert failing(refuse).retry_after == 0.0


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    async def babble(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    assert failing(babble).failure is FailureClass.MALFORMED


def test_a_body_is_read_to_its_limit_after_decompression() -> None:
    async def bomb(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"})

    error = failing(bomb, limit_bytes=100_000)
    assert error.failure is FailureClass.MALFORMED
    assert "longer than 100,000 bytes" in error.detail


def test_a_connection_that_is_cut_is_the_networks_failure() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return response

    assert failing(cut).failure is FailureClass.NETWORK


def test_nobody_at_home_is_the_networks_failure() -> None:
    async def go() -> None:
        try:
            await call("GET", "http://127.0.0.1:9/")
        finally:
            await close_client()

    with pytest.raises(ServiceError) as caught:
        asyncio.run(go())
    assert caught.value.failure is FailureClass.NETWORK


def test_a_key_is_in_no_error() -> None:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(status=400, text=f"your key {request.headers['X-Key']} is bad")

    error = failing(tell, headers={"X-Key": "sk-planted"}, secrets=("sk-planted",))
    assert "sk-planted" not in str(error)
    assert "your key *** is bad" in error.detail


ODD = "pla/nted+key=of:16,ch aracters"


def test_a_key_in_an_address_is_in_no_error() -> None:
    """aiohttp tells the address, with the key encoded, where an answer is no HTTP."""

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 banana\r\n\r\n")
        await writer.drain()
        writer.close()

    async def go() -> None:
        server = await asyncio.start_server(garbage, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            try:
                await call("GET", f"http://127.0.0.1:{port}/find", params={"api_key": ODD}, secrets=(ODD,))
            finally:
                await close_client()

    with pytest.raises(ServiceError) as caught:
        asyncio.run(go())
    assert "nted" not in str(caught.value)
    assert "api_key=***" in str(caught.value)


def test_a_key_that_an_answer_repeats_is_cut_out_of_it() -> None:
    async def repeat(request: web.Request) -> web.Response:
        return web.json_response({"sent": request.headers["X-Key"]})

    assert ask(repeat, headers={"X-Key": ODD}, secrets=(ODD,))["sent"] == "***"
    assert ask(repeat, headers={"X-Key": "EMPTY"}, secrets=("EMPTY",))["sent"] == "EMPTY", "a word, and no key"


def test_what_is_no_unicode_is_sent_as_a_question_mark() -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response(await request.json())

    async def go() -> Any:
        app = web.Application()
        app.router.add_post("/x", echo)
        async with TestServer(app) as server:
            try:
                return await call_json("POST", str(server.make_url("/x")), payload={"a": "x\ud800y"})
            finally:
                await close_client()

    assert asyncio.run(go()) == {"a": "x?y"}
