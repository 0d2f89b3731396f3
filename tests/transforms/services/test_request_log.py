"""Requests that are no HTTP are told without tracebacks; what is a bug of ours is told with one."""

import asyncio
import logging
import socket

import pytest
from aiohttp import web

from gog.transforms.services.models.chat.web import errors_as_json
from gog.transforms.services.request_log import REQUESTS


async def _bug(request: web.Request) -> web.Response:
    await request.read()
    raise KeyError("ours")


def answers(*requests: bytes) -> list[bytes]:
    """What a server whose handlers have a bug answers to these bytes."""

    async def go() -> list[bytes]:
        application = web.Application(middlewares=[errors_as_json])
        application.router.add_post("/", _bug)
        runner = web.AppRunner(application, access_log=None, logger=REQUESTS)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return [await asyncio.to_thread(_sent, runner.addresses[0][1], data) for data in requests]
        finally:
            await runner.cleanup()

    return asyncio.run(go())


def _sent(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(data)
        return connection.recv(200)


def test_what_is_no_http_is_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "gog.requests")
    gzip = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"
    for answer in answers(
        b"\x16\x03\x01garbage\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET http://[::1 HTTP/1.1\r\n\r\n", gzip
    ):
        assert b" 400 " in answer.splitlines()[0]
    assert "Traceback" not in caplog.text
    assert "no HTTP" in caplog.text


def test_a_bug_is_told(caplog: pytest.LogCaptureFixture) -> None:
    (answer,) = answers(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert b" 500 " in answer.splitlines()[0]
    assert "KeyError: 'ours'" in caplog.text
