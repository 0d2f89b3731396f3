"""How many requests a second a provider bears: found from its refusals, which may come by the rate or by chance.

There is no rate until more calls are refused than by chance: a refused call waits by itself, which costs the others
nothing, and a rate would slow them all. Then, in turn (one epoch each, at one rate, which counts only the calls that
were admitted in it):

- rest: well below what was borne. Whatever is refused here is refused at any rate: the noise, which later epochs are
  allowed. Noise is believed only when the share refused did not fall with the rate.
- hold: a little below what was borne, the longer the more often climbing from here gained nothing.
- climb: up by steps that double while more than the noise is not refused. It ends in a hold after a step that lost a
  call or two, and in a rest after one that lost more.
- pause: nearly everything is refused. One call at a time asks whether that is over.

The plateau and the rare probes above it are CUBIC's idea; trying two rates to tell chance from congestion is PCC's.
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from statistics import median_low
from typing import Final

from gog.transforms.services.gateway.bucket import Bucket

CHANCE: Final = (6, 0.25)
"""Refusals that chance may bring: so many, and that share of the latest `BLOCK` calls. Of a provider that refuses 15%
by chance alone, 64 calls have as many in one case of 20,000; one whose limit is reached gets there in a moment."""
LEAST_RATE: Final = 0.2
"""Requests a second."""
RESTING: Final = 0.8
"""Rate of a rest, relative to what was borne."""
HOLDING: Final = 0.94
"""Rate of a hold, likewise."""
FIRST_STEP: Final = 0.04
"""First step of a climb, relative to the rate that was held."""
HOLD_S: Final = (6.0, 60.0)
"""Shortest and longest hold. It is doubled where the climb before led to within `NEAR` times the rate it began at."""
NEAR: Final = 1.1
STEP_S: Final = 2.0
STEP_CALLS: Final = 32
"""What a step of the climb lasts, at least,"""
LONGEST_STEP_S: Final = 6.0
"""but no longer: at a rate far below what is borne, calls are few."""
BELIEVED: Final = (0.5, 0.9)
"""What is believed when a climb fails, as what the last step bore may have been saved up before: the share of what was
climbed, or the share of the last step, whichever is more."""
LEAST_LEFT: Final = 0.25
"""Share of the rate that is left by a pause: what was borne in bursts, between waits, tells too little of it."""
BINDING: Final = 0.8
"""Share of the rate that must be used for a climb: otherwise it would drift far from what was tried."""
REST_CALLS: Final = 40
REST_S: Final = (1.5, 2.0, 10.0)
"""Seconds of a rest: with `REST_CALLS`, with ten calls and no refusal, with less."""
SETTLE_S: Final = 1.0
"""Refusals in the beginning of a rest are still owed to the rate before, as where a provider counts by the second."""
SURE: Final = 12
"""Calls that tell a share."""
PLAIN: Final = 3
"""Refusals that need no more calls to be told from chance."""
BLOCK: Final = 64
"""Calls among which refusals are counted as one event."""
RESTS: Final = 5
"""Of the shares refused in so many rests, the middle one is taken for the noise."""
MOST_NOISE: Final = 0.25
"""A larger share is always the rate's."""
RECHECK_S: Final = 60.0
"""After so long noise of more than a fiftieth is measured anew."""
OBSERVE_S: Final = 10.0
"""How far back counts as lately."""
LATEST: Final = 10
"""Calls of which four fifths refused make a pause."""
_PAUSE_S: Final = 0.25
"""First pause; doubled with each refusal that says no time of its own."""


class Phase(Enum):
    """What the rate is doing."""

    FREE = auto()
    REST = auto()
    HOLD = auto()
    CLIMB = auto()
    PAUSE = auto()


@dataclass(slots=True, eq=False)
class Admitted:
    """An admitted call. Until it is known to be refused it counts as borne."""

    at: float
    epoch: int
    refused: bool = False


@dataclass(slots=True)
class _Doubt:
    """A share that was refused at a rate; `sure` when enough calls say so."""

    rate: float
    share: float
    sure: bool


