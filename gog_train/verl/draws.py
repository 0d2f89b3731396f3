"""How many questions dynamic sampling may ask in a step.

verl's own sampler has no end: it ignores `max_num_gen_batches`.
"""

from collections.abc import Callable
from dataclasses import dataclass


class NothingToLearnError(RuntimeError):
    """So many questions were asked, and too few had both right and wrong answers."""


@dataclass(slots=True)
class Draws:
    """Asks for further questions, up to `batches` batches of `questions` a step, the first one not counted."""

    refill: Callable[[int], int]
    batches: int
    questions: int
    asked: int = 0

    def begin(self) -> None:
        """A new step."""
        self.asked = 0

    def __call__(self, more: int) -> int:
        """Ask for so many more. Raises `NothingToLearnError` beyond what a step may ask."""
        if self.asked + more > self.batches * self.questions:
            raise NothingToLearnError(
                f"{self.asked} further questions were asked in a step, and too few had both right and wrong answers: "
                "train on questions of another level, or set algorithm.filter_groups.enable=false"
            )
        self.asked += more
        return self.refill(more)
