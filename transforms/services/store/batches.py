"""Work that is done some at a time: what many tasks ask for while a thread is at work goes together next."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from gog.transforms.services.store.schema import StoreError

I = TypeVar("I")  # noqa: E741  # an item
A = TypeVar("A")  # an answer

MOST: Final = 512


@dataclass(frozen=True, slots=True)
class Again:
    """There is no answer yet: the item is worked on again with what comes next, after so many seconds at most."""

    after_s: float


@dataclass(slots=True, eq=False)
class _Asked(Generic[I, A]):
    item: I
    loop: asyncio.AbstractEventLoop | None = None
    """None where nobody waits for the answer."""
    done: "asyncio.Future[A] | None" = None


class Batches(Generic[I, A]):
    """Items of any event loops and threads, worked on in their order by one thread."""

    def __init__(
        self,
        name: str,
        work: Callable[[list[I]], Sequence[A | Again]],
        *,
        undo: Callable[[I, A], None] = lambda item, answer: None,
    ) -> None:
        """`work` gives an answer for each item; what it raises is raised to each that asked.

        `undo` is told of answers whose asker has gone meanwhile.
        """
        self._work, self._undo = work, undo
        self._queue: queue.SimpleQueue[list[_Asked[I, A]] | threading.Event | None] = queue.SimpleQueue()
        self._outgoing: dict[asyncio.AbstractEventLoop, list[_Asked[I, A]]] = {}
        self._closed = False
        self.trouble: StoreError | None = None
        """Why what nobody waited for was not done."""
        self._thread = threading.Thread(target=self._run, name=f"gog-{name}", daemon=True)
        self._thread.start()

    async def ask(self, item: I) -> A:
        """The answer to an item."""
        if self._closed:
            raise StoreError("the store is closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[A] = loop.create_future()
        outgoing = self._outgoing.setdefault(loop, [])
        outgoing.append(_Asked(item, loop, done))
        if len(outgoing) == 1:
            # What one round of the loop brings goes over together: each wake of the thread costs the loop its turn.
            loop.call_soon(self._hand_over, loop)
        try:
            return await done
        except asyncio.CancelledError:
            if done.done() and not done.cancelled() and done.exception() is None:
                self._undo(item, done.result())
            raise

    def post(self, item: I) -> None:
        """Have an item worked on soon, without waiting."""
        if not self._closed:
            self._queue.put([_Asked(item)])

    def flush(self) -> None:
        """Return when all that came before was worked on once."""
        if not self._closed:
            reached = threading.Event()
            self._queue.put(reached)
            reached.wait()

    def close(self) -> None:
        """Work on what has come, and end the thread; who still waits is told that the store is closed."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        self._queue.put(self._outgoing.pop(loop))

    def _run(self) -> None:
        left: list[_Asked[I, A]] = []
        pause: float | None = None
        stop = False
        while not stop:
            signals, stop = self._collect(left, pause)
            left = [asked for asked in left if asked.done is None or not asked.done.cancelled()]
            again = list[_Asked[I, A]]()
            pause = None
            while left:
                some, left = left[:MOST], left[MOST:]
                for asked, answer in zip(some, self._answers(some), strict=True):
                    if isinstance(answer, Again):
                        again.append(asked)
                        pause = answer.after_s if pause is None else min(pause, answer.after_s)
                    else:
                        self._tell(asked, answer)
            left = again
            for signal in signals:
                signal.set()
        for asked in left:
            self._tell(asked, StoreError("the store is closed"))

    def _collect(self, into: list[_Asked[I, A]], pause: float | None) -> tuple[list[threading.Event], bool]:
        """Add what waits; waits for something to do itself. Returns who wants to hear of it, and whether to stop."""
        signals, stop = list[threading.Event](), False
        deadline = None if pause is None else time.monotonic() + pause
        block = True
        with contextlib.suppress(queue.Empty):
            while True:
                left = None if deadline is None else max(0.001, deadline - time.monotonic())
                got = self._queue.get(block, left if block else None)
                block = False
                if got is None:
                    stop = True
                elif isinstance(got, threading.Event):
                    signals.append(got)
                else:
                    into += got
        return signals, stop

    def _answers(self, some: list[_Asked[I, A]]) -> Sequence[A | Again | BaseException]:
        try:
            return self._work([asked.item for asked in some])
        except BaseException as error:  # the thread must not die with callers waiting
            return [error] * len(some)

    def _tell(self, asked: _Asked[I, A], answer: A | BaseException) -> None:
        if asked.loop is None:
            if isinstance(answer, BaseException):
                self.trouble = answer if isinstance(answer, StoreError) else StoreError(repr(answer))
            return
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            asked.loop.call_soon_threadsafe(self._resolve, asked, answer)

    def _resolve(self, asked: _Asked[I, A], answer: A | BaseException) -> None:
        assert asked.done is not None
        if isinstance(answer, BaseException):
            if not asked.done.done():
                asked.done.set_exception(answer)
        elif asked.done.done():
            self._undo(asked.item, answer)
        else:
            asked.done.set_result(answer)
