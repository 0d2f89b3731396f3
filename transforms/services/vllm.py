"""`vllm:MODEL`: a vLLM server as a child of this process, started with the first question and ended with the process.

vLLM lives in an environment of its own (its pins and Beam's exclude each other): the settings name its executable.
Every worker process starts its own server for a model; one that should serve several is started by hand and addressed
as `http://HOST:PORT/v1#MODEL`.
"""

import asyncio
import atexit
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from gog.transforms.services import guard
from gog.transforms.services.chat import ChatModel, ModelSettings, model_id
from gog.transforms.services.loop import shared
from gog.transforms.services.protocols import ChatReply, ChatRequest, ImageStore

GRACE_S: Final = 15.0
"""Seconds that a server has between SIGTERM and SIGKILL."""
MOST_STARTS: Final = 3
"""A server that ended by itself is started again, so often in all."""
_LOOK_S: Final = 0.1
_TAIL_LINES: Final = 5


class VllmError(RuntimeError):
    """The server did not start, or keeps ending: no question can be asked. One line, with the end of its log."""


class VllmSettings(BaseModel):
    """How `vllm serve` is started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    executable: str = Field(default="vllm", min_length=1)
    """Of the environment that vLLM is installed in, as in `/opt/vllm/bin/vllm`."""
    tool_parser: str = "hermes"
    """`--tool-call-parser`: hermes for Qwen2.5-VL and Qwen3-VL; empty for none."""
    reasoning_parser: str = ""
    """`--reasoning-parser`, such as `qwen3`; without one, `<think>` is read from the text."""
    images: int = Field(default=8, ge=1)
    """Images a request may have; no less than `episode.max_images`."""
    args: tuple[str, ...] = ()
    """More arguments, such as `--tensor-parallel-size`, `2`. Where they change what is served (quantisation, an
    adapter), say so in the model's `revision`."""
    start_s: float = Field(default=900.0, gt=0)
    """Seconds until it must be healthy; loading weights takes minutes."""


def serve_arguments(model: str, port: int, settings: VllmSettings, revision: str = "") -> list[str]:
    """Arguments of the executable. Sampling is the request's alone: the model's own defaults are left out."""
    arguments = ["serve", model, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", model]
    arguments += ["--generation-config", "vllm", "--limit-mm-per-prompt", json.dumps({"image": settings.images})]
    if revision:
        arguments += ["--revision", revision]
    if settings.tool_parser:
        arguments += ["--enable-auto-tool-choice", "--tool-call-parser", settings.tool_parser]
    if settings.reasoning_parser:
        arguments += ["--reasoning-parser", settings.reasoning_parser]
    return [*arguments, *settings.args]


class VllmServer:
    """A server for a model; thread-safe. Made by `server_for`, so that a process has one for each."""

    def __init__(self, model: str, revision: str, settings: VllmSettings, logs: Path) -> None:
        """Its output goes to a file of its own in `logs`."""
        self._model, self._revision, self._settings, self._logs = model, revision, settings, logs
        self._lock = threading.Lock()
        self._guard: subprocess.Popen[bytes] | None = None
        self._port = self._starts = 0
        self._failed = ""

    @property
    def alive(self) -> bool:
        """Whether it has been started, and has not ended."""
        return self._guard is not None and self._guard.poll() is None

    def base(self) -> str:
        """The endpoint's base URL; starts the server where there is none, and waits until it is healthy.

        Raises `VllmError`, and again whenever it is asked: a server that failed is not tried for every question.
        """
        with self._lock:
            if self._failed:
                raise VllmError(self._failed)
            if not self.alive:
                try:
                    self._start()
                except VllmError as error:
                    self._failed = str(error)
                    raise
            return f"http://127.0.0.1:{self._port}/v1"

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
            raise VllmError(f"vllm:{self._model} ended by itself {self._starts} times; {self._tail()}")
        self._starts += 1
        self._port = _free_port()
        served = serve_arguments(self._model, self._port, self._settings, self._revision)
        command = [sys.executable, "-I", guard.__file__, str(os.getpid()), str(GRACE_S), self._settings.executable]
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._guard = subprocess.Popen(  # noqa: S603  # a list, and the executable is the user's own choice
                [*command, *served],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
            )
        atexit.register(self.stop)
        self._wait_for_health()

    def _wait_for_health(self) -> None:
        assert self._guard is not None
        last = time.monotonic() + self._settings.start_s
        while not _healthy(self._port):
            if (code := self._guard.poll()) is not None:
                raise VllmError(f"vllm:{self._model} ended with exit code {code} before it was up; {self._tail()}")
            if time.monotonic() > last:
                self.stop()
                waited = f"{self._settings.start_s:g} s"
                raise VllmError(f"vllm:{self._model} was not up after {waited} (vllm.start_s); {self._tail()}")
            time.sleep(_LOOK_S)

    @property
    def _log(self) -> Path:
        return self._logs / f"vllm-{re.sub(r'[^A-Za-z0-9._-]+', '-', self._model)[-80:]}-{os.getpid()}.log"

    def _tail(self) -> str:
        """Where the log is, and its last lines in one."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, self._log.stat().st_size - 4000))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return f"its log {self._log} cannot be read"
        shown = [" ".join(line.split())[:200] for line in lines if line.strip()]
        return f"see {self._log}: {' / '.join(shown[-_TAIL_LINES:]) or 'it is empty'}"


class VllmModel:
    """A model served by a child of this process, as a `Policy`."""

    def __init__(
        self, model: str, images: ImageStore, settings: ModelSettings, serving: VllmSettings, logs: Path
    ) -> None:
        """Starts nothing: the first question does, or `ready`."""
        self._model, self._images, self._settings, self._serving, self._logs = model, images, settings, serving, logs
        self._chat: ChatModel | None = None
        self._base = ""
        self._starting: asyncio.Task[str] | None = None
        self.id = model_id(model, settings)

    def __repr__(self) -> str:
        return f"VllmModel({self.id!r})"

    async def ready(self) -> None:
        """Wait until the server is up, and start it where it is not. Takes minutes. Raises `VllmError`."""
        server = server_for(self._model, self._settings.revision, self._serving, self._logs)
        if self._chat is not None and server.alive:
            return
        task = self._starting
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            # One task for all who wait: each on a thread of its own would leave none for other work.
            task = self._starting = asyncio.create_task(asyncio.to_thread(server.base))
        base = await asyncio.shield(task)
        if self._chat is None or base != self._base:
            self._chat, self._base = ChatModel(base, self._model, self._images, self._settings), base

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One reply. Raises `ServiceError`, and `VllmError` where there is no server."""
        if self._chat is None:
            await self.ready()
        assert self._chat is not None
        return await self._chat.complete(request)


def server_for(model: str, revision: str, settings: VllmSettings, logs: Path) -> VllmServer:
    """The process's server for a model."""
    key = ("vllm", model, revision, settings, str(logs))
    return shared(key, lambda: VllmServer(model, revision, settings, logs))


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
    return {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
