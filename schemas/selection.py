"""What is kept of the verified trajectories, on which side and split, and what people said of them."""

from enum import StrEnum

from pydantic import Field

from gog.schemas.base import BoxField, Record, Row
from gog.schemas.records import Behaviour, Origin, Outcome


class Split(StrEnum):
    """A side of an export."""

    TRAIN = "train"
    VALIDATION = "validation"


class Side(StrEnum):
    """Which training stage a group of seeds is for."""

    SFT = "sft"
    RL = "rl"


class Grouping(Row):
    """Where a screened seed belongs: all seeds of a group share side and split."""

    seed_id: str
    group: str
    cluster: str
    """Its image cluster."""
    side: Side
    split: Split


class Curated(Row):
    """A trajectory that curation kept."""

    trajectory_id: str
    seed_id: str
    split: Split
    behaviour: Behaviour
    origin: Origin


class Decision(StrEnum):
    """What a person says of a trajectory as training data."""

    ACCEPT = "accept"
    REJECT = "reject"


class Why(StrEnum):
    """Why a person rejects a trajectory."""

    WRONG_ANSWER = "wrong_answer"
    WRONG_REGION = "wrong_region"
    UNGROUNDED = "ungrounded"
    LEAK = "leak"
    BAD_QUESTION = "bad_question"
    OTHER = "other"


def key_of(turn: int, call: int) -> str:
    """A turn, or a further call of it, in a word: both from 0 on, "3" or "3.1"."""
    return f"{turn}.{call}" if call else str(turn)


class CorrectedBox(Record):
    """Where a gaze should have looked."""

    turn: int = Field(ge=0)
    """Turn of the gaze."""
    call: int = Field(default=0, ge=0)
    """Among the calls of the turn, from 0 on."""
    box: BoxField
    """On the picture of the question at which the gaze looked."""
    on_image: int = Field(default=0, ge=0)
    """Number of that picture."""

    @property
    def key(self) -> str:
        """Turn and call in a word, as pages name them."""
        return key_of(self.turn, self.call)


class Review(Row):
    """What one person said of a trajectory, whole: a later review of the same person takes its place."""

    review_id: str
    trajectory_id: str
    seed_id: str
    reviewer: str
    number: int = Field(ge=1)
    """1 for a reviewer's first review of the trajectory, one more for each after it; the highest counts."""
    decision: Decision | None = None
    """None: looked at, not decided."""
    why: Why | None = None
    """Of a rejection; None where no reason was given."""
    boxes: tuple[CorrectedBox, ...] = ()
    answer: str | None = None
    """What the answer should say; None: what it says."""
    comment: str = ""
    bulk: bool = False
    """Accepted together with others because a sample of them was right: nobody looked at this one."""
    made: float
    """Seconds since 1970, UTC."""


class Audit(Row):
    """What one person says of a verdict that a sample drew; a later word of the same person takes its place."""

    trajectory_id: str
    seed_id: str
    reviewer: str
    number: int = Field(ge=1)
    """1 for a reviewer's first word on the trajectory, one more for each after it; the highest counts."""
    outcome: Outcome
    """Whether the trajectory deserves to be accepted, as the person has it; unknown: looked at and passed over."""
    made: float
    """Seconds since 1970, UTC."""
