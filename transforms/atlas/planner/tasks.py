"""The planner's other tasks: answering without tools, writing a planned turn, proposing regions."""

import json
import re
from dataclasses import replace

from gog.schemas import Box, Frame, FrameSpec, Reflection
from gog.schemas.boxes import to_frame
from gog.transforms.atlas.planner.answers import (
    best_answer,
    by_heart,
    counted,
    fact_in,
    guess,
    known_name,
    name_of,
    query_of,
    words_of,
)
from gog.transforms.atlas.planner.dialogue import Past
from gog.transforms.atlas.planner.eyes import Sight
from gog.transforms.atlas.planner.phrases import say
from gog.transforms.atlas.planner.reading import Want, read
from gog.transforms.atlas.planner.request import UNKNOWN, Move, PlannerState
from gog.transforms.atlas.planner.scene import candidates, covers, ranked


def without_tools(state: PlannerState) -> Move:
    """An answer from the picture and from memory alone."""
    if state.sight.width and state.question.want is Want.COUNT:
        return Move(say("count", state.chance), answer=str(counted(state)))
    if state.question.want in (Want.OTHER, Want.COUNT):
        return Move(say("unsure", state.chance), answer=UNKNOWN)
    return Move(say("unsure", state.chance), answer=guess(state))


_PLANNED = re.compile(r"does this and nothing else:\s*\n(.*?)\n\s*\nWrite the thinking", re.DOTALL)
_SAID = re.compile(r'begin it with "Evidence: (useful|off target|ambiguous)\."')


def planned_turn(state: PlannerState, note: str) -> tuple[Move, str, str]:
    """The turn that the note asks for: its thought, with the name and the arguments of the call to make.

    The name is empty when the turn is to answer; the move then holds the answer.
    """
    planned = _PLANNED.search(note)
    name, _, arguments = (planned[1].strip() if planned else "answer").partition(" ")
    said = _SAID.search(note)
    judged = Reflection(said[1].replace(" ", "_")) if said else None
    if said is None and 'begin it with "Evidence:' in note:
        judged = Reflection.USEFUL
    past = state.dialogue.past
    if past and judged is not None:
        state.dialogue = replace(state.dialogue, past=(*past[:-1], replace(past[-1], judged=judged)))
    match name:
        case "gaze":
            return Move(_gaze_thought(state, arguments, judged)), name, _labelled(arguments, state)
        case "image_search":
            situation = "glance" if state.question.reference.whole else "glance_first"
            return Move(_thought(state, situation, judged)), name, "{}"
        case "text_search":
            thought, query = _text_thought(state, judged)
            return Move(thought), name, _query(arguments) or json.dumps({"query": query}, ensure_ascii=False)
        case _:
            return _planned_answer(state, judged), "", ""


_VAGUE = frozenset({"", "thing", "flag", "region", "object"})


def _labelled(arguments: str, state: PlannerState) -> str:
    """The arguments of a gaze with a label that says what the question asks for, where they have none of use."""
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    if not isinstance(values, dict) or str(values.get("label", "")).strip().lower() not in _VAGUE:
        return arguments
    label = "the most striking part" if state.question.want is Want.OTHER else state.it
    return json.dumps(values | {"label": label}, ensure_ascii=False)


def _query(arguments: str) -> str:
    """The arguments as they were given, where they are JSON; else empty: the query is the planner's own."""
    try:
        return arguments if isinstance(json.loads(arguments), dict) else ""
    except (ValueError, RecursionError):
        return ""


def _thought(state: PlannerState, situation: str, judged: Reflection | None) -> str:
    if judged is None:
        return say(situation, state.chance, it=state.it)
    before = say(f"planned_{'wrong' if judged is Reflection.OFF_TARGET else judged.value}", state.chance, judged)
    return f"{before} {say(situation, state.chance, it=state.it)}"


