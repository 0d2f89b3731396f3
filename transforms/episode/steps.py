"""What the steps of an episode say of it: which make a turn, and whether a wrong focus was noticed and changed."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from gog.schemas import WHOLE, Behaviour, Reflection, Step
from gog.schemas.boxes import iou
from gog.transforms.episode.tools import TOOLS

_SAME_IOU: Final = 0.5


def by_turn(steps: Sequence[Step]) -> list[tuple[Step, ...]]:
    """The steps of each turn: one, or one for each call that it did."""
    return [tuple(those) for _, those in groupby(steps, key=lambda step: step.turn)]


def is_reflective(steps: Sequence[Step]) -> bool:
    """A wrong focus was noticed (off target or ambiguous) and the next search looked elsewhere: than all of the turn
    that was judged.

    Another query after a search by words is no other place, nor is a box that is half the same (IoU), nor the picture
    of a result. Two pictures of the question are two places.
    """
    last: list[Step] = []
    noticed = False
    for turn in by_turn(steps):
        if (said := turn[0].reflection) is not None:
            noticed = bool(last) and said is not Reflection.USEFUL
        searches = [step for step in turn if step.evidence_ids and not _is_no_search(step)]
        if noticed and last and any(not any(_same_place(one, step) for one in last) for step in searches):
            return True
        last = searches or last
    return False


def _is_no_search(step: Step) -> bool:
    return step.action in TOOLS and TOOLS[step.action].behaviour_of(step.arguments) is None


def is_glance(step: Step) -> bool:
    """Whether it searches with a whole picture of the question."""
    return step.action in TOOLS and TOOLS[step.action].behaviour_of(step.arguments) is Behaviour.GLANCE


def _same_place(one: Step, other: Step) -> bool:
    places = [WHOLE if is_glance(step) else step.box for step in (one, other)]
    if places[0] is None or places[1] is None:
        return places[0] is places[1]
    return one.on_image == other.on_image and iou(places[0], places[1]) >= _SAME_IOU
