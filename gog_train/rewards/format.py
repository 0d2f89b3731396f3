"""1 when every turn parses, there is one final answer of at most 300 characters and no strike; 0 otherwise."""

from typing import Final

from gog.transforms.dialect.turns import ANSWER_TAG
from gog_train.rewards.terms import Finished, Term

MAX_ANSWER: Final = 300
"""Characters of a final answer that is in form."""

IN_FORM: Final = frozenset({"", "repeated"})
"""Codes of a step that does not break the form: a repeated search is well written."""


def in_form(rollout: Finished) -> float:
    """1 or 0."""
    if rollout.answer is None or rollout.strikes or len(rollout.answer) > MAX_ANSWER:
        return 0.0
    answers = sum(len(ANSWER_TAG.findall(turn)) for turn in rollout.turns)
    return float(answers == 1 and all(step.error in IN_FORM for step in rollout.steps))


TERM = Term("format", in_form)
