"""One event loop a process, on a thread of its own, and what the process shares on it.

Beam makes several instances of a DoFn, on several threads. Limits and budgets must hold for the process, so all of
them meet on this loop, and share one `Gateway`.
"""

import asyncio
import atexit
import contextlib
import ctypes
import gc
import os
import threading
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Final, TypeVar, cast

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""Both of glibc's `malloc.h`."""
_APART: Final = 4 << 20
"""Bytes from which on a piece of memory is the system's again once it is freed: a little more than a picture's."""

_OTHER_LIBRARIES: Final = contextlib.suppress(AttributeError, OSError, TypeError)
"""What a C library says that is not glibc."""

_lock = threading.RLock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}
_shared: dict[tuple[int, Hashable], Any] = {}


def _after_fork() -> None:
    # The parent may have held the lock at the fork; its loop and its shared things have no thread here.
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


def process_loop() -> asyncio.AbstractEventLoop:
    """The process's event loop; started on the first call. A forked child gets its own."""
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            # Modules and the like stay for good, and walking them over and over takes longer than the calls do.
            gc.freeze()
            one_heap()
            atexit.register(gc.unfreeze)  # or what nanobind made (DuckDB) counts as leaked at the end, at length
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="gog-loop", daemon=True).start()
            _loops[os.getpid()] = loop
        return loop


def run_on_loop(work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
    """What comes of work on the process's loop, waited for by a thread that has none; Ctrl-C cancels it."""
    future = asyncio.run_coroutine_threadsafe(work, process_loop())
    try:
        return future.result(timeout_s)
    except KeyboardInterrupt:
        future.cancel()
        raise


def one_heap() -> None:
    """Have glibc's malloc keep one heap for all threads: pictures of megabytes leave holes in every heap they visit.

    What is larger than a picture stays out of it. To be called early: threads that have a heap of their own keep it.
    """
    with _OTHER_LIBRARIES:
        malloc = ctypes.CDLL(None)
        malloc.mallopt(_M_ARENA_MAX, 1)
        malloc.mallopt(_M_MMAP_THRESHOLD, _APART)


def tidy() -> None:
    """Give back what a finished pipeline held: Beam leaves its rows in rings of objects, and malloc keeps the holes."""
    gc.collect()
    with _OTHER_LIBRARIES:
        ctypes.CDLL(None).malloc_trim(0)


async def joined(tasks: dict[K, asyncio.Task[T]], key: K, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What `work` gives. Those who ask for the key meanwhile wait for the same run, which none ends by leaving."""
    task = tasks.get(key)
    if task is None or task.get_loop() is not asyncio.get_running_loop():
        task = tasks[key] = asyncio.create_task(work())
        task.add_done_callback(partial(_landed, tasks, key))
    return await asyncio.shield(task)


def _landed(tasks: dict[K, asyncio.Task[T]], key: K, task: asyncio.Task[T]) -> None:
    if tasks.get(key) is task:
        del tasks[key]
    if not task.cancelled():
        task.exception()  # seen, even where whoever waited has gone


def shared(key: Hashable, make: Callable[[], T]) -> T:
    """What this process shares under the key; made on the first call. `make` may share things itself."""
    with _lock:
        if (os.getpid(), key) not in _shared:
            _shared[os.getpid(), key] = make()
        return cast(T, _shared[os.getpid(), key])


def unshare(key: Hashable) -> Any:
    """Forget what is shared under the key, and return it (None when there is nothing): the caller closes it."""
    with _lock:
        return _shared.pop((os.getpid(), key), None)


def peek(key: Hashable) -> Any:
    """What is shared under the key, or None: for watching without opening. Never waits for one that is being made."""
    return _shared.get((os.getpid(), key))
