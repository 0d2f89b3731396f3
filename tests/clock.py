"""A clock that tests own, for code on an event loop."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable


class Clock:
    """Time that passes only when everybody waits for it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait until so many seconds have passed."""
        self._count += 1
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, future))
        await future

    async def run(self, scenario: Awaitable[None]) -> None:
        """Drive the scenario to its end, from one wake-up to the next."""
        task = asyncio.ensure_future(scenario)
        while not task.done():
            for _ in range(20):
                await asyncio.sleep(0)
            while self._sleepers and self._sleepers[0][2].done():
                heapq.heappop(self._sleepers)
            if task.done():
                break
            assert self._sleepers, "everybody waits and nobody sleeps"
            due, _, future = heapq.heappop(self._sleepers)
            self.now = max(self.now, due)
            future.set_result(None)
        await task


def play(scenario: Callable[[Clock], Awaitable[None]]) -> None:
    """Run the scenario on a clock of its own."""
    clock = Clock()
    asyncio.run(clock.run(scenario(clock)))
