"""The mean over benchmarks that papers report as their average: every benchmark counts the same, whatever its size."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gog.transforms.evaluate.protocols.measures import RESAMPLES, cell, interval, mean, resampled, tally
from gog.transforms.evaluate.protocols.scores import Score


@dataclass(frozen=True, slots=True)
class Average:
    """The mean of the benchmarks' judged accuracies, with a 95% bootstrap interval; None where one settled nothing."""

    value: float | None
    low: float | None
    high: float | None
    benchmarks: tuple[str, ...]


def average(scores: Mapping[str, Iterable[Score]], *, resamples: int = RESAMPLES) -> Average:
    """The average over the benchmarks' scores; items are resampled within their benchmark, with seeds of their own."""
    names = tuple(sorted(scores))
    values, draws = [], []
    for seed, name in enumerate(names):
        cells, counts = tally(each for score in scores[name] if (each := cell(score)) is not None)
        if not cells:
            return Average(None, None, None, names)
        measure = mean(cells)
        values.append(float(measure.of(counts[np.newaxis])[0]))
        draws.append(measure.of(resampled(counts, resamples, seed)))
    if not names:
        return Average(None, None, None, names)
    low, high = interval(np.mean(draws, axis=0))
    return Average(float(np.mean(values)), low, high, names)
