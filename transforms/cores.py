"""Work that fills a core, on all cores: it begins on threads, and goes on in processes once these pay for their start.

What is spread is a function of its arguments alone, so that it makes no difference where it runs. What no process can
do (none has started, its arguments do not pickle, it raises) the thread that asks for it does. A process that is killed
is replaced, and its work is done again.
"""

import asyncio
import atexit
import logging
import os
import pickle  # noqa: TID251  # between processes of ours alone
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Generic, ParamSpec, TypeVar

from gog.schemas.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 4
"""At once, in a process that has no others to work for it: threads beyond the cores only hold memory."""
WORTH_S = 0.5
"""Processor seconds spent here after which processes are started, each of which takes about one to come up."""
MEMORY: Final = 1 << 30
"""Bytes of the machine's memory for each process."""
START_S: Final = 60.0
_LIMITS: Final = Path("/sys/fs/cgroup/cpu.max")
_CRASHES: Final = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})

_log = logging.getLogger(__name__)


class LostProcessError(UserError):
    """Two processes ended at the same work; `crash` names the signal where it is the work's doing, else it is empty."""

    def __init__(self, code: int) -> None:
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self.crash = how if -code in _CRASHES else ""
        super().__init__(
            f"processes of this run end before their work is done ({how}): is the machine's memory used up? "
            "What was finished is kept, the same command goes on"
        )


