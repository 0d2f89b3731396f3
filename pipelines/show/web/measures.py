"""Shares of what a run counted, with intervals that do not take attempts at one question for independent."""

from dataclasses import dataclass
from math import hypot

from gog.transforms.label.complexity import wilson


@dataclass(frozen=True, slots=True)
class Rate:
    """`part` of `whole` as a share, with its 95% Wilson interval; None where there is nothing to divide by."""

    part: int
    whole: int
    value: float | None = None
    low: float = 0.0
    high: float = 1.0

    @classmethod
    def of(cls, part: int, whole: int, seeds: int | None = None) -> "Rate":
        """The share. Where `whole` counts several things a seed, `seeds` is from how many seeds they are.

        The interval is then that of a sample of so many: attempts at one seed are taken to tell no more than one does,
        so that it is rather wide than narrow.
        """
        if whole <= 0 or not 0 <= part <= whole:
            return cls(part, whole)
        size = whole if seeds is None else max(1, min(seeds, whole))
        return cls(part, whole, part / whole, *wilson(part / whole * size, size))


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much the second of two shares is above the first, with its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def difference(first: Rate, second: Rate) -> Difference | None:
    """The second share less the first; None where one of them is not there.

    Source: Newcombe 1998, Statist. Med. 17, method 10, of samples that do not depend on each other. Where two runs
    tried the same seeds it is rather wide.
    """
    if first.value is None or second.value is None:
        return None
    by = second.value - first.value
    down = hypot(second.value - second.low, first.high - first.value)
    up = hypot(second.high - second.value, first.value - first.low)
    return Difference(by, max(-1.0, by - down), min(1.0, by + up))
