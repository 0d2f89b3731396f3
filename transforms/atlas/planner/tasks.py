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
from gog.transforms.atlas.planner.request import UNKNOWN, Mind, Move
from gog.transforms.atlas.planner.scene import candidates, covers, ranked


def without_tools(mind: Mind) -> Move:
    """An answer from the picture and from memory alone."""
    if mind.sight.width and mind.question.want is Want.COUNT:
        return Move(say("count", mind.luck), answer=str(counted(mind)))
    if mind.question.want in (Want.OTHER, Want.COUNT):
        return Move(say("unsure", mind.luck), answer=UNKNOWN)
    return Move(say("unsure", mind.luck), answer=guess(mind))


_PLANNED = re.compile(r"does this and nothing else:\s*\n(.*?)\n\s*\nWrite the thinking", re.DOTALL)
_SAID = re.compile(r'begin it with "Evidence: (useful|off target|ambiguous)\."')


def planned_turn(mind: Mind, note: str) -> tuple[Move, str, str]:
    """The turn that the note asks for: its thought, with the name and the arguments of the call to make.

    The name is empty when the turn is to answer; the move then holds the answer.
    """
    planned = _PLANNED.search(note)
    name, _, arguments = (planned[1].strip() if planned else "answer").partition(" ")
    said = _SAID.search(note)
    judged = Reflection(said[1].replace(" ", "_")) if said else _unsaid(note)
    past = mind.dialogue.past
    if past and judged is not None:
        mind.dialogue = replace(mind.dialogue, past=(*past[:-1], replace(past[-1], judged=judged)))
    match name:
        case "gaze":
            return Move(_gaze_thought(mind, arguments, judged)), name, _labelled(arguments, mind)
        case "image_search":
            situation = "glance" if mind.question.reference.whole else "glance_first"
            return Move(_thought(mind, situation, judged)), name, "{}"
        case "text_search":
            thought, query = _text_thought(mind, judged)
            return Move(thought), name, _query(arguments) or json.dumps({"query": query}, ensure_ascii=False)
        case _:
            return _planned_answer(mind, judged), "", ""


def _unsaid(note: str) -> Reflection | None:
    return Reflection.USEFUL if 'begin it with "Evidence:' in note else None


_VAGUE = frozenset({"", "thing", "flag", "region", "object"})


def _labelled(arguments: str, mind: Mind) -> str:
    """The arguments of a gaze with a label that says what the question asks for, where they have none of use."""
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    if not isinstance(values, dict) or str(values.get("label", "")).strip().lower() not in _VAGUE:
        return arguments
    label = "the most striking part" if mind.question.want is Want.OTHER else mind.it
    return json.dumps(values | {"label": label}, ensure_ascii=False)


def _query(arguments: str) -> str:
    """The arguments as they were given, where they are JSON; else empty: the query is the planner's own."""
    try:
        return arguments if isinstance(json.loads(arguments), dict) else ""
    except (ValueError, RecursionError):
        return ""


def _thought(mind: Mind, situation: str, judged: Reflection | None) -> str:
    if judged is None:
        return say(situation, mind.luck, it=mind.it)
    before = say(f"planned_{'wrong' if judged is Reflection.OFF_TARGET else judged.value}", mind.luck, judged)
    return f"{before} {say(situation, mind.luck, it=mind.it)}"


def _gaze_thought(mind: Mind, arguments: str, judged: Reflection | None) -> str:
    if judged is Reflection.OFF_TARGET:
        last: Past | None = mind.dialogue.past[-1] if mind.dialogue.past else None
        if last is not None and last.tool == "image_search":
            return say("glance_missed", mind.luck, judged, it=mind.it)
        situation = "wrong_place" if last is not None and last.score > 0.7 else "no_match"
        return say(situation, mind.luck, judged, it=mind.it)
    return _thought(mind, "gaze" if mind.question.want is not Want.OTHER else "planned_gaze", judged)


def _text_thought(mind: Mind, judged: Reflection | None) -> tuple[str, str]:
    fact, name = mind.question.fact, _name(mind)
    if not name and not mind.dialogue.past and mind.question.want in (Want.NAME, Want.FACT):
        return _recalled_text(mind)
    if not name:
        return _thought(mind, "planned_text", judged), mind.question.text.strip()[:300] or "flag"
    if not fact:
        return say("check_name", mind.luck, judged, name=name, it=mind.it), f"flag of {name}"
    thought = say("need_fact", mind.luck, judged, name=name, what=words_of(fact))
    return thought, query_of(fact, name, mind.luck)


def _recalled_text(mind: Mind) -> tuple[str, str]:
    """A text search before any picture was searched: for the flag that it knows by heart, else for the question.

    A name that the question asks for stands in the query alone: it is a guess.
    """
    fact, name = mind.question.fact, by_heart(mind, mind.aims[0] if mind.aims else None)
    if not name:
        return _thought(mind, "planned_question", None), mind.question.text.strip()[:300] or "flag"
    if not fact:
        return _thought(mind, "planned_guess", None), f"flag of {name}"
    return say("by_heart", mind.luck, it=mind.it, name=name, what=words_of(fact)), query_of(fact, name, mind.luck)


def _name(mind: Mind) -> str:
    if settled := known_name(mind):
        return settled
    seen = [past for past in mind.dialogue.past if past.tool in ("gaze", "image_search") and past.found]
    return name_of(seen[-1]) if seen else ""


def _planned_answer(mind: Mind, judged: Reflection | None) -> Move:
    past, fact = mind.dialogue.past, mind.question.fact
    if not past or mind.question.want is Want.OTHER:
        answer = without_tools(mind).answer if not past else _title(past[-1])
        return Move(_thought(mind, "unsure", judged), answer=answer)
    if mind.question.want is Want.COUNT:
        return Move(_thought(mind, "count", judged), answer=str(counted(mind)))
    name = _name(mind)
    if not fact and name:
        situation = "confirmed" if past[-1].tool == "text_search" else "answer_name"
        return Move(say(situation, mind.luck, judged, name=name, it=mind.it), answer=name)
    if past[-1].tool == "text_search" and name:
        value = fact_in(past[-1], fact, name, mind.luck, mind.errors.misreads)
        if value:
            thought = say("answer_fact", mind.luck, judged, name=name, fact=value, what=words_of(fact))
            return Move(thought, answer=value)
    return Move(_thought(mind, "unsure", judged), answer=best_answer(mind, past[-1]))


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
