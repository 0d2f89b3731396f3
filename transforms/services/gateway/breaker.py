"""A set-up that is wrong is found by the first calls, before all the others are made.

A key that nobody knows, a model that is not there, a budget that is used up: such calls fail alike, every one. Until a
provider has answered something, few calls of it are in flight, and a bad request is not believed to be the request's
own: it is tried again like a failure that passes. Many refusals in a row without an answer stop the run.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.store.records import Entry, Kept

FIRST_CALLS: Final = 4
"""Calls in flight to a provider that has answered nothing yet."""
AT_FIRST: Final = 5
"""Refusals of a provider that has answered nothing to this process, or questions that it never answered: a stop."""
IN_A_ROW: Final = 20
"""Refusals in a row of one that has."""
SILENT_S: Final = 600.0
"""Refusals for the rate and nothing else for so long: a stop."""
WRONG: Final = frozenset({FailureClass.AUTH, FailureClass.BAD_REQUEST, FailureClass.NOT_FOUND})
"""What may be the set-up's."""
STOPPED: Final = "set-up: "
"""How it begins why a run was stopped."""


@dataclass(slots=True)
class _Seen:
    """What a provider has done since its last answer to this process."""

    answered: bool = False
    refused: int = 0
    unanswered: int = 0
    limited_since: float | None = None
    in_flight: int = 0
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def wake(self) -> None:
        """Let those who wait look again."""
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class Breaker:
    """Watches the services of a process; for one event loop.

    Pages are not watched: what comes of one tells of its site.
    """

    def __init__(
        self, answered: Iterable[str] = (), *, active: bool = True, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """`answered` are the ids of services that answered earlier parts of the run; `clock` is in seconds."""
        self._before, self._active, self._clock = frozenset(answered), active, clock
        self._seen: dict[str, _Seen] = {}
        self._doubted: dict[str, dict[str, tuple[float, Entry]]] = {}
        """By service, and key: requests that it called bad, with when, until it answers a later one."""

    def forget(self) -> None:
        """Begin to count anew; who has answered has."""
        for seen in self._seen.values():
            seen.refused, seen.unanswered, seen.limited_since = 0, 0, None

    @asynccontextmanager
    async def turn(self, kind: str, provider: str) -> AsyncIterator[None]:
        """Waits while a service that has answered nothing yet has enough calls in flight."""
        seen = self._of(provider)
        while self._watches(kind) and not seen.answered and seen.in_flight >= FIRST_CALLS:
            future = asyncio.get_running_loop().create_future()
            seen.waiting.append(future)
            await future
        seen.in_flight += 1
        try:
            yield
        finally:
            seen.in_flight -= 1
            seen.wake()

    def answer(self, provider: str, began: float) -> list[Entry]:
        """It answered a call that began then; returns the bad requests before, which are so and may be kept."""
        seen = self._of(provider)
        seen.answered, seen.refused, seen.unanswered, seen.limited_since = True, 0, 0, None
        seen.wake()
        doubted = self._doubted.get(provider, {})
        believed = [entry for moment, entry in doubted.values() if moment < began]
        for entry in believed:
            del doubted[entry.key]
        return believed

    def passes(self, kind: str, provider: str, error: ServiceError) -> bool:
        """Whether a call is made again: also where a service that has answered nothing yet calls it bad."""
        doubted = error.failure is not FailureClass.AUTH and self.is_setup(kind, provider, error)
        return error.failure.passing or doubted

    def is_setup(self, kind: str, provider: str, error: ServiceError) -> bool:
        """Whether a failure is taken for the set-up's: that of a service which has never answered the run."""
        wrong = error.failure is FailureClass.AUTH or (kind == "chat" and error.failure in WRONG)
        return self._watches(kind) and wrong and not (provider in self._before or self._of(provider).answered)

    def refuse(self, kind: str, provider: str, error: ServiceError) -> str:
        """A call failed; returns why the run is to stop, or nothing."""
        seen = self._of(provider)
        if not self._watches(kind):
            return ""
        if error.failure is FailureClass.RATE_LIMITED:
            now = self._clock()
            seen.limited_since = now if seen.limited_since is None else seen.limited_since
            silent = now - seen.limited_since
            if silent < SILENT_S:
                return ""
            return self._stop(f"{provider} has refused every call for {silent / 60:.0f} minutes: {error.detail}")
        if error.failure is not FailureClass.AUTH and (kind != "chat" or error.failure not in WRONG):
            return ""
        seen.refused += 1
        if seen.refused < (IN_A_ROW if seen.answered else AT_FIRST):
            return ""
        which = f"the last {seen.refused}" if seen.answered else f"the first {seen.refused}"
        return self._stop(f"{which} calls of {provider} were all refused: {error.detail}")

    def give_up(self, kind: str, provider: str, error: ServiceError) -> str:
        """A question ended without an answer after all its tries; returns why the run is to stop, or nothing."""
        seen = self._of(provider)
        if not self._watches(kind) or seen.answered or provider in self._before or not error.failure.passing:
            return ""
        seen.unanswered += 1
        if seen.unanswered < AT_FIRST:
            return ""
        return self._stop(f"{provider} has answered none of the first {seen.unanswered} questions: {error.detail}")

    def doubts(self, entry: Entry) -> bool:
        """Whether a bad request is held back until its service answers another.

        Where it calls all of them bad, the set-up is wrong, and the store shall know nothing of it.
        """
        if not (self._watches(entry.kind) and entry.kind == "chat" and entry.kept.failure in WRONG):
            return False
        self._doubted.setdefault(entry.provider, {})[entry.key] = (self._clock(), entry)
        return True

    def doubted(self, provider: str, key: str) -> Kept | None:
        """What is held back of a request."""
        held = self._doubted.get(provider, {}).get(key)
        return held[1].kept if held else None

    def _stop(self, why: str) -> str:
        self._doubted.clear()
        return STOPPED + why

    def _watches(self, kind: str) -> bool:
        return self._active and kind != "page"

    def _of(self, provider: str) -> _Seen:
        return self._seen.setdefault(provider, _Seen())
