"""What a step's rollouts are drawn by: how many questions may be asked for it, and which groups are too few.

verl's own sampler has no end: it ignores `max_num_gen_batches`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final


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


LEAST: Final = 2
"""Rollouts of a group: less have no mean of others to be better than."""


def thin(groups: Iterable[str], rollouts: Iterable[str]) -> set[str]:
    """The groups with less than `LEAST` rollouts; a rollout's name is `GROUP_NUMBER_PART`."""
    sizes = Counter(name.rsplit("_", 1)[0] for name in {name.rsplit("_", 1)[0] for name in rollouts})
    return {group for group in groups if sizes[group] < LEAST}


def means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What rollouts were scored, on the average, under the names of verl's metrics."""
    return {f"gog/{name}": sum(one[name] for one in scores) / len(scores) for name in scores[0]} if scores else {}
