"""Terms of the reward: accuracy and format, weighed by lambda, a price of searches, and what settings add."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gog.schemas import Outcome, Step
from gog.transforms.open_set import OpenSet

Unsettled = Literal["mask", "zero"]
"""What becomes of a rollout whose answer no rule settles where there is no judge: out of the loss, or paid as wrong."""
Unfinished = Literal["mask", "prefix"]
"""What becomes of a rollout that a failed search, the token budget or the turns end: masked, or its last turn is."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A rollout that has ended, as terms see it."""

    row: Mapping[str, Any]
    """Of the export: `question`, `answers`, `answer_type` and the like."""
    turns: tuple[str, ...]
    """What the model wrote, turn by turn."""
    steps: tuple[Step, ...]
    """What its turns came to."""
    strikes: int
    answer: str | None
    """The final answer; None where it gave none."""
    outcome: Outcome | None
    """What the verifier says of the answer: `UNKNOWN` where nobody settles it, None where there is no answer."""

    @property
    def searches(self) -> int:
        """Searches that came back, whatever they found."""
        return sum(bool(step.evidence_ids) for step in self.steps)


@dataclass(frozen=True, slots=True)
class Term:
    """A part of the reward. `value` gives None where it can say nothing: the rollout is masked, never paid zero."""

    name: str
    value: Callable[[Finished], float | None]
    weight: float = 1.0
    """Where settings name the term without one."""


TERMS: OpenSet[Term] = OpenSet("reward term", "gog.rewards", "gog_train.rewards", "TERM")


@dataclass(frozen=True, slots=True)
class RewardSettings:
    """Weights of the reward. `format_weight` is the paper's lambda; `search_cost` is taken off a right answer for each
    search; `more` are weights of further terms, by name or dotted path, None for the term's own. `unsettled` is for
    answers that no rule settles where there is no judge. `unfinished` is TRL's alone: verl masks such a rollout whole.
    """

    format_weight: float = 0.1
    search_cost: float = 0.0
    more: Mapping[str, float | None] = field(default_factory=dict)
    unsettled: Unsettled = "mask"
    unfinished: Unfinished = "mask"

    @property
    def terms(self) -> dict[str, tuple[Term, float]]:
        """Every term with its weight, by the name that settings give it. Raises `UnknownMemberError`."""
        ours = {"accuracy": 1 - self.format_weight, "format": self.format_weight, "cost": self.search_cost}
        terms = {name: (TERMS[name], weight) for name, weight in {**ours, **self.more}.items()}
        return {name: (term, term.weight if weight is None else weight) for name, (term, weight) in terms.items()}

    def card(self) -> dict[str, dict[str, Any]]:
        """What a run card says of every term: its weight, and the distribution and version that it comes from."""
        return {name: {"weight": weight, "from": str(TERMS.origin(name))} for name, (_, weight) in self.terms.items()}

    def pay(self, rollout: Finished) -> tuple[float | None, dict[str, float | None]]:
        """The reward, and every term's value by name; None where any of them is."""
        terms = self.terms
        values = {name: term.value(rollout) for name, (term, _) in terms.items()}
        reward = 0.0
        for name, value in values.items():
            if value is None:
                return None, values
            reward += terms[name][1] * value
        return reward, values