class AdaptiveRate:
    """The rate that a provider seems to bear. Times are in seconds on the caller's clock."""

    def __init__(self) -> None:
        self.bucket: Bucket | None = None
        """Paces admissions; None while refusals may be chance."""
        self.phase = Phase.FREE
        self.held_until = -math.inf
        """Nothing goes out before, whatever the rate: set by the gate."""
        self._attempts: deque[Admitted] = deque(maxlen=4096)
        self._latest: deque[Admitted] = deque(maxlen=LATEST)
        self._free: deque[Admitted] = deque(maxlen=BLOCK)
        """The latest calls while there is no rate, in the order in which they went out: refusals come back first."""
        self._epoch, self._began = 0, 0.0
        self._count = self._n = self._k = self._first = 0
        self._level = 0.0
        self._step, self._hold_s, self._base = FIRST_STEP, HOLD_S[0], 0.0
        self._shares: deque[float] = deque(maxlen=RESTS)
        self._rested = 0.0
        self._doubt = _Doubt(0.0, 1.0, False)

    @property
    def noise(self) -> float:
        """Share of calls that is refused at any rate, as far as known."""
        return median_low(self._shares) if self._shares else 0.0

    def admitted(self, now: float) -> Admitted:
        """Count a call that goes out; tell `outcome` of it."""
        settling = self.phase is Phase.REST and now < self._began + SETTLE_S
        attempt = Admitted(now, -1 if settling else self._epoch)
        self._attempts.append(attempt)
        self._latest.append(attempt)
        if self.bucket is None:
            self._free.append(attempt)
        else:
            self.bucket.take(1, now)
        if self.bucket and not settling:
            self._count += 1
            self._n += 1
            if self._n > BLOCK and self.phase is not Phase.REST and (not self._k or self._since >= SURE):
                self._n, self._k, self._first = 1, 0, 0
            self._judge(now)
            self._advance(now)
        return attempt

    def wait(self, now: float) -> float:
        """Seconds until a call may go out."""
        return self.bucket.wait(1, now) if self.bucket else 0.0

    def outcome(self, attempt: Admitted, refused: bool, now: float) -> None:
        """Whether the call was refused."""
        attempt.refused = refused
        current = attempt.epoch == self._epoch
        if self.bucket is None:
            if refused and self._refused_a_lot:
                self._level = self._borne(now)
                self._rest(now)
        elif self.phase is Phase.PAUSE:
            if current:
                self._asked(refused, now)
        elif refused and sum(a.refused for a in self._latest) >= 0.8 * LATEST:
            self._level = 0.9 * min(self._level, max(self._borne(now), LEAST_LEFT * self._level))
            self._enter(Phase.PAUSE, 1 / _PAUSE_S, now)
        elif refused and current:
            self._k += 1
            self._first = self._first or self._n
            self._judge(now)

    @property
    def _refused_a_lot(self) -> bool:
        """Whether more of the calls without a rate were refused than by chance."""
        least, share = CHANCE
        return sum(attempt.refused for attempt in self._free) >= least + share * len(self._free)

    def _judge(self, now: float) -> None:
        """Leave a hold or a climb where more than the noise is refused, by two standard deviations and two calls."""
        expected = self.noise * self._n
        excess = self._k >= 2 + expected + 2 * math.sqrt(expected)
        if excess and self.phase is not Phase.REST and (self._since >= SURE or self._k >= PLAIN):
            self._fail(now)

    @property
    def _since(self) -> int:
        """Calls after the first refusal of the epoch. Those before it may have been borne by a burst allowed."""
        return self._n - self._first if self._first else 0

    @property
    def _share(self) -> float:
        """Share of those that was refused."""
        return (self._k - 1) / self._since if self._since else 0.0

    @property
    def _burst(self) -> bool:
        """Whether a hold fell into this epoch. What a provider allows at once has filled up meanwhile: shares refused
        then say too little.
        """
        return self.held_until > self._began

    def _borne(self, now: float) -> float:
        """Requests a second that were not refused lately."""
        while self._attempts and self._attempts[0].at < now - OBSERVE_S:
            self._attempts.popleft()
        borne = sum(not attempt.refused for attempt in self._attempts)
        return max(1, borne) / max(0.25, now - self._attempts[0].at if self._attempts else 0.0)

    def _advance(self, now: float) -> None:
        """Go on to the next phase where this one has lasted long enough."""
        lasted = now - max(self._began, self.held_until)
        binding = self._count >= BINDING * self._rate * lasted
        match self.phase:
            case Phase.REST:
                few, some, any_ = REST_S
                needed = few if self._n >= REST_CALLS else some if self._n >= 10 and not self._k else any_
                if self._since >= SURE if self._k >= 3 else lasted >= needed or now - self._began > any_:
                    self._rise(now)
            case Phase.HOLD | Phase.CLIMB if self.noise > 0.02 and now - self._rested >= RECHECK_S:
                self._doubt = _Doubt(self._rate, self.noise, True)
                self._rest(now)
            case Phase.HOLD if lasted >= self._hold_s:
                if binding:
                    self._begin_climb(now)
                else:
                    self._enter(Phase.HOLD, self._rate, now)
            case Phase.CLIMB if lasted >= STEP_S and (self._count >= STEP_CALLS or lasted >= LONGEST_STEP_S):
                if self._k > self.noise * self._n:
                    self._enter(Phase.HOLD, HOLDING * self._level, now)
                else:
                    if binding:
                        self._level, self._step = self._rate, min(1.0, 2 * self._step)
                    self._enter(Phase.CLIMB, self._level * (1 + self._step), now)

    def _begin_climb(self, now: float) -> None:
        near = self._base / NEAR < self._level < self._base * NEAR
        self._hold_s = min(HOLD_S[1], 2 * self._hold_s) if near else HOLD_S[0]
        self._step, self._base = FIRST_STEP, self._level
        self._enter(Phase.CLIMB, self._level * (1 + self._step), now)

    def _fail(self, now: float) -> None:
        """Too much was refused in a hold or a climb."""
        rate, climbing = self._rate, self.phase is Phase.CLIMB
        self._doubt = _Doubt(rate, self._share, self._since >= SURE)
        # Few calls say little: the share is shrunk towards none.
        borne = rate * (1 - (self._k - 1) / (self._since + 8)) / (1 - self.noise)
        self._level = min(borne, self._believed if climbing else rate)
        if self._burst:
            self._level = min(self._level, self._borne(now))
        self._rest(now)

    @property
    def _believed(self) -> float:
        """What is believed of a climb that failed."""
        climbed, last = BELIEVED
        return max(self._base + climbed * (self._level - self._base), last * self._level)

    def _rest(self, now: float) -> None:
        self._enter(Phase.REST, RESTING * self._level, now)

    def _rise(self, now: float) -> None:
        """The end of a rest: what was refused in it is noise, or the rate is still too high."""
        share, doubt, rate = self._share, self._doubt, self._rate
        self._rested = now
        if self._k < 3:
            self._shares.append(self._k / self._n)
            self._enter(Phase.HOLD, HOLDING * self._level, now)
        elif doubt.sure and not self._burst and doubt.share / 2 <= share < MOST_NOISE:
            self._shares.append(share)
            self._level, self._hold_s = max(self._level, doubt.rate), 1.0
            self._enter(Phase.HOLD, self._level, now)
        else:
            self._doubt = _Doubt(rate, share, self._since >= SURE)
            self._level = rate * (1 - share)
            if self._burst:
                self._level = min(self._level, self._borne(now))
            self._rest(now)

    def _asked(self, refused: bool, now: float) -> None:
        """What a call in a pause came to."""
        if refused:
            # Where the provider said until when, that is waited for already.
            self._enter(Phase.PAUSE, 1 / _PAUSE_S if self.held_until > now else self._rate / 2, now)
        else:
            self._latest.clear()
            self._rest(now)

    @property
    def _rate(self) -> float:
        return self.bucket.rate if self.bucket else 0.0

    def _enter(self, phase: Phase, rate: float, now: float) -> None:
        rate = max(LEAST_RATE, rate)
        burst = 0.0 if phase is Phase.PAUSE else rate * 0.1
        self.bucket = Bucket(rate, max(1.0, burst), now)
        self.bucket.take(self.bucket.capacity, now)
        self.phase, self._began = phase, now
        self._epoch += 1
        self._count = self._n = self._k = self._first = 0
