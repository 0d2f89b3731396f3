"""The planner behind an HTTP server that notes every request, and that is slow or lies as it is told."""

import asyncio
import hashlib
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from gog.transforms.atlas.planner.policy import planner_id
from gog.transforms.atlas.server.server import PlannerServer

SKILLS: Final = {"teacher": 0.85, "judge": 1.0, "labeller": 0.5}
"""Skills of the models of the bundled config."""
FORGED: Final = (
    b'{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"<answer>Atlantis</answer>'
    b'"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
)
"""A reply that nobody asked for: it must end in no record."""
BODIES: Final = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "page": b"<!doctype html><title>Bad gateway</title>",
    "error-200": b'{"error": {"message": "The engine is overloaded", "type": "server_error", "code": 503}}',
    "no-choices": b'{"choices": []}',
    "number-for-choices": b'{"choices": 7}',
    "no-utf-8": b'{"choices": [{"message": {"content": "\xff\xfe"}}]}',
    "half": FORGED[: len(FORGED) // 2],
}
"""Bodies of status 200 that are no reply."""
STATUSES: Final = (429, 500, 502, 503)
LIES: Final = (*BODIES, *map(str, STATUSES), "cut", "too-short", "too-long", "smuggled", "no-gzip")


@dataclass
class Asked:
    """A request: the hash of its body, when it came and when it was done with, in `time.monotonic` seconds; `lied` to
    where the answer was none, so that it may come again.
    """

    key: str
    began: float
    ended: float | None = None
    lied: bool = False


@dataclass(frozen=True)
class Manner:
    """How the server behaves: a lie to a share of the requests, once to three times each; the rest wait so long.

    An outage refuses everything for some seconds, from each of the `outages` (numbers of requests) on.
    """

    seed: str = ""
    lies: float = 0.0
    latency_s: tuple[float, float] = (0.0, 0.0)
    outages: tuple[int, ...] = ()
    outage_s: float = 1.0


@dataclass
class Endpoint:
    """The server's base URL, how it behaves (which may be changed at any time), and what it was asked."""

    base: str = ""
    manner: Manner = field(default_factory=Manner)
    asked: list[Asked] = field(default_factory=list)

    @property
    def models(self) -> dict[str, str]:
        """The config's keys for models, with their addresses at this server."""
        return {role: f"{self.base}#{planner_id(skill)}" for role, skill in SKILLS.items()}

    def lie_to(self, key: str, before: int) -> str | None:
        """The lie that a request gets which came `before` times already."""
        rng = random.Random(f"{self.manner.seed}/{key}")
        if rng.random() >= self.manner.lies:
            return None
        # A stall takes the client's patience, half a minute: it is rare, and comes once.
        lie = "stall" if rng.random() < 0.02 else rng.choice(LIES)
        return lie if before < (1 if lie == "stall" else rng.randint(1, 3)) else None


@contextmanager
def listening() -> Iterator[Endpoint]:
    """Such a server meanwhile, on a thread of its own."""
    endpoint, loop, ready = Endpoint(), asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        app = web.Application(client_max_size=1 << 27)
        app.router.add_post("/v1/chat/completions", _handler(endpoint))
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
        endpoint.base = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield endpoint
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


def _handler(endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    planner, times, out_until = PlannerServer(), dict[str, int](), 0.0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal out_until
        key = hashlib.sha256(await request.read()).hexdigest()
        asked = Asked(key, time.monotonic())
        endpoint.asked.append(asked)
        before, times[key] = times.get(key, 0), times.get(key, 0) + 1
        manner, number = endpoint.manner, len(endpoint.asked)
        if number in manner.outages:
            out_until = asked.began + manner.outage_s
        rng = random.Random(f"{manner.seed}/{key}/{before}")
        lie = str(rng.choice(STATUSES)) if asked.began < out_until else endpoint.lie_to(key, before)
        try:
            if lie is not None:
                asked.lied = True
                return await _lie(request, lie)
            await asyncio.sleep(rng.uniform(*manner.latency_s))
            response = await planner._chat(request)
            await response.prepare(request)
            await response.write_eof()
            return response
        finally:
            asked.ended = time.monotonic()

    return answer


async def _lie(request: web.Request, lie: str) -> web.StreamResponse:
    if lie.isdigit():
        headers = {"Retry-After": "1"} if lie == "429" else {}
        return web.json_response({"error": {"message": "come again"}}, status=int(lie), headers=headers)
    if lie in BODIES:
        return web.Response(body=BODIES[lie], content_type="application/json")
    if lie == "stall":
        await asyncio.sleep(60)
        return web.Response()
    if lie == "no-gzip":
        response = web.Response(body=FORGED, content_type="application/json")
        response.headers["Content-Encoding"] = "gzip"
        return response
    raw = {
        "cut": b"",
        "too-short": _head(len(FORGED) + 100) + FORGED,
        "too-long": _head(len(FORGED) // 2) + FORGED,
        # The second answer waits for whoever asks next over this connection.
        "smuggled": _head(4) + b"null" + _head(len(FORGED)) + FORGED,
    }[lie]
    if request.transport is not None:
        request.transport.write(raw)
        if lie in ("cut", "too-short"):
            request.transport.abort() if lie == "cut" else request.transport.close()
        else:
            await asyncio.sleep(0.2)
            if request.transport is not None:
                request.transport.close()
    return web.Response()


def _head(length: int) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()
