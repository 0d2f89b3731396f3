"""The planner as an OpenAI-compatible server: `/v1/chat/completions`, `/v1/models`, `/health`, `/stats`.

A rule-based program answers, whatever the model's name; the names are the planner's own, so that a run against this
server makes the same records as one with the embedded planner.
"""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final

from aiohttp import web

from gog.transforms.atlas.planner.policy import Planner, planner_id, skill_of
from gog.transforms.atlas.server.faults import Fault, Lot, Lots, Manners
from gog.transforms.atlas.server.pictures import Pictures, TooManyImagesError
from gog.transforms.dialect.turns import load_object
from gog.transforms.images import ImageError, decode_image
from gog.transforms.recent import Recent
from gog.transforms.services.gateway.bucket import Bucket
from gog.transforms.services.models.chat.serving import (
    Asked,
    Json,
    WrongRequestError,
    error_body,
    read_request,
    stopped,
    truncated,
    write_reply,
)
from gog.transforms.services.models.chat.web import deliver, errors_as_json
from gog.transforms.services.protocols import ChatReply
from gog.transforms.services.request_log import REQUESTS

BODY_BYTES: Final = 64 << 20
"""Longest body of a request that is read."""
SKILLS: Final = (0.85, 1.0, 0.5)
"""Skills of the models that are listed; the teacher, judge and labeller of the bundled world."""
_PAGE: Final = "<!doctype html><title>Bad gateway</title><h1>Bad gateway</h1>"


