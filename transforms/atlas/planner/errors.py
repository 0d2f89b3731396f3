"""How likely the planner is to err: from its skill, the difficulty of the scene, and what it finds confusing."""

import math
from dataclasses import dataclass

from gog.transforms.atlas.planner.chance import digest
from gog.transforms.atlas.planner.eyes import Sight, Spot, likeness
from gog.transforms.atlas.planner.reading import Question, Want


@dataclass(frozen=True, slots=True)
class Errors:
    """Probabilities at temperature 1; `Chance.yes` sharpens them below it.

    `trouble` (0 to 1) is how much this seed is beyond the skill; the others follow from it. The first group costs
    turns and is usually noticed, the second costs the answer.
    """

    trouble: float
    needless_glance: float
    sloppy_box: float
    malformed: float
    wrong_aim: float
    overlooks_oddness: float
    trusts_memory: float
    """That it goes on from a flag that it knows by heart, without a search of pictures. No error by itself."""

    unnoticed: float
    """That it takes the wrong flag for the right one, after a clear match."""
    careless: float
    """That it answers at once, without a search."""
    second_choice: float
    from_memory: float
    """That it does not look up a fact."""
    misreads: float
    """That it takes a fact from the wrong article."""
    miscounts: float
    """That a count is one off."""


def errors_of(question: Question, sight: Sight, image: str, aim: Spot | None, skill: float) -> Errors:
    """What may go wrong with this question and picture. The same for every try: a hard seed is hard each time."""
    confusing = digest("confusing", question.text, image) / 2**64
    hardness = _hardness(question, sight, aim)
    gap = 0.5 * hardness + 0.9 * confusing - 0.12 - skill
    trouble = 1 / (1 + math.exp(-9 * gap)) * min(1.0, 6 * (1 - skill))
    return Errors(
        trouble=trouble,
        needless_glance=0.16 + 0.1 * trouble,
        sloppy_box=0.12 + 0.12 * trouble,
        malformed=0.015 + 0.05 * trouble,
        wrong_aim=0.2 + 0.7 * trouble,
        overlooks_oddness=0.3 + 0.5 * trouble,
        trusts_memory=0.9 - 0.5 * trouble,
        unnoticed=min(0.97, 0.04 + 1.05 * trouble),
        careless=0.3 * trouble**2,
        second_choice=0.5 * trouble,
        from_memory=0.45 * trouble,
        misreads=0.02 + 0.5 * trouble,
        miscounts=0.003 + 0.75 * trouble**2,
    )


def _hardness(question: Question, sight: Sight, aim: Spot | None) -> float:
    flags = [spot for spot in sight.spots if spot.like_flag]
    cards = sum(spot.odd for spot in flags)
    if question.want is Want.COUNT:
        return min(0.7, 0.06 * len(flags) + 0.1 * min(1, cards))
    hardness = 0.15 if question.want is Want.FACT else 0.0
    if question.reference.whole or aim is None:
        return hardness + 0.15
    hardness += 0.25 + 0.04 * min(6, len(flags)) + 0.1 * min(1, cards)
    if aim.box.x2 - aim.box.x1 < 0.12:
        hardness += 0.12
    if any(likeness(aim.impression, spot.impression) > 0.86 for spot in flags if spot is not aim):
        hardness += 0.2
    return min(1.0, hardness)
