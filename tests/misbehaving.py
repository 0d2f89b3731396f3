"""Endpoints that misbehave as those of others do, in front of the planner: real sockets, on a thread of their own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from serving import SKILLS

from gog.transforms.atlas.planner.policy import planner_id
from gog.transforms.atlas.server.server import PlannerServer

Answer = Any
"""JSON of status 200, a pair of a status and JSON, or None: the planner answers."""
Manner = Callable[[web.Request, dict[str, Any]], Answer]
"""What is answered to a request of that body."""


@dataclass
class Misbehaving:
    """A server: its base URL, how it behaves, which may be changed at any time, and what it was asked."""

    manner: Manner
    base: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def address(self, role: str = "teacher") -> str:
        """The address of the planner of a role behind it."""
        return f"{self.base}#{planner_id(SKILLS[role])}"


@contextmanager
def misbehaving(manner: Manner) -> Iterator[Misbehaving]:
    """Such a server meanwhile."""
    server, planner, loop = Misbehaving(manner), PlannerServer(), asyncio.new_event_loop()

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        server.bodies.append(body)
        told = server.manner(request, body)
        if told is None:
            return await planner._chat(request)
        status, answered = told if isinstance(told, tuple) else (200, told)
        return web.json_response(answered, status=status)

    async def begin() -> TestServer:
        app = web.Application(client_max_size=1 << 27)
        app.router.add_post("/v1/chat/completions", answer)
        started = TestServer(app)
        await started.start_server()
        return started

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    started = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    server.base = str(started.make_url("/v1"))
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(started.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
