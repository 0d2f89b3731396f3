"""From scores to numbers: shares, the protocols' own aggregates, and intervals by resampling the items.

Scores that are alike (same value, grade and groups) make one cell. A resample of the items is then a draw of how often
each cell comes up, which is the same bootstrap and does not grow with the benchmark.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gog.transforms.evaluate.protocols.scores import Grade, Score

Array = NDArray[np.float64]

RESAMPLES: Final = 2000
LEVEL: Final = 0.95
"""Of the intervals."""


class Cell(NamedTuple):
    """What of a score the measures see."""

    value: float
    grade: Grade
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share (0 to 1) of `n` settled items, with its bootstrap interval; None where there is nothing to divide by."""

    value: float | None
    low: float | None
    high: float | None
    n: int


NOTHING: Final = Estimate(None, None, None, 0)
"""Of no items."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number made of cells. `of` takes how often each cell occurs (rows: resamples) and gives one number a row, NaN
    where it is not defined; `counts` says which cells it is about.
    """

    of: Callable[[Array], Array]
    counts: Array


Measures = Callable[[Sequence[Cell]], Mapping[str, Measure]]
"""What a protocol reports: its measures by name, in order, for given cells."""


def cell(score: Score) -> Cell | None:
    """The score's cell; None for a score that is unknown."""
    return None if score.value is None else Cell(score.value, score.grade, score.groups)


def ratio(numerator: Iterable[float | bool], denominator: Iterable[float | bool]) -> Measure:
    """A share: both say how much one item of each cell adds."""
    top, bottom = np.asarray([*numerator], dtype=np.float64), np.asarray([*denominator], dtype=np.float64)

    def of(weights: Array) -> Array:
        return divide(weights @ top, weights @ bottom)

    return Measure(of, (bottom > 0).astype(np.float64))


def mean(cells: Sequence[Cell], group: str | None = None) -> Measure:
    """The mean value, of a group or of all."""
    inside = [group is None or group in each.groups for each in cells]
    return ratio((each.value * here for each, here in zip(cells, inside, strict=True)), inside)


def means(cells: Sequence[Cell], names: Iterable[str] | None = None) -> dict[str, Measure]:
    """The mean value of each group that occurs, or of those named that do; in order of the name, or as named."""
    present = {group for each in cells for group in each.groups}
    return {name: mean(cells, name) for name in (sorted(present) if names is None else names) if name in present}


def divide(top: Array, bottom: Array) -> Array:
    """Element by element; NaN over zero."""
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)


def harmonic(parts: Sequence[Measure]) -> Measure:
    """The harmonic mean of measures, with 1e-12 for every zero (InfoSeek's final score).

    Published example: 12.74 on unseen questions and 12.28 on unseen entities make 12.51.
    """

    def of(weights: Array) -> Array:
        shares = [part.of(weights) for part in parts]
        inverse: Array = np.sum([1 / np.where(share == 0, 1e-12, share) for share in shares], axis=0)
        return len(shares) / inverse

    return Measure(of, np.max([part.counts for part in parts], axis=0))


def tally(cells: Iterable[Any]) -> tuple[list[Any], Array]:
    """The distinct cells, sorted, and how often each occurs: the order of the scores leaves no trace."""
    counted = sorted(Counter(cells).items())
    return [each for each, _ in counted], np.asarray([count for _, count in counted], dtype=np.float64)


def resampled(counts: Array, resamples: int, seed: int) -> Array:
    """How often each cell occurs in each of the resamples of the items, drawn with replacement."""
    total = int(counts.sum())
    if total == 0:
        return np.zeros((resamples, len(counts)))
    return np.random.default_rng(seed).multinomial(total, counts / total, size=resamples).astype(np.float64)


def interval(draws: Array) -> tuple[float | None, float | None]:
    """The middle 95% of the draws that are defined; percentiles."""
    defined = draws[np.isfinite(draws)]
    if not len(defined):
        return None, None
    low, high = np.percentile(defined, [50 * (1 - LEVEL), 100 - 50 * (1 - LEVEL)])
    return float(low), float(high)


def estimate(measure: Measure, counts: Array, draws: Array) -> Estimate:
    """The measure of the counted cells, with the interval that the resamples give it."""
    value = float(measure.of(counts[np.newaxis])[0])
    low, high = interval(measure.of(draws))
    return Estimate(value if np.isfinite(value) else None, low, high, int(counts @ measure.counts))


def mean_as(name: str) -> Measures:
    """The mean under a name, then the mean of each group."""
    return lambda cells: {name: mean(cells)} | means(cells)


def correct(cells: Sequence[Cell]) -> list[bool]:
    """Which cells are graded correct."""
    return [each.grade is Grade.CORRECT for each in cells]


def attempted(cells: Sequence[Cell]) -> list[bool]:
    """Which cells are graded as an attempt."""
    return [each.grade is not Grade.NOT_ATTEMPTED for each in cells]