class PlannerServer:
    """The server's state: its manners, the requests under way, and what it has counted. For one event loop."""

    def __init__(self, manners: Manners | None = None) -> None:
        self.manners = manners or Manners()
        self.requests = self.answered = self.in_flight = self.most_in_flight = 0
        self.faults: Counter[str] = Counter()
        self._pictures = Pictures()
        self._lots = Lots(self.manners)
        self._readable: Recent[int, bool] = Recent(10_000)
        """Images, by hash, that were decoded once: each turn of an episode sends all of them again."""
        self._planner = lru_cache(maxsize=64)(self._make_planner)
        rate = self.manners.rate_limit
        self._limiter = Bucket(rate, max(1.0, rate), time.monotonic()) if rate else None

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=BODY_BYTES, middlewares=[errors_as_json])
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_get("/stats", self._stats)
        return app

    @property
    def statistics(self) -> Json:
        """Requests for replies so far: all, those answered as they should be, and the others by fault."""
        return {
            "requests": self.requests,
            "answered": self.answered,
            "faults": dict(sorted(self.faults.items())),
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
        }

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(self.statistics)

    async def _models(self, request: web.Request) -> web.Response:
        names = [planner_id(skill) for skill in SKILLS]
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "glance-or-gaze"} for name in names]
        return web.json_response({"object": "list", "data": listed})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(request)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        began = time.monotonic()
        if self._limiter is not None:
            if (wait := self._limiter.wait(1, began)) > 0:
                self.faults["rate-limit"] += 1
                return self._refusal(429, "Rate limit reached for requests", wait)
            self._limiter.take(1, began)
        try:
            body = await request.read()
            asked = read_request(body)
        except web.HTTPRequestEntityTooLarge:
            return self._wrong(413, f"the request is longer than {BODY_BYTES:,} bytes")
        except WrongRequestError as error:
            return self._wrong(400, str(error))
        planner = self._planner(asked.model)
        if planner is None:
            why = f"The model {asked.model!r} does not exist; /v1/models lists some"
            return self._wrong(404, why, "model_not_found")
        lot = self._lots.draw(body)
        if lot.fault is not None:
            self.faults[lot.fault.value] += 1
        if (early := self._early(request, lot)) is not None:
            return early
        try:
            replies = await self._replies(planner, asked)
        except TooManyImagesError:
            return self._refusal(503, "too many images under way", 1.0)
        except ImageError as error:
            return self._wrong(400, f"image_url: the image cannot be read ({error})")
        wants_json = asked.json_object or asked.request.response_schema is not None
        if wants_json and any(load_object(reply.message.text) is None for reply in replies):
            return self._wrong(400, "response_format: this program writes JSON only as a judge; leave it out")
        reply = write_reply(replies, planner.id, self.requests, int(time.time()))
        seconds = lot.latency_s + (self.manners.stall_s if lot.fault is Fault.STALL else 0.0)
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
        return await self._deliver(request, reply, asked, lot.fault)

    def _early(self, request: web.Request, lot: Lot) -> web.Response | None:
        """What is said before anybody thinks, by faults that begin so."""
        after = self.manners.retry_after_s
        match lot.fault:
            case Fault.RATE_LIMITED:
                return self._refusal(429, "Rate limit reached for requests", after)
            case Fault.OVERLOADED:
                return self._refusal(503, "The engine is currently overloaded", after)
            case Fault.SERVER_ERROR:
                return web.json_response(error_body("The server had an error", "server_error"), status=500)
            case Fault.WRONG_TYPE:
                return web.Response(text=_PAGE, content_type="text/html")
            case Fault.CUT:
                _reset(request)
                return web.Response()
        return None

    async def _replies(self, planner: Planner, asked: Asked) -> list[ChatReply]:
        """A reply for each choice. Raises `TooManyImagesError` and `ImageError`."""
        with self._pictures.held(asked.images):
            for data in asked.images:
                if self._readable.get(digest := hash(data)) is None:
                    await asyncio.to_thread(decode_image, data)
                    self._readable.put(digest, True)
            replies = [await planner.complete(request) for request in asked.requests]
        return [_within(stopped(reply, asked.stop), asked.request.sampling.max_tokens) for reply in replies]

    async def _deliver(
        self, request: web.Request, reply: Json, asked: Asked, fault: Fault | None
    ) -> web.StreamResponse:
        match fault:
            case Fault.TRUNCATED:
                reply = truncated(reply)
            case Fault.NO_CHOICES:
                reply = reply | {"choices": []}
            case None:
                self.answered += 1
        if asked.stream and fault not in (Fault.MALFORMED, Fault.CUT_BODY):
            return await deliver(request, reply, asked)
        body = json.dumps(reply, ensure_ascii=False).encode()
        if fault is Fault.MALFORMED:
            body = body[: len(body) // 2]
        if fault is not Fault.CUT_BODY:
            return web.Response(body=body, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        _reset(request)
        return response

    def _refusal(self, status: int, message: str, wait: float | None) -> web.Response:
        """Come again: after so many seconds, which are whole ones in HTTP, unless the manners do not say."""
        headers = {}
        if wait is not None and self.manners.retry_after_s is not None:
            headers["Retry-After"] = str(math.ceil(wait))
        kind = "rate_limit_error" if status == 429 else "server_error"
        return web.json_response(error_body(message, kind), status=status, headers=headers)

    def _wrong(self, status: int, message: str, code: str | None = None) -> web.Response:
        self.faults[f"wrong-request-{status}"] += 1
        return web.json_response(error_body(message, "invalid_request_error", code), status=status)

    def _make_planner(self, name: str) -> Planner | None:
        """The planner of that name: its id or its address in a config. None for any other name."""
        scheme, _, rest = name.partition(":")
        try:
            skill = skill_of(f"planner:{rest.partition('?')[2] or rest}")
        except ValueError:
            return None
        meant = scheme == "planner" and ("?" not in name or name == planner_id(skill))
        return Planner(self._pictures, skill) if meant else None


@asynccontextmanager
async def serving(server: PlannerServer, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve meanwhile; gives the base URL, which ends in `/v1`. Port 0 picks a free one. Raises `OSError`."""
    # Whoever hangs up is not answered: a stalled request ends with its caller.
    runner = web.AppRunner(
        server.application(), access_log=None, logger=REQUESTS, handler_cancellation=True, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def _within(reply: ChatReply, max_tokens: int) -> ChatReply:
    """The reply as it ends at its limit, in thought and text; calls come last."""
    if reply.completion_tokens <= max_tokens:
        return reply
    thought, room = reply.message.reasoning_content or "", 4 * max_tokens
    changes = {
        "reasoning_content": thought[:room] or None,
        "content": reply.message.text[: max(0, room - len(thought))],
    }
    message = reply.message.model_copy(update=changes | {"tool_calls": ()})
    return ChatReply(message, "length", reply.prompt_tokens, max_tokens)


def _reset(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
