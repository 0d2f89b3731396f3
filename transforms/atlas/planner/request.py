"""One request as the planner takes it in, and the turn that it makes of it."""

from dataclasses import dataclass, field

from gog.schemas import Box
from gog.schemas.boxes import iou
from gog.transforms.atlas.planner.chance import Chance
from gog.transforms.atlas.planner.dialogue import Came, Dialogue, Past
from gog.transforms.atlas.planner.errors import Errors, errors_of
from gog.transforms.atlas.planner.eyes import Sight, Spot
from gog.transforms.atlas.planner.reading import Question, read
from gog.transforms.atlas.planner.scene import candidates, ranked

HIGH, LOW = 0.76, 0.62
"""Scores of an image search from which a match is clear, and below which it is none."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Move:
    """A turn: the thought, and a gaze (`box`), a text search (`query`), a glance, or an answer.

    `broken` is a call that the planner writes wrongly.
    """

    thought: str
    box: Box | None = None
    label: str = ""
    query: str = ""
    glance: bool = False
    answer: str = ""
    broken: bool = False


@dataclass
class PlannerState:
    """One request as the planner takes it in."""

    dialogue: Dialogue
    sight: Sight
    tools: frozenset[str]
    chance: Chance
    skill: float
    question: Question = field(init=False)
    spots: list[Spot] = field(init=False)
    aims: list[Spot] = field(init=False)
    errors: Errors = field(init=False)

    def __post_init__(self) -> None:
        self.question = read(self.dialogue.question)
        self.spots = candidates(self.sight, self.dialogue.hints)
        poor = [past.box for past in self.dialogue.past if _missed(past)]
        left = [spot for spot in self.spots if not any(iou(box, spot.box) > 0.6 for box in poor if box is not None)]
        plain = [spot for spot in left if not spot.odd]
        self.aims = ranked(plain or left, self.question.reference)
        self.errors = errors_of(
            self.question, self.sight, self.dialogue.image, self.aims[0] if self.aims else None, self.skill
        )

    @property
    def it(self) -> str:
        return self.question.reference.said

    @property
    def can_gaze(self) -> bool:
        return "gaze" in self.tools and bool(self.aims) and not self.cropless

    @property
    def cropless(self) -> bool:
        """No more crops are given out."""
        return any("No more crops" in past.text or "the last crop" in past.text for past in self.dialogue.past)

    def did(self, tool: str) -> bool:
        """Whether a tool was used with a result, or failed."""
        return any(past.tool == tool and past.came is not Came.ERROR for past in self.dialogue.past)


def _missed(past: Past) -> bool:
    """A gaze that found no flag at all, whose box was not just badly framed."""
    return past.tool == "gaze" and past.came in (Came.HITS, Came.NOTHING) and past.score < LOW
