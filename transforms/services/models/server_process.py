"""A server of chat completions as a child of this process: started with the first question, ended with the process.

Every worker process starts its own; one that should serve several is started by hand and addressed as
`http://HOST:PORT/v1#MODEL`.
"""

import asyncio
import atexit
import http.client
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gog.schemas.errors import UserError
from gog.transforms.image_store import ImageStore
from gog.transforms.services.models import process_guard
from gog.transforms.services.models.chat import ChatModel, ModelSettings, model_id
from gog.transforms.services.models.starting import starting
from gog.transforms.services.protocols import ChatReply, ChatRequest

GRACE_S: Final = 15.0
"""Seconds that a server has between SIGTERM and SIGKILL."""
MOST_STARTS: Final = 3
"""A server that ended by itself is started again, so often in all."""
_LOOK_S: Final = 0.1
_SAY_S: Final = 20.0
"""Seconds of a start between two lines about it."""
_READ_EVERY: Final = 10
"""Looks at its health between two looks at its log."""
_TAIL_BYTES: Final = 32_000
"""Of a log that are read. vLLM's processes tell of one failure in turn, each with its stack: the cause comes first."""
_TAIL_LINES: Final = 5
_LINE: Final = 200
"""Characters of a line that are shown."""
_ERROR: Final = re.compile(r"\w*(?:Error|Exception): (?!(?:Engine core|WorkerProc) initialization failed)")
"""An error that says something: vLLM's last ones say that there was another above."""
_PREFIX: Final = re.compile(r"^(?:\(.{1,40}?\) )?(?:INFO|WARNING|ERROR) \S+ \S+ \[\S+\] ?")
"""What vLLM puts before each line: process, level, time, place."""

_log = logging.getLogger(__name__)

_CAUSES: Final = (
    (
        re.compile(
            r"out of memory|No available memory for the cache blocks"
            r"|less than desired [GC]PU memory|KV cache .{0,80}larger than",
            re.I,
        ),
        "its memory does not suffice: lower --max-model-len or --gpu-memory-utilization in its args, or use more GPUs",
    ),
    (re.compile(r"address already in use", re.I), "its port was taken by another program: start again"),
)
"""What the end of a log says, and what to do."""

Command = Callable[[int], Sequence[str]]
"""From the port on 127.0.0.1 that a server shall listen on to its executable and arguments."""


class ChildError(UserError, RuntimeError):
    """The server did not start, or keeps ending: no question can be asked. One line, with the end of its log."""


