"""When a failed call is made again."""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ServiceError

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

LONGEST_WAIT_S: Final = 300.0
"""What a provider's `Retry-After` may ask for at most."""
SPREAD: Final = 0.1
"""Share of it by which callers that were told the same come apart."""
_log = logging.getLogger(__name__)


class Retry(BaseModel):
    """How passing failures are tried again, and how long one attempt may take.

    There are `attempts` in all, with pauses between them that double from `initial_s` to `longest_s`. Where there may
    be several, a refusal for the rate (429) goes on to be tried until its pauses come to `patience_s`: a quota of a few
    calls a minute refuses a call many times before its turn comes, and that is no fault of the call.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(default=5, ge=1)
    """Times that a call is made, at most."""
    initial_s: float = Field(default=0.5, ge=0)
    """First pause, in seconds; each further one doubles."""
    longest_s: float = Field(default=30.0, ge=0)
    """Longest pause, in seconds."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Seconds that an attempt may take."""
    patience_s: float = Field(default=600.0, ge=0)
    """Seconds that refusals for the rate (429) are waited for, in sum."""

    def pause(self, attempt: int, retry_after: float | None, draw: float) -> float:
        """Seconds to wait after the attempt of that number (from 1); `draw` in [0, 1) spreads callers apart.

        Never earlier than asked for, and no later either until refusals have doubled the pause beyond that: a provider
        that refuses by chance would else hold a call up for longer than it says.
        """
        backoff = min(self.longest_s, self.initial_s * 2.0 ** min(attempt - 1, 60))
        if retry_after is None or not math.isfinite(retry_after):
            retry_after = 0.0
        asked = min(max(0.0, retry_after), LONGEST_WAIT_S)
        # At least half the backoff, so that a draw of nothing is still a pause.
        return max(asked * (1 + SPREAD * draw), backoff * (0.5 + 0.5 * draw))


async def with_retries(
    make: Callable[[], Awaitable[T]],
    retry: Retry,
    rng: random.Random,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    name: str = "",
    passes: Callable[[ServiceError], bool] = lambda error: error.failure.passing,
) -> T:
    """The result of `make`, tried again while its `ServiceError` is one that `passes`; the last error is raised.

    `name` is what the log calls the request.
    """
    try:
        # tenacity costs more than the rest of a call together; a call that succeeds at once does without it.
        return await make()
    except ServiceError as error:
        if not passes(error):
            raise
        failed: list[ServiceError] = [error]
    from tenacity import AsyncRetrying, retry_if_exception

    paused = 0.0

    async def attempt() -> T:
        if failed:  # tenacity begins with what has already happened
            raise failed.pop()
        return await make()

    def over(state: "RetryCallState") -> bool:
        error = state.outcome.exception() if state.outcome else None
        limited = isinstance(error, ServiceError) and error.failure is FailureClass.RATE_LIMITED
        patient = limited and retry.attempts > 1 and paused < retry.patience_s
        return state.attempt_number >= retry.attempts and not patient

    def wait(state: "RetryCallState") -> float:
        nonlocal paused
        error = state.outcome.exception() if state.outcome else None
        retry_after = error.retry_after if isinstance(error, ServiceError) else None
        pause = retry.pause(state.attempt_number, retry_after, rng.random())
        paused += pause
        _log.info("retry request=%s after=%d pause_s=%.1f error=%.300r", name, state.attempt_number, pause, error)
        return pause

    again = AsyncRetrying(
        sleep=sleep,
        stop=over,
        wait=wait,
        retry=retry_if_exception(lambda error: isinstance(error, ServiceError) and passes(error)),
        reraise=True,
    )
    return await again(attempt)
