"""Work on what strangers wrote, done in processes of their own with limits on time and memory.

A parser can be made to run for ever, to use up memory or to crash; then only its process does. A process is kept for
the next document, and replaced after some, and after one that went wrong.

`LimitedChild` is the side that asks; the module that it names calls `serve` when it is run.
"""

import asyncio
import atexit
import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ServiceError

START_S: Final = 60.0
"""For a process to come up."""
PATIENCE: Final = 6
"""Times its processor time that a document may take on a machine that has other work."""
DOCUMENTS: Final = 200
"""Read by a process before another takes its place."""
MAX_ANSWER: Final = 1 << 28
"""Bytes."""
_READY, _ANSWER, _REFUSED, _MEMORY = b"+", b"a", b"r", b"m"
_HEAD: Final = 10
"""Bytes before an answer: its kind, whether the process goes on, its length."""
_KEPT_NAMES: Final = ("PATH", "LANG", "SYSTEMROOT")


class RefusedError(Exception):
    """Said by what a child runs of a document that it does not read; its text is the end of a sentence on it."""


class _EndedError(Exception):
    """The process ended before it answered."""

    def __init__(self, why: ServiceError) -> None:
        super().__init__()
        self.why = why


class _Process:
    """A running child; ended with `end`."""

    def __init__(self, module: str, seconds: int, memory: int) -> None:
        self.ours, theirs = socket.socketpair()
        with theirs:
            # No keys of the environment for a process that reads what strangers wrote, and no Ctrl-C of the terminal.
            env = {name: os.environ[name] for name in _KEPT_NAMES if name in os.environ}
            env |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
            try:
                self.process = subprocess.Popen(  # noqa: S603  # a list, and our own module
                    [sys.executable, "-P", "-m", module, str(seconds), str(memory)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=env,
                    start_new_session=True,
                )
            except OSError:
                self.ours.close()
                raise
        self.ours.setblocking(False)
        _running.add(self)

    def end(self) -> None:
        self.ours.close()
        self.process.kill()
        self.process.wait()

    def forget(self) -> None:
        """It is another process's: a fork copied this."""
        self.ours.close()
        self.process.returncode = 0

    async def received(self, size: int) -> bytes:
        """Raises `ConnectionError` where it ended."""
        data = bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            count = await asyncio.get_running_loop().sock_recv_into(self.ours, view[got:])
            if not count:
                raise ConnectionResetError
            got += count
        return bytes(data)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.ours, len(data).to_bytes(8, "big") + data)


_running: "weakref.WeakSet[_Process]" = weakref.WeakSet()
_pools: "weakref.WeakSet[LimitedChild]" = weakref.WeakSet()