class ChildServer:
    """A server of `/health` and `/v1`; thread-safe. Made by `shared`, so that a process has one of each."""

    def __init__(self, address: str, command: Command, logs: Path, start_s: float) -> None:
        """`address` names it, as in `vllm:MODEL`; its output goes to a file of its own in `logs`.

        `start_s` are the seconds until it must be healthy: a setting of the section that its scheme names.
        """
        self._address, self._command, self._logs, self._start_s = address, command, logs, start_s
        self._lock = threading.Lock()
        self._guard: subprocess.Popen[bytes] | None = None
        self._port = self._starts = 0
        self._failed = self._base = ""

    @property
    def where(self) -> str:
        """Its base URL while it is up; empty before, and once it has ended."""
        return self._base if self.alive else ""

    @property
    def alive(self) -> bool:
        """Whether it has been started, and has not ended."""
        return self._guard is not None and self._guard.poll() is None

    def base(self) -> str:
        """The endpoint's base URL; starts the server where there is none, and waits until it is healthy.

        Raises `ChildError`, and again whenever it is asked: a server that failed is not tried for every question.
        """
        with self._lock:
            if self._failed:
                raise ChildError(self._failed)
            if not self.alive:
                try:
                    self._start()
                except ChildError as error:
                    self._failed = str(error)
                    raise
            return self._base

    def stop(self) -> None:
        """End the server and all that it started, within `GRACE_S` and a moment."""
        if self._guard is not None and self._guard.poll() is None:
            self._guard.terminate()
            try:
                self._guard.wait(GRACE_S + 5)
            except subprocess.TimeoutExpired:
                self._guard.kill()

    def _start(self) -> None:
        if self._starts >= MOST_STARTS:
            raise ChildError(f"{self._address} ended by itself {self._starts} times; {self._tail()}")
        self._starts += 1
        self._base, self._port = "", _free_port()
        guarded = [sys.executable, "-I", process_guard.__file__, str(os.getpid()), str(GRACE_S)]
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as log:
            self._guard = subprocess.Popen(  # noqa: S603  # a list, and the executable is the user's own choice
                [*guarded, *self._command(self._port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
            )
        atexit.register(self.stop)
        self._wait_for_health()
        self._base = f"http://127.0.0.1:{self._port}/v1"

    def _wait_for_health(self) -> None:
        assert self._guard is not None
        began, looks = time.monotonic(), 0
        last, say = began + self._start_s, began + _SAY_S
        with starting(self._address) as start:
            while not _healthy(self._port):
                if (code := self._guard.poll()) is not None:
                    raise ChildError(f"{self._address} ended with exit code {code} before it was up; {self._tail()}")
                if time.monotonic() > last:
                    self.stop()
                    waited = f"{self._start_s:g} s ({self._address.partition(':')[0]}.start_s)"
                    raise ChildError(f"{self._address} was not up after {waited}; {self._tail()}")
                start.seconds = time.monotonic() - began
                if looks % _READ_EVERY == 0:
                    start.said = _PREFIX.sub("", (self._lines() or [""])[-1])[:_LINE]
                if time.monotonic() > say:
                    say += _SAY_S
                    _log.warning("%s", start)
                looks += 1
                time.sleep(_LOOK_S)

    @property
    def _log_file(self) -> Path:
        scheme, _, rest = self._address.partition(":")
        return self._logs / f"{scheme}-{re.sub(r'[^A-Za-z0-9._-]+', '-', rest)[-80:]}-{os.getpid()}.log"

    def _tail(self) -> str:
        """The cause that its log names, where the log is, the error that vLLM ended with, and its last lines in one."""
        lines = self._lines()
        if lines is None:
            return f"its log {self._log_file} cannot be read"
        latest = [_PREFIX.sub("", line) for line in reversed(lines)]
        cause, error = next(
            ((told + "; ", line) for pattern, told in _CAUSES for line in latest if pattern.search(line)),
            ("", next((line for line in latest if _ERROR.match(line)), "")),
        )
        last = [line[:_LINE] for line in lines[-_TAIL_LINES:]]
        if error not in ("", *latest[:_TAIL_LINES]):
            last = [error, last[-1]]
        return f"{cause}see {self._log_file}: {' / '.join(last) or 'it is empty'}"

    def _lines(self) -> list[str] | None:
        """The last lines of the log but for our own looks at its health; None where it cannot be read."""
        try:
            with self._log_file.open("rb") as file:
                file.seek(max(0, self._log_file.stat().st_size - _TAIL_BYTES))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return None
        return [" ".join(line.split())[:400] for line in lines if line.strip() and "GET /health" not in line]


class ChildModel:
    """A model served by a child of this process, as a `Policy`."""

    def __init__(
        self, model: str, images: ImageStore, settings: ModelSettings, server: Callable[[], ChildServer], name: str = ""
    ) -> None:
        """`server` gives the process's server; `name` is the id where the settings do not make it.

        Starts nothing: the first question does, or `ready`.
        """
        self._model, self._images, self._settings, self._server = model, images, settings, server
        self._chat: ChatModel | None = None
        self._base = ""
        self._starting: asyncio.Task[str] | None = None
        self.id = name or model_id(model, settings)
        self.thinking_tokens = settings.thinking_tokens

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    async def ready(self) -> None:
        """Wait until the server is up, and start it where it is not. Takes minutes. Raises `ChildError`."""
        server = self._server()
        if self._chat is not None and server.where == self._base:
            return
        task = self._starting
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            # One task for all who wait: each on a thread of its own would leave none for other work.
            task = self._starting = asyncio.create_task(asyncio.to_thread(server.base))
        base = await asyncio.shield(task)
        if self._chat is None or base != self._base:
            self._chat, self._base = ChatModel(base, self._model, self._images, self._settings), base

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One reply; a server that has ended is started again.

        Raises `ServiceError`, and `ChildError` where there is no server.
        """
        # Alive is not enough: it may be starting again, or stand at another port since another model asked for it.
        if self._chat is None or self._server().where != self._base:
            await self.ready()
        assert self._chat is not None
        return await self._chat.complete(request)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _environment() -> dict[str, str]:
    """The child's environment: ours without the keys of other services."""
    others = ("_API_KEY", "GOG_DETECTOR_KEY")
    return {name: value for name, value in os.environ.items() if not name.endswith(others)}
