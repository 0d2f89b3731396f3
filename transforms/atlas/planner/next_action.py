"""What the planner does next in an episode: judge the last result, then look elsewhere, look up, or answer."""

from gog.schemas import Box, Reflection
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
from gog.transforms.atlas.planner.chance import Luck
from gog.transforms.atlas.planner.dialogue import Came, Past
from gog.transforms.atlas.planner.knowledge import common, remembered
from gog.transforms.atlas.planner.phrases import say
from gog.transforms.atlas.planner.reading import Want
from gog.transforms.atlas.planner.request import HIGH, LOW, UNKNOWN, Mind, Move
from gog.transforms.atlas.planner.scene import covers, ranked

CLOSE = 0.012
"""First and second result nearer than this are hard to tell apart."""


def next_move(mind: Mind) -> Move:
    """The next turn of an episode."""
    past = mind.dialogue.past
    if mind.question.want is Want.COUNT:
        return _count(mind)
    if mind.dialogue.last_turn and past:
        return _final(mind)
    if not past:
        return _open(mind)
    last = past[-1]
    if last.came in (Came.ERROR, Came.REPEATED, Came.FAILED) or last.tool == "":
        return _recover(mind, last)
    if mind.question.want is Want.OTHER:
        return _general(mind, Reflection.OFF_TARGET)
    if last.tool == "text_search":
        return _after_text(mind, last)
    return _after_picture(mind, last)


def _count(mind: Mind) -> Move:
    return Move(say("count", mind.luck), answer=str(counted(mind)))


def _open(mind: Mind) -> Move:
    luck, errors, whole = mind.luck, mind.errors, mind.question.reference.whole
    if mind.question.want is Want.OTHER:
        return _general(mind, None)
    if luck.yes(errors.careless) or not mind.tools:
        return Move(say("guess", luck), answer=guess(mind))
    if (recalled := _recall(mind)) is not None:
        return recalled
    if whole or not mind.can_gaze:
        if "image_search" in mind.tools:
            return Move(say("glance" if whole else "glance_first", luck), glance=True)
        return _look(mind, "gaze", None) or _search(mind, say("text_first", luck), mind.dialogue.question)
    if "image_search" in mind.tools and luck.yes(errors.needless_glance):
        return Move(say("glance_first", luck), glance=True)
    return _look(mind, "gaze", None) or _give_up(mind, None)


def _recall(mind: Mind) -> Move | None:
    """A text search at once, for a fact of a flag that it knows by heart; None when it looks first."""
    luck, errors, fact = mind.luck, mind.errors, mind.question.fact
    if not fact or "text_search" not in mind.tools or not luck.yes(errors.trusts_memory):
        return None
    mistaken = len(mind.aims) > 1 and luck.yes(errors.wrong_aim) and luck.yes(errors.unnoticed)
    name = by_heart(mind, mind.aims[1 if mistaken else 0] if mind.aims else None)
    if not name:
        return None
    return _search(mind, say("by_heart", luck, it=mind.it, name=name, what=words_of(fact)), query_of(fact, name, luck))


def _look(mind: Mind, situation: str, judged: Reflection | None) -> Move | None:
    """A gaze at the thing that is meant, or, by mistake, at another; None when there is nothing left to look at."""
    luck, errors = mind.luck, mind.errors
    if not mind.can_gaze:
        return None
    first = not any(past.tool == "gaze" or past.came is Came.ERROR for past in mind.dialogue.past)
    aims = mind.aims
    if first and luck.yes(errors.overlooks_oddness):
        aims = ranked(mind.spots, mind.question.reference)
    aim = aims[0]
    if first and len(aims) > 1 and luck.yes(errors.wrong_aim):
        aim = aims[1]
    box = aim.box
    tried = [past.box for past in mind.dialogue.past if past.tool == "gaze" and past.box is not None]
    if any(covers(box, other) for other in tried):
        box = _resized(box, -0.06 if len(tried) % 2 else 0.05)
    elif luck.yes(errors.sloppy_box):
        box = _shifted(box, luck)
    thought = say(situation, luck, judged, it=mind.it)
    return Move(thought, box=box, label=mind.it, broken=first and luck.yes(errors.malformed))


def _resized(box: Box, share: float) -> Box:
    dx, dy = (box.x2 - box.x1) * share, (box.y2 - box.y1) * share
    return Box(max(0.0, box.x1 - dx), max(0.0, box.y1 - dy), min(1.0, box.x2 + dx), min(1.0, box.y2 + dy))