class LimitedChild:
    """Processes that run a module, one document at a time each; as many as are asked at once. For any event loop."""

    def __init__(self, module: str, what: str, *, seconds: int, memory: int) -> None:
        """`what` is read, by name. For each: `seconds` of processor time, and bytes beyond its own."""
        self._module, self._what, self._seconds, self._memory = module, what, seconds, memory
        self._idle: deque[_Process] = deque()
        _pools.add(self)

    async def ask(self, data: bytes) -> bytes:
        """What the module's function makes of the bytes. Whoever stops waiting ends the process.

        Raises `ServiceError`: `bad_request` for the document, `server` where the machine is at fault.
        """
        with suppress(IndexError, _EndedError):  # none is idle; or it ended, or is full of what it read
            return await self._asked(self._idle.pop(), data)
        try:
            return await self._asked(await self._started(), data)
        except _EndedError as ended:
            raise ended.why from None

    def close(self) -> None:
        """End the processes that have nothing to do."""
        while self._idle:
            self._idle.pop().end()

    def forget(self) -> None:
        self._idle.clear()

    async def _started(self) -> _Process:
        try:
            process = _Process(self._module, self._seconds, self._memory)
        except OSError as error:
            raise self._error(f"has no reader: {error.strerror}", FailureClass.SERVER) from None
        up = False
        try:
            async with asyncio.timeout(START_S):
                up = await process.received(1) == _READY
        except (TimeoutError, ConnectionError):
            raise self._error(
                f"has no reader, which does not start: try python -m {self._module}", FailureClass.SERVER
            ) from None
        finally:
            if not up:
                process.end()
        return process

    async def _asked(self, process: _Process, data: bytes) -> bytes:
        """Raises `_EndedError` where a process that has read nothing yet may do better."""
        goes_on = False
        try:
            async with asyncio.timeout(self._seconds * PATIENCE):
                await process.send(data)
                head = await process.received(_HEAD)
                kind, length = head[:1], int.from_bytes(head[2:], "big")
                if length > MAX_ANSWER:
                    raise self._error("has text without end")
                answer = await process.received(length)
            goes_on = head[1:2] == _READY
        except TimeoutError:
            raise self._error(f"was not read within {self._seconds * PATIENCE} s", FailureClass.SERVER) from None
        except ConnectionError:
            raise self._died(process.process) from None
        finally:
            if goes_on:
                self._idle.append(process)
            else:
                process.end()
        if kind == _MEMORY:
            raise _EndedError(self._error(f"takes more than {self._memory >> 20:,} MiB of memory"))
        if kind == _REFUSED:
            raise self._error(answer.decode("utf-8", "replace"))
        return answer

    def _error(self, how: str, failure: FailureClass = FailureClass.BAD_REQUEST) -> ServiceError:
        return ServiceError(failure, f"{self._what} {how}")

    def _died(self, process: "subprocess.Popen[bytes]") -> Exception:
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)  # it is on its way, and says by what
        code = process.returncode or 0
        if code == -signal.SIGXCPU:
            return self._error(f"was not read within {self._seconds} s of processor time")
        if code == -signal.SIGKILL:
            return _EndedError(self._error("lost its reader: is the machine's memory used up?", FailureClass.SERVER))
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return _EndedError(self._error(f"makes its reader crash ({how})"))


def _after_fork() -> None:
    for process in list(_running):
        process.forget()
    for pool in list(_pools):
        pool.forget()


def _at_exit() -> None:
    for pool in list(_pools):
        pool.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)


def serve(work: Callable[[bytes], bytes]) -> None:
    """Answer, in the child, until nobody asks any more, or it has read enough, or it keeps too much.

    What `work` raises is a refusal.
    """
    import resource

    seconds, memory = int(sys.argv[1]), int(sys.argv[2])
    own = _address_space()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (own + memory, own + memory))
    channel = socket.socket(fileno=os.dup(0))
    channel.sendall(_READY)
    for number in range(1, DOCUMENTS + 1):
        size = int.from_bytes(_taken(channel, 8), "big")
        data = _taken(channel, size)
        # It is counted from the start of the process, in whole seconds.
        ends = int(time.process_time()) + 1 + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (ends, resource.RLIM_INFINITY))
        kind, answer = _answer(work, data)
        goes_on = kind != _MEMORY and number < DOCUMENTS and _address_space() < own + memory // 4
        head = kind + (_READY if goes_on else b"-") + len(answer).to_bytes(8, "big")
        channel.sendall(head + answer)
        if not goes_on:
            return


def _answer(work: Callable[[bytes], bytes], data: bytes) -> tuple[bytes, bytes]:
    try:
        return _ANSWER, work(data)
    except MemoryError:
        return _MEMORY, b""
    except RefusedError as error:
        return _REFUSED, str(error).encode("utf-8", "replace")
    except Exception as error:  # a library's own, about a document that was made to break it
        return _REFUSED, f"cannot be read ({type(error).__name__})".encode()


def _taken(channel: socket.socket, size: int) -> bytes:
    """That many bytes; the process ends where no more come."""
    data = bytearray()
    while len(data) < size:
        part = channel.recv(min(size - len(data), 1 << 20))
        if not part:
            raise SystemExit
        data += part
    return bytes(data)


def _address_space() -> int:
    """Bytes that the process has mapped; 0 where the system does not say, and has no such limit either."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  # before pathlib is imported
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
