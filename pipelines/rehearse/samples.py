"""What previewed seeds asked, seed by seed: samples for a plan.

`gog preview` books each seed's calls under a name of its own, `RUN-preview/FINGERPRINT/SEED`. A request counts once a
seed, with the tokens that it took when it was bought, also where the store answered it this time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gog.pipelines.config.config import Config, fingerprint
from gog.transforms.services.store.records import AnyStore

SUFFIX: Final = "-preview"
_RUN_LENGTH: Final = 64
CONFIDENCE: Final = 0.95


class Range(NamedTuple):
    """From the least that is likely to the most."""

    low: float
    high: float

    def __mul__(self, other: object) -> "Range":
        """Range by range, or by a number."""
        by = other if isinstance(other, Range) else Range(float(other), float(other))  # type: ignore[arg-type]
        return Range(self.low * by.low, self.high * by.high)

    def plus(self, other: "Range") -> "Range":
        """The sum."""
        return Range(self.low + other.low, self.high + other.high)


NOTHING: Final = Range(0.0, 0.0)


@dataclass(slots=True)
class Column:
    """What was asked of one service for one purpose: a number for each seed."""

    calls: list[float]
    read: list[float]
    """Tokens."""
    written: list[float]
    seconds: list[float]
    timed: int = 0
    """Requests whose time is known."""


@dataclass(slots=True)
class Samples:
    """The previewed seeds of a config."""

    seeds: int
    columns: dict[tuple[str, str, str], Column] = field(default_factory=dict)
    """By kind, purpose and the service's id."""

    def take(self, kind: str, purpose: str, provider: str) -> Column | None:
        """The column of a service, for one taker; a provider with a colon at its end stands for all it begins."""
        for key in self.columns:
            if key[:2] == (kind, purpose) and (
                key[2] == provider or (provider.endswith(":") and key[2].startswith(provider))
            ):
                return self.columns.pop(key)
        return None


def booked(run: str) -> str:
    """The name under which a run's previews are booked."""
    return run[: _RUN_LENGTH - len(SUFFIX)] + SUFFIX


def part_of(config: Config, seed_id: str) -> str:
    """The name under which a seed's preview is booked."""
    return f"{booked(config.run)}/{fingerprint(config)}/{seed_id}"


def read_samples(config: Config, store: AnyStore) -> Samples | None:
    """Samples of previews with just this config; None where there are none."""
    made_of = fingerprint(config)
    asked = [one for one in store.asked(booked(config.run)) if one.part.partition("/")[0] == made_of]
    parts = {part: index for index, part in enumerate(dict.fromkeys(one.part for one in asked))}
    if not parts:
        return None
    samples, zeros = Samples(len(parts)), [0.0] * len(parts)
    for one in asked:
        key = (one.kind, one.purpose, one.provider)
        column = samples.columns.setdefault(key, Column(list(zeros), list(zeros), list(zeros), list(zeros)))
        seed = parts[one.part]
        column.calls[seed] += 1
        column.read[seed] += one.prompt_tokens
        column.written[seed] += one.completion_tokens
        if one.seconds is not None:
            column.seconds[seed] += one.seconds
            column.timed += 1
    return samples


def interval(sample: Sequence[float], left: int) -> Range:
    """Where the sum over `left` further seeds lies with 95% confidence, from a number for each of some seeds.

    Student's prediction interval: the mean is uncertain, and the seeds to come vary, too. One seed says little: from
    half to twice.
    """
    count = len(sample)
    mean = sum(sample) / count
    if count == 1 or not left:
        return Range(mean * left / 2, mean * left * 2)
    from scipy.special import stdtrit

    variance = sum((value - mean) ** 2 for value in sample) / (count - 1)
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * math.sqrt(variance * (left * left / count + left))
    return Range(max(0.0, mean * left - half), mean * left + half)


def unseen(seeds: int, left: int) -> Range:
    """Calls of what none of so many seeds made: up to three in as many seeds (95%)."""
    return Range(0.0, 3.0 / seeds * left)


def added(columns: Sequence[Sequence[float]]) -> list[float]:
    """The numbers of several columns, seed by seed."""
    return [sum(numbers) for numbers in zip(*columns, strict=True)]