def _shifted(box: Box, luck: Luck) -> Box:
    dx = (box.x2 - box.x1) * luck.between(0.3, 0.55) * luck.pick((-1, 1))
    dy = (box.y2 - box.y1) * luck.between(0.25, 0.5) * luck.pick((-1, 1))
    x1, x2 = max(0.0, min(0.98, box.x1 + dx)), max(0.02, min(1.0, box.x2 + dx))
    y1, y2 = max(0.0, min(0.98, box.y1 + dy)), max(0.02, min(1.0, box.y2 + dy))
    return Box(x1, y1, x2, y2)


def _after_picture(mind: Mind, last: Past) -> Move:
    luck, errors = mind.luck, mind.errors
    if last.tool == "image_search" and not mind.question.reference.whole and mind.can_gaze:
        if last.score >= HIGH and luck.yes(errors.careless):
            return _identified(mind, last, Reflection.USEFUL)
        return _look(mind, "glance_missed", Reflection.OFF_TARGET) or _give_up(mind, Reflection.OFF_TARGET)
    if last.score < LOW:
        return _after_miss(mind, last)
    if last.tool == "gaze" and last.box is not None and mind.aims:
        aim = mind.aims[0].box
        if not covers(last.box, aim) and not luck.yes(errors.unnoticed):
            again = _look(mind, "wrong_place", Reflection.OFF_TARGET)
            if again is not None:
                return again
    doubts = sum(past.judged is Reflection.AMBIGUOUS for past in mind.dialogue.past)
    if last.score < HIGH and not doubts and (again := _look(mind, "so_so", Reflection.AMBIGUOUS)):
        return again
    close = len(last.found) > 1 and last.score - (last.found[1].score or 0.0) < CLOSE
    if close and not doubts and luck.yes(0.3) and (again := _look(mind, "two_alike", Reflection.AMBIGUOUS)):
        return again
    return _identified(mind, last, Reflection.USEFUL)


def _after_miss(mind: Mind, last: Past) -> Move:
    """The result is far off: another thing, a better box, or a way out."""
    if last.tool == "gaze" and mind.aims and last.box is not None and _clipped(last.box, mind):
        situation = "sloppy"
    else:
        situation = "no_match"
    again = _look(mind, situation, Reflection.OFF_TARGET)
    if again is not None:
        return again
    tried = [past for past in mind.dialogue.past if past.found and past.tool != "text_search"]
    best = max(tried, key=lambda past: past.score, default=None)
    if best is not None and best.score >= LOW - 0.1:
        return _identified(mind, best, Reflection.AMBIGUOUS)
    if not mind.did("image_search") and "image_search" in mind.tools:
        return Move(say("glance_first", mind.luck, Reflection.OFF_TARGET), glance=True)
    if not mind.did("text_search") and "text_search" in mind.tools:
        return _search(mind, say("general_text", mind.luck, Reflection.OFF_TARGET), mind.dialogue.question)
    return _give_up(mind, Reflection.OFF_TARGET)


def _clipped(box: Box, mind: Mind) -> bool:
    """Whether the box shows a part of the thing that is meant."""
    aim = mind.aims[0].box
    return min(box.x2, aim.x2) > max(box.x1, aim.x1) and min(box.y2, aim.y2) > max(box.y1, aim.y1)


def _identified(mind: Mind, past: Past, judged: Reflection) -> Move:
    """The country is settled: answer, or look up what is asked of it."""
    luck, errors, fact = mind.luck, mind.errors, mind.question.fact
    close = len(past.found) > 1 and past.score - (past.found[1].score or 0.0) < 0.06
    name = name_of(past, 1 if close and luck.yes(errors.second_choice) else 0)
    if not fact:
        if judged is Reflection.USEFUL and "text_search" in mind.tools and luck.yes(0.1):
            return _search(mind, say("check_name", luck, judged, name=name, it=mind.it), f"flag of {name}")
        situation = "answer_name" if judged is Reflection.USEFUL else "choose"
        return Move(say(situation, luck, judged, name=name, it=mind.it), answer=name)
    if "text_search" not in mind.tools or luck.yes(errors.from_memory):
        known = remembered(name, fact) or luck.pick(common(fact) or (UNKNOWN,))
        return Move(say("recall_fact", luck, judged, name=name, what=words_of(fact)), answer=known)
    thought = say("need_fact", luck, judged, name=name, what=words_of(fact))
    return _search(mind, thought, query_of(fact, name, luck))


