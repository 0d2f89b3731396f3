"""Screening: what a few answers without tools say of a seed.

Source: Glance-or-Gaze, arXiv 2601.13942, the uncertainty filter of stage 1: right 4 of 4 times is too easy to search.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gog.schemas import Outcome


@dataclass(frozen=True, slots=True)
class ScreenResult:
    """What the passes say. `reason` is empty, or `screen.teacher_failed` when too few of them could be settled."""

    passes: int
    settled: int
    unknown: int
    pass_rate: float
    """Passes over settled ones, 0 when none was settled."""
    easy: bool
    reason: str = ""


def screen(outcomes: Sequence[Outcome], *, least_settled: float = 0.5) -> ScreenResult:
    """Judge a seed by the outcomes of all its passes; one that failed, or that nobody could judge, is `UNKNOWN`.

    Easy means right in every pass that was asked for: a pass that nobody could settle leaves it unproven, and the
    seed goes on, at the price of some searches. The seed leaves only when fewer than `least_settled` of the passes
    were settled: a single failure among several does not cost a seed, and a pass rate over one pass of four, which
    decides whether an answer without search is trusted, would be a coin's. Without any pass there is nothing to say:
    neither easy nor failed.
    """
    passes = sum(outcome is Outcome.CORRECT for outcome in outcomes)
    settled = sum(outcome is not Outcome.UNKNOWN for outcome in outcomes)
    total = len(outcomes)
    return ScreenResult(
        passes=passes,
        settled=settled,
        unknown=total - settled,
        pass_rate=passes / settled if settled else 0.0,
        easy=0 < total == passes,
        reason="screen.teacher_failed" if settled < math.ceil(total * least_settled) else "",
    )
