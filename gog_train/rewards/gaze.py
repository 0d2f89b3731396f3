"""Pays a gaze for what it was good for: something new was seen, and the answer is right. Off unless it has a weight."""

from typing import Final

from gog.schemas import Behaviour, Outcome, Step
from gog.schemas.boxes import iou
from gog.transforms.episode.tools import known_tools
from gog_train.rewards.terms import Finished, Term

SAME: Final = 0.7
"""Overlap (intersection over union) from which a look is the one before again."""


def usefulness(rollout: Finished) -> float:
    """Share of the gazes that came back and looked elsewhere than all before; 0 unless the answer is right."""
    gazes = {tool.name for tool in known_tools() if tool.behaviour is Behaviour.GAZE}
    looks = [step for step in rollout.steps if step.action in gazes]
    if rollout.outcome is not Outcome.CORRECT or not looks:
        return 0.0
    new = [
        bool(step.evidence_ids) and step.box is not None and not any(_same(step, before) for before in looks[:place])
        for place, step in enumerate(looks)
    ]
    return sum(new) / len(new)


def _same(step: Step, before: Step) -> bool:
    if step.box is None or before.box is None or step.on_image != before.on_image:
        return False
    return iou(step.box, before.box) >= SAME


TERM = Term("gaze", usefulness, weight=0.1)
