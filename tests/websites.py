"""Web servers on this machine that stand in for sites of the web."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gog.schemas import FailureClass
from gog.transforms.services.http import close_client
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.public_addresses import Address

T = TypeVar("T")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def anywhere(address: Address, port: int) -> bool:
    """Lets a fetcher come to the servers of a test."""
    return True


@asynccontextmanager
async def site(pages: Mapping[str, Handler | web.Response | str]) -> AsyncIterator[str]:
    """A server with these pages by path; `*` answers for all others, 404 where there is none. Yields its address."""

    async def answer(request: web.Request) -> web.StreamResponse:
        page = pages.get(request.path, pages.get("*"))
        if page is None:
            return web.Response(status=404)
        if isinstance(page, str):
            return web.Response(text=page, content_type="text/html")
        if isinstance(page, web.Response):
            return web.Response(body=page.body, status=page.status, headers=page.headers)
        return await page(request)

    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


def moved(location: str, status: int = 302) -> Handler:
    """Sends on to another place."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": location})

    return answer


def endless(part: bytes = b"x" * 65536, headers: Mapping[str, str] | None = None, pause: float = 0.0) -> Handler:
    """A body that never ends."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/html"} | dict(headers or {}))
        with suppress(ConnectionError):
            await response.prepare(request)
            while True:
                await response.write(part)
                await asyncio.sleep(pause)
        return response

    return answer


def run(work: Coroutine[Any, Any, T]) -> T:
    """Its result; the loop's HTTP client is closed afterwards."""

    async def go() -> T:
        try:
            return await work
        finally:
            await close_client()

    return asyncio.run(go())


def failure(work: Coroutine[Any, Any, Any]) -> ServiceError:
    """The failure that it ends with."""
    with pytest.raises(ServiceError) as caught:
        run(work)
    return caught.value


def refused(work: Coroutine[Any, Any, Any]) -> str:
    """Why it was refused for good."""
    error = failure(work)
    assert error.failure is FailureClass.BAD_REQUEST
    return error.detail
