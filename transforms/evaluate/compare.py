"""Whether two runs over the same items differ by more than chance: paired, item by item."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gog.transforms.evaluate.benchmark import protocol_named
from gog.transforms.evaluate.protocols.measures import (
    RESAMPLES,
    Array,
    Cell,
    Measure,
    Measures,
    cell,
    interval,
    resampled,
    tally,
)
from gog.transforms.evaluate.protocols.scores import Grade, ProtocolError, Score
from gog.transforms.evaluate.summary import one_protocol


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure in both runs over the shared items; `difference` is B minus A, with its 95% interval.

    `p` is two-sided, of the paired bootstrap: how often the resampled difference is not on the side of the found one.
    Values are None where the measure is not defined in one of the runs.
    """

    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs of one protocol. Items that only one run has, or that either left unknown, are counted and left out."""

    protocol: str
    paired: int
    only_a: int
    only_b: int
    unknown: int
    """Items of both runs that at least one left unknown."""
    measures: Mapping[str, Difference]
    a_alone_correct: int
    b_alone_correct: int
    mcnemar_p: float
    """Exact, two-sided, of the items that one run alone has correct (grade `correct`)."""


def compare(a: Iterable[Score], b: Iterable[Score], *, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """B against A. Raises `ProtocolError` for runs of different protocols, or an item that a run scored twice."""
    a, b = list(a), list(b)
    name, other = one_protocol(a), one_protocol(b)
    if name != other:
        raise ProtocolError(f"runs of one protocol wanted, got {name} and {other}")
    ours, theirs = {score.item_id: score for score in a}, {score.item_id: score for score in b}
    both = sorted(ours.keys() & theirs.keys())
    pairs = [(cell(ours[item]), cell(theirs[item])) for item in both]
    cells, counts = tally((x, y) for x, y in pairs if x is not None and y is not None)
    draws = resampled(counts, resamples, seed)
    a_alone = _count(cells, counts, Grade.CORRECT, first=True)
    b_alone = _count(cells, counts, Grade.CORRECT, first=False)
    return Comparison(
        protocol=name,
        paired=int(counts.sum()),
        only_a=len(ours) - len(both),
        only_b=len(theirs) - len(both),
        unknown=len(both) - int(counts.sum()),
        measures=_differences(protocol_named(name).measures, cells, counts, draws),
        a_alone_correct=a_alone,
        b_alone_correct=b_alone,
        mcnemar_p=mcnemar(a_alone, b_alone),
    )


def mcnemar(a_alone: int, b_alone: int) -> float:
    """Two-sided exact p-value of McNemar's test (McNemar 1947): are the discordant items a fair coin's?

    `a_alone` and `b_alone` are how many items only one of both has right; 1.0 when there are none.
    """
    from scipy.special import bdtr

    discordant = a_alone + b_alone
    if a_alone == b_alone:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(a_alone, b_alone), discordant, 0.5)))


def _count(cells: list[tuple[Cell, Cell]], counts: Array, grade: Grade, *, first: bool) -> int:
    """Items that one run alone has in a grade."""
    alone = [(x.grade is grade, y.grade is grade) == (first, not first) for x, y in cells]
    return int(counts @ np.asarray(alone, dtype=np.float64))


def _differences(
    measures: Measures, cells: list[tuple[Cell, Cell]], counts: Array, draws: Array
) -> dict[str, Difference]:
    ours, theirs = measures([x for x, _ in cells]), measures([y for _, y in cells])
    return {name: _difference(ours[name], theirs[name], counts, draws) for name in ours if name in theirs}


def _difference(a: Measure, b: Measure, counts: Array, draws: Array) -> Difference:
    here = float(a.of(counts[np.newaxis])[0]), float(b.of(counts[np.newaxis])[0])
    values = [value if np.isfinite(value) else None for value in here]
    drawn = b.of(draws) - a.of(draws)
    defined = drawn[np.isfinite(drawn)]
    if None in values or not len(defined):
        return Difference(values[0], values[1], None, None, None, None)
    low, high = interval(defined)
    # One more draw that is on the wrong side, for p is never 0 (Davison and Hinkley 1997, 4.2).
    tail = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    p = min(1.0, 2 * (tail + 1) / (len(defined) + 1))
    return Difference(values[0], values[1], here[1] - here[0], low, high, p)
