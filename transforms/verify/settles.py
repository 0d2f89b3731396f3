"""How far rules can settle the answers to a question: both ways, only confirm, or not at all.

Asked of `check` itself, with answers that no question has: what it calls wrong, it can refuse.
"""

from enum import StrEnum
from typing import Final

from gog.schemas import Outcome
from gog.transforms.verify.rules import Gold, check


class Settles(StrEnum):
    """What rules can do with answers to a question without asking a judge."""

    BOTH = "both"
    """Say right and wrong: numbers, dates, yes or no whose accepted forms are read whole."""
    CONFIRMS = "confirms"
    """Say right alone: a name in another wording may be right."""
    NOTHING = "nothing"
    """Not even an accepted form is read, as one that is longer than any short answer."""


_STRANGE: Final = ("yes", "no", "7777777777", "-7777777777", "1 January 9999", "31 December 1001")


def settles(gold: Gold) -> Settles:
    """What rules can do with answers to this question; an empty answer, which is always wrong, does not count."""
    if any(check(answer, gold)[0] is Outcome.WRONG for answer in _STRANGE):
        return Settles.BOTH
    right = any(check(form, gold)[0] is Outcome.CORRECT for form in gold.answers)
    return Settles.CONFIRMS if right else Settles.NOTHING
