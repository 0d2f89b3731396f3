"""A chat endpoint on the loopback that answers as it is told."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.test_utils import TestServer

from gog.transforms.services.http import close_client

T = TypeVar("T")
Told = Any
"""What it answers: JSON of status 200, or a `web.Response`."""


@dataclass
class Endpoint:
    """Answers the requests in the order of its script, the last one again and again."""

    script: list[Told]
    base: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The next answer."""
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        told = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(told, web.Response):
            return web.Response(status=told.status, body=told.body, headers={"Content-Type": "application/json"})
        return web.Response(text=json.dumps(told), content_type="application/json")


def talk(endpoint: Endpoint, speak: Callable[[Endpoint], Coroutine[Any, Any, T]]) -> T:
    """Run `speak` while the endpoint listens."""

    async def go() -> T:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/v1/chat/completions", endpoint.answer)
        async with TestServer(app) as server:
            endpoint.base = str(server.make_url("/v1"))
            try:
                return await speak(endpoint)
            finally:
                await close_client()

    return asyncio.run(go())


def completion(content: Any = "hello", *, finish: Any = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    """A plain reply."""
    said = {"role": "assistant", "content": content} | message
    return {
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3} if usage is None else usage,
    }


def refusal(status: int, message: str) -> web.Response:
    """An error as endpoints send it."""
    return web.Response(status=status, text=json.dumps({"error": {"message": message, "code": status}}))
