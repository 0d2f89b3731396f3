"""Watches the judge of a training: one that is ill would mask what the policy should learn from, run after run."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from gog_train.settings import TrainingError

FEW: Final = 20
"""Questions after which a judge that answers less than half of them is ill; a finer share needs a full window."""


class JudgeIllError(TrainingError):
    """The judge answers too few questions: training stops, and can go on later."""


@dataclass(slots=True)
class JudgeHealth:
    """Share of questions that the judge answered readably, over the last `window` questions or a few more."""

    window: int = 200
    least_share: float = 0.95
    _counts: deque[tuple[int, int]] = field(default_factory=deque)

    @property
    def asked(self) -> int:
        """Questions in the window."""
        return sum(asked for asked, _ in self._counts)

    @property
    def share(self) -> float:
        """Share of them that were answered; 1 when none was asked."""
        asked = self.asked
        return sum(answered for _, answered in self._counts) / asked if asked else 1.0

    def add(self, asked: int, answered: int) -> None:
        """Count a batch. Raises `JudgeIllError` when the judge is ill."""
        if asked:
            self._counts.append((asked, answered))
        while self._counts and self.asked - self._counts[0][0] >= self.window:
            self._counts.popleft()
        full = self.asked >= self.window
        if (full and self.share < self.least_share) or (self.asked >= FEW and self.share < self.least_share / 2):
            raise JudgeIllError(
                f"the judge answered {self.share:.0%} of its last {self.asked} questions, {self.least_share:.0%} are "
                "needed: look after its endpoint, then go on"
            )
