"""Plans for composed trajectories: evidence first, then a sequence of actions that the evidence supports.

A plan is drawn, not found: its kind comes from the configured weights among those that the evidence allows, so
that the mix of behaviours and the share of reflection are settings. What it took from the gold answer is said in
`used_gold`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gog.schemas import Behaviour, Reflection, Region
from gog.transforms.synthesize.look import Looked


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """One action of a plan. `reflection` is what the turn has to say of the evidence before it."""

    tool: str | None
    """None: answer."""
    region: Region | None = None
    on_image: int = 0
    """Number of the picture of the question that is looked at."""
    reflection: Reflection | None = None
    train: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """A named sequence of actions that ends with the answer."""

    name: str
    actions: tuple[PlannedAction, ...]
    used_gold: bool


def draw_plan(
    looked: Sequence[Looked],
    focus: Looked | None,
    weights: Mapping[Behaviour, float],
    reflective_share: float,
    key: str,
    *,
    text_helps: bool = True,
) -> Plan | None:
    """A plan for what the searches returned, or None when nothing supports one that has a weight.

    `key` (seed id and run seed) decides every draw. `focus` is the search that looked at the target; where none is
    known, only plans that look at nothing (direct, text) are drawn, by weight alone. `text_helps` says whether there is
    a text search.
    """
    kinds = _kinds(focus, text_helps)
    wanted = [(kind, weights[kind]) for kind in kinds if weights.get(kind, 0.0) > 0]
    if not wanted:
        return None
    kind = _weighted(wanted, f"kind/{key}")
    answer = PlannedAction(None, reflection=Reflection.USEFUL)
    text = PlannedAction("text_search", reflection=Reflection.USEFUL)
    if kind is Behaviour.DIRECT:
        return Plan(kind.value, (PlannedAction(None),), used_gold=False)
    if focus is None or kind is Behaviour.TEXT:
        return Plan(kind.value, (PlannedAction("text_search"), answer), used_gold=False)
    wrong = _wrong(looked, focus, key) if _unit(f"reflective/{key}") < reflective_share else None
    actions = [] if wrong is None else [PlannedAction(_tool(wrong), wrong.region, wrong.on_image, train=False)]
    after_wrong = None if wrong is None else Reflection.OFF_TARGET
    actions.append(PlannedAction(_tool(focus), focus.region, focus.on_image, reflection=after_wrong))
    actions += [text, answer] if kind is Behaviour.MIXED else [answer]
    return Plan(f"{kind}{'' if wrong is None else '+wrong_first'}", tuple(actions), used_gold=True)


def _kinds(focus: Looked | None, text_helps: bool) -> list[Behaviour]:
    """Kinds of plan that the evidence allows. Looking alone is for a focus that holds the answer already."""
    kinds = [Behaviour.DIRECT]
    if text_helps:
        kinds.append(Behaviour.TEXT)
    if focus is not None:
        if focus.holds_answer or not text_helps:
            kinds.append(Behaviour.GAZE if focus.region is not None else Behaviour.GLANCE)
        if text_helps:
            kinds.append(Behaviour.MIXED)
    return kinds


def _tool(look: Looked) -> str:
    return "image_search" if look.region is None else "gaze"


def _wrong(looked: Sequence[Looked], focus: Looked, key: str) -> Looked | None:
    """A search that missed: of another place, and it names something else, or nothing well. One with the focus' own
    tool is preferred, so that the kind of the plan is the behaviour of its trajectory.
    """
    missed = [look for look in looked if not (look.overlaps(focus) or look.names_target or look.holds_answer)]
    if not missed:
        return None
    missed = [look for look in missed if (look.region is None) == (focus.region is None)] or missed
    return missed[int(_unit(f"wrong/{key}") * len(missed))]


def _weighted(options: Sequence[tuple[Behaviour, float]], key: str) -> Behaviour:
    point = _unit(key) * sum(weight for _, weight in options)
    for kind, weight in options:
        point -= weight
        if point < 0:
            return kind
    return options[-1][0]


def _unit(key: str) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7]) / 2**56
