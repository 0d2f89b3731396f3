"""What a protocol says of one answer: a grade and a value."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from gog.schemas.errors import UsageError
from gog.transforms.evaluate.items import BenchItem


class ProtocolError(UsageError, ValueError):
    """An item cannot be scored by a protocol as published. One line that says what to do."""


class MissingError(ProtocolError):
    """What a protocol needs is not installed: nothing of its benchmark can be scored as published."""


class Grade(StrEnum):
    """The classes that answers fall into; `unknown` when nobody could tell, which is never the same as incorrect."""

    CORRECT = "correct"
    PARTIAL = "partial"
    """Some of the tokens, where a protocol counts tokens."""
    INCORRECT = "incorrect"
    NOT_ATTEMPTED = "not_attempted"
    UNKNOWN = "unknown"


Settled = Literal["match", "range", "tokens", "verifier", "empty", "judge", "none"]
"""What settled a score: equal text, a range of numbers, shared tokens, the engine's verifier, that there is no
answer, a judge; or nothing."""


@dataclass(frozen=True, slots=True)
class Score:
    """One answer's score under one protocol.

    `value` is from 0 to 1, and None exactly when the grade is unknown. `needs_judge` marks a score that stays unknown
    until a judge is asked. `groups` names the parts of the benchmark that the protocol reports apart. Token protocols
    grade the value: all of it correct, none of it incorrect, partial between.
    """

    item_id: str
    protocol: str
    grade: Grade
    value: float | None
    method: Settled = "none"
    needs_judge: bool = False
    groups: tuple[str, ...] = ()
    judge: str = ""
    """Id of the judge that was asked."""
    reply: str = ""
    """The judge's reply, its first 2,000 characters."""


_VALUES = {Grade.CORRECT: 1.0, Grade.INCORRECT: 0.0, Grade.NOT_ATTEMPTED: 0.0}


def graded(
    item: BenchItem,
    protocol: str,
    grade: Grade,
    method: Settled,
    groups: tuple[str, ...] = (),
    *,
    needs_judge: bool = False,
    judge: str = "",
    reply: str = "",
) -> Score:
    """The score of an answer that falls into a class."""
    value = _VALUES.get(grade)
    return Score(item.item_id, protocol, grade, value, method, needs_judge, groups, judge, reply[:2000])


def valued(item: BenchItem, protocol: str, value: float, method: Settled, groups: tuple[str, ...] = ()) -> Score:
    """The score of an answer that has a share of what was asked for, from 0 to 1."""
    grade = Grade.CORRECT if value == 1 else Grade.PARTIAL if value > 0 else Grade.INCORRECT
    return Score(item.item_id, protocol, grade, value, method, groups=groups)
