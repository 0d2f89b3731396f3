"""Work on the process's loop for code that waits: so much at a time, results as they come."""

import asyncio
import queue
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from gog.transforms.services.loop import process_loop

U = TypeVar("U")
R = TypeVar("R")


def in_window(units: Iterable[U], work: Callable[[U], Coroutine[Any, Any, R]], width: int) -> Iterator[R]:
    """Results of `work` (a coroutine function, run on the process's loop) as they finish, at most `width` in flight.

    The units are drawn as places come free. An error, or Ctrl-C, cancels what is in flight and goes on to the caller.
    """
    finished: queue.SimpleQueue[Future[R]] = queue.SimpleQueue()
    flying: set[Future[R]] = set()
    source = iter(units)
    try:
        exhausted = False
        while True:
            while not exhausted and len(flying) < width:
                unit = next(source, None)
                if unit is None:
                    exhausted = True
                    break
                future = asyncio.run_coroutine_threadsafe(work(unit), process_loop())
                flying.add(future)
                future.add_done_callback(finished.put)
            if not flying:
                return
            future = finished.get()
            flying.discard(future)
            yield future.result()
    finally:
        for future in flying:
            future.cancel()
