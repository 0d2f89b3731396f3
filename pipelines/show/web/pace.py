"""How long the rest of a review will take."""

from collections.abc import Mapping
from itertools import pairwise
from statistics import median
from typing import Final

from gog.schemas import Review

PAUSE_S: Final = 300.0
"""Longer than this between two decisions, and somebody was away."""
LATEST: Final = 60
LEAST: Final = 4
"""Gaps between decisions that are looked at, and fewer of which say nothing."""


def minutes_left(reviews: Mapping[str, Mapping[str, Review]], who: str, left: int) -> int | None:
    """Minutes that one person needs for so many more, by their latest decisions; None while nobody can tell."""
    own = (by[who] for by in reviews.values() if who in by)
    made = sorted(review.made for review in own if review.decision is not None and not review.bulk)[-LATEST - 1 :]
    gaps = [later - earlier for earlier, later in pairwise(made) if later - earlier < PAUSE_S]
    return max(1, round(left * median(gaps) / 60)) if len(gaps) >= LEAST and left > 0 else None