def _search(mind: Mind, thought: str, query: str) -> Move:
    if "text_search" not in mind.tools:
        return Move(thought, answer=guess(mind))
    return Move(thought, query=" ".join(query.split())[:300] or "flag")


def _after_text(mind: Mind, last: Past) -> Move:
    luck, errors, fact, name = mind.luck, mind.errors, mind.question.fact, known_name(mind)
    if not fact and name:
        return Move(say("confirmed", luck, Reflection.USEFUL, name=name), answer=name)
    if name and (value := fact_in(last, fact, name, luck, errors.misreads)):
        thought = say("answer_fact", luck, Reflection.USEFUL, name=name, fact=value, what=words_of(fact))
        return Move(thought, answer=value)
    searches = [past.query for past in mind.dialogue.past if past.tool == "text_search"]
    if name and len(searches) < 3:
        for query in (name, f"{name} {words_of(fact)} country", f"facts about {name}"):
            if query not in searches:
                return _search(mind, say("text_again", luck, Reflection.OFF_TARGET), query)
    if not name:
        return _give_up(mind, Reflection.OFF_TARGET)
    answer = remembered(name, fact) or luck.pick(common(fact) or (UNKNOWN,))
    return Move(say("text_guess", luck, Reflection.OFF_TARGET), answer=answer)


def _recover(mind: Mind, last: Past) -> Move:
    """After a mistake, a repetition, or a failure of a tool."""
    luck = mind.luck
    situation = {Came.REPEATED: "repeated", Came.FAILED: "failed"}.get(last.came, "mistake")
    judged = Reflection.AMBIGUOUS if any(past.found for past in mind.dialogue.past) else None
    troubles = sum(past.came in (Came.ERROR, Came.REPEATED, Came.FAILED) for past in mind.dialogue.past)
    if mind.question.want is Want.OTHER and troubles < 3:
        return _general(mind, judged, situation)
    settled = known_name(mind)
    if troubles >= 3 or (last.tool == "text_search" and last.came is Came.FAILED and settled):
        return _final(mind)
    if (
        last.came is Came.FAILED
        and last.tool == "gaze"
        and not mind.did("image_search")
        and "image_search" in mind.tools
    ):
        return Move(say(situation, luck, judged), glance=True)
    if settled and mind.question.fact:
        return _search(mind, say(situation, luck, judged), query_of(mind.question.fact, settled, luck))
    again = _look(mind, situation, judged)
    if again is not None:
        return again
    if not mind.did("image_search") and "image_search" in mind.tools:
        return Move(say(situation, luck, judged), glance=True)
    return _final(mind)


def _general(mind: Mind, judged: Reflection | None, situation: str = "") -> Move:
    """A question that it does not understand: glance, look at the most striking things, search, then say so."""
    luck, past = mind.luck, mind.dialogue.past
    gazes = [p for p in past if p.tool == "gaze"]
    if not past and "image_search" in mind.tools:
        return Move(say("glance_first", luck, judged), glance=True)
    striking = [s for s in mind.spots if not any(p.box is not None and covers(p.box, s.box) for p in gazes)]
    striking.sort(key=lambda s: (-s.clear * min(0.1, s.box.area), s.box))
    if striking and "gaze" in mind.tools and len(gazes) < 2 and not mind.cropless:
        thought = say(situation or ("general_gaze" if past else "gaze"), luck, judged)
        return Move(thought, box=striking[0].box, label="the most striking part")
    if "text_search" in mind.tools and not mind.did("text_search") and mind.dialogue.question.strip():
        return _search(
            mind, say(situation or ("general_text" if past else "text_first"), luck, judged), mind.question.text
        )
    return _give_up(mind, judged)


def _give_up(mind: Mind, judged: Reflection | None) -> Move:
    return Move(say("give_up", mind.luck, judged), answer=UNKNOWN)


def _final(mind: Mind) -> Move:
    """Answer now, with what there is."""
    last = mind.dialogue.past[-1]
    judged = Reflection.AMBIGUOUS if any(past.found for past in mind.dialogue.past) else None
    if mind.question.want is Want.OTHER:
        return _give_up(mind, judged)
    return Move(say("out_of_turns", mind.luck, judged), answer=best_answer(mind, last))