class Spread(Generic[P, T]):
    """A function that any process can make for itself, called from threads or awaited."""

    def __init__(self, make: Callable[[], Callable[P, T]]) -> None:
        """`make` gives the function. It is pickled, with what it holds: that should be small."""
        self._make = make
        self._making = threading.Lock()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns or raises; `LostProcessError`. Takes the thread until then."""
        pool = _pool
        return self.here(*args, **kwargs) if pool is None else pool.run(self, args, kwargs)

    async def ask(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The same without holding up the loop, `width` calls at once."""
        return await asyncio.get_running_loop().run_in_executor(_threads(), partial(self, *args, **kwargs))

    def here(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it on this thread."""
        with self._making:
            function = self._function
        return function(*args, **kwargs)

    @cached_property
    def _function(self) -> Callable[P, T]:
        return self._make()

    @cached_property
    def pickled(self) -> bytes:
        """`make` for another process; empty where it cannot go there."""
        try:
            return pickle.dumps(self._make)
        except Exception as error:  # pickle raises what it meets
            _log.info("work stays in this process: %s", error)
            return b""


def use_all_cores() -> None:
    """Have the work of this process done by others until `close`, where the machine has more than one core. They stay
    in the folder that this process was in when they started.
    """
    global _pool
    with _lock:
        if _pool is None and (count := _count()) > 1:
            _pool = _Pool(count)


def are_used() -> bool:
    """Whether other processes work for this one."""
    return _pool is not None


def width() -> int:
    """Pieces of work that are done at once."""
    return THREADS if _pool is None else _pool.count


def close() -> None:
    """End the processes."""
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.close()


_Call = tuple[tuple[Any, ...], dict[str, Any]]
_NOT_DONE: Final = pickle.dumps((False, None))


class _Ended(Exception):  # noqa: N818
    """A process ended before it answered, with an exit status or, below 0, by a signal."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Process:
    """Another Python, which answers one question at a time."""

    def __init__(self) -> None:
        """Raises `OSError`."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(  # noqa: S603  # a list, and our own module
                [sys.executable or "python", "-P", "-m", "gog.transforms.cores"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
                | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
                start_new_session=True,  # Ctrl-C is for us; it ends where nobody asks any more
            )
            self.channel = Connection(ours.detach())
        self._known: set[bytes] = set()

    def send(self, work: bytes, call: _Call | None) -> None:
        """Ask what comes of a call; without one, only that the function is made."""
        self.channel.send_bytes(pickle.dumps((hash(work), None if work in self._known else work, call)))
        self._known.add(work)

    def end(self) -> None:
        """End it at once."""
        self.channel.close()
        self._process.kill()
        self._process.wait()

    def ended(self) -> int:
        """Its exit status, negative for a signal, where it has ended by itself or is about to."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self.end()
        return self._process.returncode


class _Pool:
    def __init__(self, count: int) -> None:
        self.count = count
        self._spent = 0.0
        self._starting: list[_Process] = []
        self._idle: list[_Process] = []
        self._alive = 0
        self._closed = self._started = False
        self._change = threading.Condition()

    def run(self, work: Spread[Any, T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        """What comes of the call, there or here."""
        process = self._take(work, 0.0)
        if process is not None:
            try:
                done, answer = self._asked(process, work, (args, kwargs))
            except _Ended as first:
                process = self._take(work, START_S)
                if process is None:
                    raise LostProcessError(first.code) from None
                try:
                    done, answer = self._asked(process, work, (args, kwargs))
                except _Ended as second:
                    raise LostProcessError(second.code) from None
            if done:
                return answer  # type: ignore[no-any-return]
        began = time.thread_time()
        try:
            return work.here(*args, **kwargs)
        finally:
            self._spend(time.thread_time() - began, work)

    def _asked(self, process: _Process, work: Spread[Any, Any], call: _Call) -> tuple[bool, Any]:
        """Whether it was done, and what came of it. Raises `_Ended`."""
        try:
            process.send(work.pickled, call)
            data = process.channel.recv_bytes()
        except (EOFError, ConnectionError):
            raise _Ended(self._lost(process, work)) from None
        except Exception as error:  # pickle raises what it meets
            _log.info("a piece of work stays in this process: %s", error)
            data = _NOT_DONE
        self._give_back(process)
        try:
            done, answer = pickle.loads(data)  # noqa: S301  # from a process of ours
        except Exception as error:  # the same
            _log.info("a piece of work stays in this process: %s", error)
            return False, None
        return done, answer

    def close(self) -> None:
        with self._change:
            self._closed = True
            ending = [*self._idle, *self._starting]
        for process in ending:
            process.end()

    def _take(self, work: Spread[Any, Any], wait_s: float) -> _Process | None:
        """A process that is idle. None where none has started yet, unless there is time to wait."""
        until = time.monotonic() + wait_s
        with self._change:
            while work.pickled and not self._closed:
                self._welcome()
                if self._idle:
                    return self._idle.pop()
                if time.monotonic() >= until or not (self._alive or self._starting):
                    break
                self._change.wait(0.05)
        return None

    def _welcome(self) -> None:
        """Take in those that have come up."""
        for process in [process for process in self._starting if process.channel.poll()]:
            self._starting.remove(process)
            try:
                process.channel.recv_bytes()
            except (EOFError, OSError):
                _log.info("a process for work did not start: exit status %d", process.ended())
                continue
            self._idle.append(process)
            self._alive += 1

    def _spend(self, seconds: float, work: Spread[Any, Any]) -> None:
        with self._change:
            self._spent += seconds
            if self._started or self._closed or self._spent < WORTH_S or not work.pickled:
                return
            self._started = True
            _log.info("processes started count=%d", self.count)
            for _ in range(self.count):
                self._start(work)

    def _start(self, work: Spread[Any, Any]) -> None:
        try:
            process = _Process()
        except OSError as error:
            _log.info("a process for work did not start: %s", error)
            return
        with suppress(ConnectionError):  # it has ended at once, and is found so
            process.send(work.pickled, None)
        self._starting.append(process)

    def _give_back(self, process: _Process) -> None:
        with self._change:
            if not self._closed:
                self._idle.append(process)
                self._change.notify()
                return
        process.end()

    def _lost(self, process: _Process, work: Spread[Any, Any]) -> int:
        """Start another in its place; how it ended."""
        code = process.ended()
        with self._change:
            self._alive -= 1
            if not self._closed:
                _log.info("a process for work ended: exit status %d; another takes its place", code)
                self._start(work)
        return code


_pool: _Pool | None = None
_executors: dict[int, ThreadPoolExecutor] = {}
_lock = threading.Lock()


def _threads() -> ThreadPoolExecutor:
    with _lock:
        count = width()
        if count not in _executors:
            _executors[count] = ThreadPoolExecutor(count, "gog-core")
        return _executors[count]


def _after_fork() -> None:
    global _pool, _lock
    _pool, _lock = None, threading.Lock()
    _executors.clear()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(close)


def _count() -> int:
    """Cores that this process may use, of which each has memory enough."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # a container's share: microseconds of each period
        share, period = _LIMITS.read_text("ascii").split()
        cores = min(cores, max(1, round(int(share) / int(period))))
    with suppress(OSError, ValueError, AttributeError):
        cores = min(cores, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MEMORY)
    return cores


def _serve() -> None:
    """Answer until nobody asks any more."""
    channel = Connection(os.dup(0))
    functions: dict[int, Callable[..., Any]] = {}
    with suppress(EOFError, ConnectionError):
        while True:
            data = channel.recv_bytes()
            try:
                key, made, call = pickle.loads(data)  # noqa: S301  # from the process that started this one
                if made is not None:
                    functions[key] = pickle.loads(made)()  # noqa: S301
                answer = pickle.dumps((True, functions[key](*call[0], **call[1]) if call else None))
            except Exception:  # whoever asks does it again, and meets it
                answer = _NOT_DONE
            channel.send_bytes(answer)


if __name__ == "__main__":
    _serve()