def _gaze_thought(state: PlannerState, arguments: str, judged: Reflection | None) -> str:
    if judged is Reflection.OFF_TARGET:
        last: Past | None = state.dialogue.past[-1] if state.dialogue.past else None
        if last is not None and last.tool == "image_search":
            return say("glance_missed", state.chance, judged, it=state.it)
        situation = "wrong_place" if last is not None and last.score > 0.7 else "no_match"
        return say(situation, state.chance, judged, it=state.it)
    return _thought(state, "gaze" if state.question.want is not Want.OTHER else "planned_gaze", judged)


def _text_thought(state: PlannerState, judged: Reflection | None) -> tuple[str, str]:
    fact, name = state.question.fact, _name(state)
    if not name and not state.dialogue.past and state.question.want in (Want.NAME, Want.FACT):
        return _recalled_text(state)
    if not name:
        return _thought(state, "planned_text", judged), state.question.text.strip()[:300] or "flag"
    if not fact:
        return say("check_name", state.chance, judged, name=name, it=state.it), f"flag of {name}"
    thought = say("need_fact", state.chance, judged, name=name, what=words_of(fact))
    return thought, query_of(fact, name, state.chance)


def _recalled_text(state: PlannerState) -> tuple[str, str]:
    """A text search before any picture was searched: for the flag that it knows by heart, else for the question.

    A name that the question asks for stands in the query alone: it is a guess.
    """
    fact, name = state.question.fact, by_heart(state, state.aims[0] if state.aims else None)
    if not name:
        return _thought(state, "planned_question", None), state.question.text.strip()[:300] or "flag"
    if not fact:
        return _thought(state, "planned_guess", None), f"flag of {name}"
    return say("by_heart", state.chance, it=state.it, name=name, what=words_of(fact)), query_of(
        fact, name, state.chance
    )


def _name(state: PlannerState) -> str:
    if settled := known_name(state):
        return settled
    seen = [past for past in state.dialogue.past if past.tool in ("gaze", "image_search") and past.found]
    return name_of(seen[-1]) if seen else ""


def _planned_answer(state: PlannerState, judged: Reflection | None) -> Move:
    past, fact = state.dialogue.past, state.question.fact
    if not past or state.question.want is Want.OTHER:
        answer = without_tools(state).answer if not past else _title(past[-1])
        return Move(_thought(state, "unsure", judged), answer=answer)
    if state.question.want is Want.COUNT:
        return Move(_thought(state, "count", judged), answer=str(counted(state)))
    name = _name(state)
    if not fact and name:
        situation = "confirmed" if past[-1].tool == "text_search" else "answer_name"
        return Move(say(situation, state.chance, judged, name=name, it=state.it), answer=name)
    if past[-1].tool == "text_search" and name:
        value = fact_in(past[-1], fact, name, state.chance, state.errors.misreads)
        if value:
            thought = say("answer_fact", state.chance, judged, name=name, fact=value, what=words_of(fact))
            return Move(thought, answer=value)
    return Move(_thought(state, "unsure", judged), answer=best_answer(state, past[-1]))


def _title(past: Past) -> str:
    return (past.found[0].title[:200] or UNKNOWN) if past.found else UNKNOWN


def proposals(prompt: str, sight: Sight, frame: Frame) -> str:
    """The reply to a rendered `propose/regions`: the things that stand out, those first that the question may mean."""
    limit = re.search(r"at most (\d{1,3})", prompt)
    question = read(prompt.rpartition("\nQuestion:")[2].strip())
    named = ranked(candidates(sight, ()), question.reference)
    rest = [spot for spot in sight.spots if not any(covers(spot.box, other.box) for other in named)]
    regions = [
        {
            "bbox_2d": list(_written(spot.box, frame, sight)),
            "label": "flag" if spot.like_flag and not spot.odd else "thing",
            "score": round(0.5 * spot.clear + 0.5 / (1 + 0.15 * at), 3),
        }
        for at, spot in enumerate([*named, *rest][: int(limit[1]) if limit else 8])
    ]
    return json.dumps({"regions": regions})


def _written(box: Box, frame: Frame, sight: Sight) -> tuple[float, float, float, float]:
    return to_frame(box, FrameSpec(frame), max(1, sight.width), max(1, sight.height))
