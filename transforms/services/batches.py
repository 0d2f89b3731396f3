"""Calls that arrive while a model is busy go through it together."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Batches(Generic[A, B]):
    """One function of many at a time, on one thread: a model is one instance and runs one batch.

    The first call goes at once; those that come meanwhile make the next batch, up to `size`, all of the same
    group. So nothing ever waits for a batch to fill.
    """

    def __init__(self, work: Callable[[Hashable, Sequence[A]], Sequence[B | Exception]], size: int) -> None:
        """`work` gets a group and its inputs, and returns an answer or an exception for each."""
        self._work, self._size = work, size
        self._waiting: list[tuple[Hashable, A, asyncio.Future[B]]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gog-model")
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, group: Hashable, one: A) -> B:
        """The answer to one input."""
        answer: asyncio.Future[B] = asyncio.get_running_loop().create_future()
        self._waiting.append((group, one, answer))
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            group = self._waiting[0][0]
            mine = [entry for entry in self._waiting if entry[0] == group and not entry[2].done()][: self._size]
            taken = {id(entry) for entry in mine}
            self._waiting = [entry for entry in self._waiting if id(entry) not in taken and not entry[2].done()]
            if not mine:
                continue
            try:
                inputs = [one for _, one, _ in mine]
                answers = await asyncio.get_running_loop().run_in_executor(self._thread, self._work, group, inputs)
            except Exception as error:  # whatever a model raises is each caller's to hear
                answers = [error] * len(mine)
            for (_, _, future), answer in zip(mine, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
