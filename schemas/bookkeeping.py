"""What every step says of its work: what left and why, what was counted, what was asked of the world outside."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, model_validator

from gog.schemas.base import Row, content_id
from gog.schemas.reasons import FailureClass, is_reason


class Unit(StrEnum):
    """What a stage counts."""

    ROW = "row"
    SEED = "seed"
    ATTEMPT = "attempt"
    TRAJECTORY = "trajectory"


OLD_STAGES: Final = {"synthesise": "synthesize"}
"""What lakes call a stage that were written before it had this name."""

Stage = Annotated[str, AfterValidator(lambda name: OLD_STAGES.get(name, name))]
"""Name of a stage, as the funnel counts it."""


class Reject(Row):
    """Something that left, and why."""

    reject_id: str
    stage: Stage
    unit: Unit
    id: str
    seed_id: str = ""
    reason: str
    detail: str = ""
    payload: str = ""
    """The raw thing, as JSON text, or the start of it."""

    @model_validator(mode="after")
    def _known_reason(self) -> Self:
        if not is_reason(self.reason):
            raise ValueError(f"unknown reason {self.reason!r}: add it to gog.schemas.reasons")
        return self

    @classmethod
    def of(
        cls,
        stage: str,
        unit: Unit,
        id: str,  # noqa: A002
        reason: str,
        *,
        detail: str = "",
        payload: str = "",
        seed_id: str = "",
    ) -> Self:
        """A reject with its id made from stage, unit, id and reason."""
        return cls(
            reject_id=content_id("reject", [stage, unit, id, reason]),
            stage=stage,
            unit=unit,
            id=id,
            seed_id=seed_id,
            reason=reason,
            detail=detail[:2000],
            payload=payload[:20000],
        )


class Event(Row):
    """One call to the outside world as it happened; varies from run to run."""

    key: str
    """Key of the request in the store."""
    kind: str
    """chat, detect, text_search, image_search or page."""
    purpose: str
    """screen, propose, episode, compose, verify or label; in an evaluation a paradigm, or judge."""
    provider: str
    started: float
    """Seconds since 1970, UTC."""
    latency_s: float
    attempts: int
    """Requests made; 0 when the store answered."""
    from_store: bool
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    """US dollars."""
    failure: FailureClass | None = None


class StageCount(Row):
    """What entered a stage and what left it, in one shard; rejects are counted from their own table."""

    stage: Stage
    unit: Unit
    shard: int
    entered: int
    passed: int
