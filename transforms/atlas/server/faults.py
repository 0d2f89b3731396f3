"""What goes wrong at the server, how often, and how long an answer takes: drawn by seed, request and attempt.

The same request gets the same faults in the same order whenever it comes and whatever comes beside it, so that a
rehearsal can be repeated; its second attempt is drawn anew.
"""

import hashlib
import math
import random
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

REMEMBERED: Final = 200_000
"""Requests whose attempts are counted; the oldest is forgotten first."""


class Fault(StrEnum):
    """One way to fail. The names are those of the command line."""

    RATE_LIMITED = "429"
    SERVER_ERROR = "500"
    OVERLOADED = "503"
    STALL = "stall"
    """No answer for `stall_s` seconds; then the right one."""
    CUT = "cut"
    """The connection is reset before anything is sent."""
    CUT_BODY = "cut-body"
    """... in the middle of the answer."""
    MALFORMED = "malformed"
    """Status 200, and JSON that breaks off."""
    TRUNCATED = "truncated"
    """The model's reply breaks off, in a tool's arguments where there are any; `finish_reason` is `length`."""
    NO_CHOICES = "no-choices"
    """Status 200, and an empty list of choices."""
    WRONG_TYPE = "wrong-type"
    """Status 200, and a page of HTML."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How the server behaves.

    `shares` are those of requests that meet each fault. An answer takes `latency_s`, but `tail_s` in a share
    `tail_share` of the cases. `retry_after_s` is what a 429 or 503 asks for (None: it does not say); `stall_s` how
    long a stall lasts. `rate_limit`, in requests a second, holds for all models together: what is beyond, a second's
    worth at once aside, is answered with 429.
    """

    shares: Mapping[Fault, float] = field(default_factory=dict)
    latency_s: float = 0.0
    tail_share: float = 0.0
    tail_s: float = 0.0
    retry_after_s: float | None = 1.0
    stall_s: float = 600.0
    rate_limit: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises `ValueError` on what is no share or no time."""
        shares = (*self.shares.values(), self.tail_share)
        if not all(0 <= share <= 1 for share in shares) or sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError("shares of faults are between 0 and 1, and 1 at most together")
        times = (self.latency_s, self.tail_s, self.retry_after_s or 0.0, self.stall_s)
        if not all(math.isfinite(time) and time >= 0 for time in times):
            raise ValueError("times are in seconds, 0 or more")
        if self.rate_limit is not None and not (math.isfinite(self.rate_limit) and self.rate_limit > 0):
            raise ValueError("a rate limit is in requests a second, more than 0")


@dataclass(frozen=True, slots=True)
class Lot:
    """What one request meets: a fault or none, and the seconds that its answer takes."""

    fault: Fault | None
    latency_s: float


class Lots:
    """Draws a lot for each request that comes."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._attempts: OrderedDict[bytes, int] = OrderedDict()

    def draw(self, body: bytes) -> Lot:
        """The lot of the next attempt at the request with this body."""
        request = hashlib.sha256(body).digest()
        attempt = self._attempts.pop(request, 0) + 1
        self._attempts[request] = attempt
        if len(self._attempts) > REMEMBERED:
            self._attempts.popitem(last=False)
        rng = random.Random(f"{self._manners.seed}/{request.hex()}/{attempt}")
        fault, left = None, rng.random()
        for name in Fault:
            share = self._manners.shares.get(name, 0.0)
            if left < share:
                fault = name
                break
            left -= share
        slow = rng.random() < self._manners.tail_share
        return Lot(fault, self._manners.tail_s if slow else self._manners.latency_s)
