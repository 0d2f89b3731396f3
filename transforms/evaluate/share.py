"""A share of things counted, with its interval."""

from dataclasses import dataclass

from gog.transforms.label.complexity import wilson


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole`, with its 95% Wilson interval; None where there is nothing to divide by."""

    part: int
    whole: int
    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, part: int, whole: int) -> "Share":
        """The share."""
        if not whole:
            return cls(part, whole, None, None, None)
        low, high = wilson(part, whole)
        return cls(part, whole, part / whole, low, high)
