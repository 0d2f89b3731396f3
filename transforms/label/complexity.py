"""Complexity: how hard a seed is for one policy, from how often it passes.

Source: Glance-or-Gaze, arXiv 2601.13942, stage 2: level 1 about half of the tries pass, level 2 mostly fails.
"""

import math
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gog.schemas import Complexity, Outcome, Reject, Unit


class ComplexitySettings(BaseModel):
    """Where levels begin, as pass rates, and how many tries have to be settled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    easy_from: float = Field(default=0.8, gt=0, le=1)
    """Level 0 from this pass rate on."""
    hard_below: float = Field(default=0.3, ge=0, le=1)
    """Level 2 below this pass rate; level 1 between the two."""
    least_settled: float = Field(default=0.5, ge=0, le=1)
    """Share of the tries that have to be settled, at least one."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.hard_below > self.easy_from:
            raise ValueError("hard_below must not be above easy_from")
        return self


def wilson(passes: float, k: float, z: float = 1.96) -> tuple[float, float]:
    """Wilson score interval of a pass rate (95% for z = 1.96); everything, 0 to 1, when k is 0.

    Of a weighted sample `k` is its effective size, which need not be whole.
    Source: Wilson 1927, J. Am. Stat. Assoc. 22.
    """
    if not 0 <= passes <= k:
        raise ValueError(f"{passes} passes of {k} tries")
    if k == 0:
        return 0.0, 1.0
    rate, square = passes / k, z * z / k
    centre = (rate + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(rate * (1 - rate) / k + square / (4 * k))
    # Rounding must not push a bound past the rate itself.
    return max(0.0, min(rate, centre - half)), min(1.0, max(rate, centre + half))


def complexity(
    seed_id: str,
    policy: str,
    outcomes: Sequence[Outcome],
    settings: ComplexitySettings = ComplexitySettings(),  # noqa: B008
    *,
    solvable: bool,
) -> Complexity | Reject:
    """The seed's complexity for a policy, or why it has none.

    Unknown outcomes leave k. `solvable` says whether a verified trajectory of the seed exists: without one a seed
    that no try passed is `label.unsolvable`. Too few settled tries are `label.unknown`.
    """
    passes = sum(outcome is Outcome.CORRECT for outcome in outcomes)
    k = sum(outcome is not Outcome.UNKNOWN for outcome in outcomes)
    if k < max(1, math.ceil(len(outcomes) * settings.least_settled)):
        return _reject(seed_id, policy, "label.unknown", f"{k} of {len(outcomes)} tries settled")
    if passes == 0 and not solvable:
        return _reject(seed_id, policy, "label.unsolvable", f"0 of {k} tries passed")
    rate = passes / k
    low, high = wilson(passes, k)
    return Complexity(
        seed_id=seed_id,
        policy=policy,
        k=k,
        passes=passes,
        unknown=len(outcomes) - k,
        pass_rate=rate,
        low=low,
        high=high,
        level=level_of(rate, settings),
    )


def level_of(pass_rate: float, settings: ComplexitySettings) -> Literal[0, 1, 2]:
    """The level of a pass rate."""
    if pass_rate >= settings.easy_from:
        return 0
    return 2 if pass_rate < settings.hard_below else 1


def _reject(seed_id: str, policy: str, reason: str, detail: str) -> Reject:
    return Reject.of("label", Unit.SEED, seed_id, reason, detail=f"{policy}: {detail}", seed_id=seed_id)
