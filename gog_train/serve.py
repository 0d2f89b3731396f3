"""A trained checkpoint behind OpenAI's chat completions: `python -m gog_train.serve --checkpoint FOLDER`.

`/v1/chat/completions`, `/v1/models`, `/health`. Requests that wait are answered together, in batches. The addresses
`checkpoint:FOLDER` of the engine's config start this server; on a GPU `vllm:` is many times faster.
"""

import argparse
import asyncio
import hashlib
import shlex
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from aiohttp import web

from gog.transforms.services.models.chat.serving import (
    WrongRequestError,
    error_body,
    read_request,
    stopped,
    write_reply,
)
from gog.transforms.services.models.chat.web import deliver, errors_as_json
from gog.transforms.services.protocols import ChatReply, ChatRequest
from gog.transforms.services.request_log import REQUESTS
from gog_train.checkpoints import read_notes
from gog_train.generate import Prompt, PromptError, open_generator
from gog_train.settings import TrainingError

BODY_BYTES: Final = 64 << 20
"""Longest body of a request that is read."""
GATHER_S: Final = 0.02
"""How long a first request waits for others to be answered with."""
EXAMPLES: Final = """\
examples:
  python -m gog_train.serve --checkpoint models/gog-2.5-7b/adapter --port 8000
  gog label -c fvqa.yaml --policy checkpoint:models/gog-2.5-7b/adapter
"""


class Replies(Protocol):
    """What the server serves: `gog_train.generate.Generator`."""

    def prompt(self, request: ChatRequest, images: Mapping[str, bytes]) -> Prompt:
        """The request as the model takes it. Raises `PromptError`."""
        ...

    def replies(self, prompts: Sequence[Prompt]) -> list[ChatReply]:
        """A reply to each."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    prompt: Prompt
    reply: "asyncio.Future[ChatReply]"


class CheckpointServer:
    """The server's state: what waits, and how many were answered. For one event loop."""

    def __init__(self, generator: Replies, name: str, batch: int, gather_s: float = GATHER_S) -> None:
        """`name` is the model that requests ask for; at most `batch` of them are answered at once."""
        self._generator, self._name, self._batch, self._gather_s = generator, name, batch, gather_s
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._preparing = asyncio.Semaphore(2)
        self._answered = 0

    def application(self) -> web.Application:
        """The routes, and the worker that answers."""
        app = web.Application(client_max_size=BODY_BYTES, middlewares=[errors_as_json])
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.cleanup_ctx.append(self._working)
        return app

    async def _working(self, app: web.Application) -> AsyncIterator[None]:
        worker = asyncio.create_task(self._work())
        yield
        worker.cancel()

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _models(self, request: web.Request) -> web.Response:
        listed = {"id": self._name, "object": "model", "created": 0, "owned_by": "glance-or-gaze"}
        return web.json_response({"object": "list", "data": [listed]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = read_request(await request.read())
            if asked.model != self._name:
                why = f"The model {asked.model[:200]!r} does not exist; this is {self._name!r}"
                return _wrong(404, why, "model_not_found")
            if asked.json_object:
                return _wrong(400, "response_format: a policy writes no JSON; leave it out")
            async with self._preparing:
                images = {hashlib.sha256(data).hexdigest(): data for data in asked.images}
                prompts = [await asyncio.to_thread(self._generator.prompt, one, images) for one in asked.requests]
        except web.HTTPRequestEntityTooLarge:
            return _wrong(413, f"the request is longer than {BODY_BYTES:,} bytes")
        except (WrongRequestError, PromptError) as error:
            return _wrong(400, str(error))
        waiting = [_Waiting(prompt, asyncio.get_running_loop().create_future()) for prompt in prompts]
        for one in waiting:
            self._waiting.put_nowait(one)
        try:
            replies = [stopped(reply, asked.stop) for reply in await asyncio.gather(*(one.reply for one in waiting))]
        except RuntimeError as error:
            why = f"the model failed: {' '.join(str(error).split())[:300]}"
            return web.json_response(error_body(why, "server_error"), status=500)
        self._answered += 1
        return await deliver(request, write_reply(replies, self._name, self._answered, int(time.time())), asked)

    async def _work(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            await asyncio.sleep(self._gather_s)
            while len(batch) < self._batch and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            # Whoever hung up is not answered.
            batch = [waiting for waiting in batch if not waiting.reply.done()]
            if batch:
                await self._answer(batch)

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        try:
            replies = await asyncio.to_thread(self._generator.replies, [waiting.prompt for waiting in batch])
        except Exception as error:  # such as no memory for so many at once
            if len(batch) > 1:
                for waiting in batch:
                    await self._answer([waiting])
            elif not batch[0].reply.done():
                batch[0].reply.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
            return
        for waiting, reply in zip(batch, replies, strict=True):
            if not waiting.reply.done():
                waiting.reply.set_result(reply)


def _wrong(status: int, message: str, code: str | None = None) -> web.Response:
    return web.json_response(error_body(message, "invalid_request_error", code), status=status)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = _parser().parse_args(sys.argv[1:] if arguments is None else list(arguments))
    folder = Path(options.checkpoint)
    try:
        generator = open_generator(folder, options.device)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _advise(folder)
    server = CheckpointServer(generator, options.name or str(folder), options.batch)
    try:
        asyncio.run(_serve(server, options.host, options.port))
    except OSError as error:
        print(f"error: cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


async def _serve(server: CheckpointServer, host: str, port: int) -> None:
    runner = web.AppRunner(
        server.application(), access_log=None, logger=REQUESTS, handler_cancellation=True, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        print(f"serving at http://{host}:{runner.addresses[0][1]}/v1", file=sys.stderr, flush=True)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _advise(folder: Path) -> None:
    """Where there is a GPU, say how vLLM serves the same."""
    import torch

    serve = (read_notes(str(folder)) or {}).get("serve")
    if torch.cuda.is_available() and isinstance(serve, list):
        print(f"vLLM is faster here: {shlex.join(map(str, serve))}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gog_train.serve",
        description="A trained checkpoint behind OpenAI's chat completions.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--checkpoint", required=True, metavar="FOLDER", help="`adapter` or `merged` of a training")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--name", default="", help="the model's name; its folder unless given")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--batch", type=int, default=8, help="requests at once (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
