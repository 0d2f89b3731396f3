"""How far two raters of the same items agree: rules and a judge, two judges, a judge and people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gog.transforms.evaluate.protocols.measures import (
    RESAMPLES,
    Array,
    Estimate,
    Measure,
    divide,
    estimate,
    resampled,
    tally,
)
from gog.transforms.evaluate.protocols.scores import Grade

UNKNOWN = Grade.UNKNOWN.value


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two raters over the items that both rated. What either left unknown is counted apart and enters no share.

    `agreed` is the share of equal labels; `kappa` is Cohen's (Cohen 1960), None where chance alone would always agree,
    that is when both raters used the same one label for everything.
    """

    n: int
    """Items with a label of both."""
    unknown_first: int
    """Items that the first rater alone left unknown."""
    unknown_second: int
    unknown_both: int
    only_first: int
    """Items that the second rater was never given."""
    only_second: int
    agreed: Estimate
    kappa: Estimate
    labels: tuple[str, ...]
    """Every label that either used, sorted."""
    confusion: tuple[tuple[int, ...], ...]
    """Counts: a row for each label of the first rater, a column for each of the second, in the order of `labels`."""


def agreement(
    first: Mapping[str, str], second: Mapping[str, str], *, resamples: int = RESAMPLES, seed: int = 0
) -> Agreement:
    """The agreement of two raters, each a label by item; `unknown` (or the empty text) is no label.

    Intervals are 95% percentile bootstrap by item, seeded.
    """
    both = sorted(first.keys() & second.keys())
    pairs = [(_label(first[item]), _label(second[item])) for item in both]
    cells, counts = tally((x, y) for x, y in pairs if x and y)
    labels = tuple(sorted({label for pair in cells for label in pair}))
    table = {pair: int(count) for pair, count in zip(cells, counts, strict=True)}
    draws = resampled(counts, resamples, seed)
    everything = np.ones(len(cells))
    return Agreement(
        n=int(counts.sum()),
        unknown_first=sum(not x and bool(y) for x, y in pairs),
        unknown_second=sum(bool(x) and not y for x, y in pairs),
        unknown_both=sum(not x and not y for x, y in pairs),
        only_first=len(first.keys() - second.keys()),
        only_second=len(second.keys() - first.keys()),
        agreed=estimate(Measure(lambda weights: _agreed(cells, weights), everything), counts, draws),
        kappa=estimate(Measure(lambda weights: _kappa(cells, labels, weights), everything), counts, draws),
        labels=labels,
        confusion=tuple(tuple(table.get((row, column), 0) for column in labels) for row in labels),
    )


def _label(label: str) -> str:
    return "" if label == UNKNOWN else str(label)


def _agreed(cells: Sequence[tuple[str, str]], weights: Array) -> Array:
    return divide(weights @ np.asarray([float(x == y) for x, y in cells]), weights.sum(axis=1))


def _kappa(cells: Sequence[tuple[str, str]], labels: Sequence[str], weights: Array) -> Array:
    total = weights.sum(axis=1)
    chance = np.zeros(len(weights))
    for label in labels:
        by_first = weights @ np.asarray([float(x == label) for x, _ in cells])
        by_second = weights @ np.asarray([float(y == label) for _, y in cells])
        chance += divide(by_first, total) * divide(by_second, total)
    # Shares of one label alone add up to 1 but for rounding.
    certain = chance > 1 - 1e-12
    return divide(_agreed(cells, weights) - chance, np.where(certain, 0.0, 1 - chance))


@dataclass(frozen=True, slots=True)
class RulesAndJudge:
    """What rules settle, and whether a judge says the same of it.

    `decided` is the share of all items that rules settle; the agreement is over what both settled.
    """

    decided: Estimate
    agreement: Agreement


def rules_and_judge(
    rules: Mapping[str, str], judge: Mapping[str, str], *, resamples: int = RESAMPLES, seed: int = 0
) -> RulesAndJudge:
    """The rules' labels against a judge's: `Outcome` of the verifier, or grades with `unknown` where a judge is needed.

    A judge that was asked only what rules left open shares no settled item with them: ask it all to compare.
    """
    settled, counts = tally(bool(_label(label)) for label in rules.values())
    of_all = np.ones(len(settled))
    decided = Measure(lambda weights: divide(weights @ np.asarray(settled, dtype=np.float64), weights @ of_all), of_all)
    return RulesAndJudge(
        decided=estimate(decided, counts, resampled(counts, resamples, seed)),
        agreement=agreement(rules, judge, resamples=resamples, seed=seed),
    )
