"""Chance that is settled by the request: the same request, the same luck."""

import hashlib
import math
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def digest(*parts: str) -> int:
    """A number from the sha256 of the parts."""
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(joined).digest()[:8], "big")


class Chance:
    """A seeded generator with a temperature, which sharpens probabilities as it does a model's: at 0 the mode wins."""

    def __init__(self, seed: int, temperature: float) -> None:
        """`seed` is made from everything that the request says."""
        self._random = random.Random(seed)
        self.temperature = max(0.0, temperature) if math.isfinite(temperature) else 0.0

    def yes(self, p: float) -> bool:
        """True with the probability `p` at temperature 1; sharper below, flatter above."""
        draw = self._random.random()
        if p <= 0 or p >= 1 or self.temperature < 0.01:
            return p > 0.5
        odds = math.log(p / (1 - p)) / self.temperature
        return draw < 1 / (1 + math.exp(-max(-60.0, min(60.0, odds))))

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each alike; `options` is not empty."""
        return options[self._random.randrange(len(options))]

    def between(self, low: float, high: float) -> float:
        """A number from the range, uniformly."""
        return self._random.uniform(low, high)
