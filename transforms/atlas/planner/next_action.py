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
from gog.transforms.atlas.planner.chance import Chance
from gog.transforms.atlas.planner.dialogue import Came, Past
from gog.transforms.atlas.planner.knowledge import common, remembered
from gog.transforms.atlas.planner.phrases import say
from gog.transforms.atlas.planner.reading import Want
from gog.transforms.atlas.planner.request import HIGH, LOW, UNKNOWN, Move, PlannerState
from gog.transforms.atlas.planner.scene import covers, ranked

CLOSE = 0.012
"""First and second result nearer than this are hard to tell apart."""


def next_move(state: PlannerState) -> Move:
    """The next turn of an episode."""
    past = state.dialogue.past
    if state.question.want is Want.COUNT:
        return _count(state)
    if state.dialogue.last_turn and past:
        return _final(state)
    if not past:
        return _open(state)
    last = past[-1]
    if last.came in (Came.ERROR, Came.REPEATED, Came.FAILED) or last.tool == "":
        return _recover(state, last)
    if state.question.want is Want.OTHER:
        return _general(state, Reflection.OFF_TARGET)
    if last.tool == "text_search":
        return _after_text(state, last)
    return _after_picture(state, last)


def _count(state: PlannerState) -> Move:
    return Move(say("count", state.chance), answer=str(counted(state)))


def _open(state: PlannerState) -> Move:
    chance, errors, whole = state.chance, state.errors, state.question.reference.whole
    if state.question.want is Want.OTHER:
        return _general(state, None)
    if chance.yes(errors.careless) or not state.tools:
        return Move(say("guess", chance), answer=guess(state))
    if (recalled := _recall(state)) is not None:
        return recalled
    if whole or not state.can_gaze:
        if "image_search" in state.tools:
            return Move(say("glance" if whole else "glance_first", chance), glance=True)
        return _look(state, "gaze", None) or _search(state, say("text_first", chance), state.dialogue.question)
    if "image_search" in state.tools and chance.yes(errors.needless_glance):
        return Move(say("glance_first", chance), glance=True)
    return _look(state, "gaze", None) or _give_up(state, None)


def _recall(state: PlannerState) -> Move | None:
    """A text search at once, for a fact of a flag that it knows by heart; None when it looks first."""
    chance, errors, fact = state.chance, state.errors, state.question.fact
    if not fact or "text_search" not in state.tools or not chance.yes(errors.trusts_memory):
        return None
    mistaken = len(state.aims) > 1 and chance.yes(errors.wrong_aim) and chance.yes(errors.unnoticed)
    name = by_heart(state, state.aims[1 if mistaken else 0] if state.aims else None)
    if not name:
        return None
    return _search(
        state, say("by_heart", chance, it=state.it, name=name, what=words_of(fact)), query_of(fact, name, chance)
    )


def _look(state: PlannerState, situation: str, judged: Reflection | None) -> Move | None:
    """A gaze at the thing that is meant, or, by mistake, at another; None when there is nothing left to look at."""
    chance, errors = state.chance, state.errors
    if not state.can_gaze:
        return None
    first = not any(past.tool == "gaze" or past.came is Came.ERROR for past in state.dialogue.past)
    aims = state.aims
    if first and chance.yes(errors.overlooks_oddness):
        aims = ranked(state.spots, state.question.reference)
    aim = aims[0]
    if first and len(aims) > 1 and chance.yes(errors.wrong_aim):
        aim = aims[1]
    box = aim.box
    tried = [past.box for past in state.dialogue.past if past.tool == "gaze" and past.box is not None]
    if any(covers(box, other) for other in tried):
        box = _resized(box, -0.06 if len(tried) % 2 else 0.05)
    elif chance.yes(errors.sloppy_box):
        box = _shifted(box, chance)
    thought = say(situation, chance, judged, it=state.it)
    return Move(thought, box=box, label=state.it, broken=first and chance.yes(errors.malformed))


def _resized(box: Box, share: float) -> Box:
    dx, dy = (box.x2 - box.x1) * share, (box.y2 - box.y1) * share
    return Box(max(0.0, box.x1 - dx), max(0.0, box.y1 - dy), min(1.0, box.x2 + dx), min(1.0, box.y2 + dy))


def _shifted(box: Box, chance: Chance) -> Box:
    dx = (box.x2 - box.x1) * chance.between(0.3, 0.55) * chance.pick((-1, 1))
    dy = (box.y2 - box.y1) * chance.between(0.25, 0.5) * chance.pick((-1, 1))
    x1, x2 = max(0.0, min(0.98, box.x1 + dx)), max(0.02, min(1.0, box.x2 + dx))
    y1, y2 = max(0.0, min(0.98, box.y1 + dy)), max(0.02, min(1.0, box.y2 + dy))
    return Box(x1, y1, x2, y2)


def _after_picture(state: PlannerState, last: Past) -> Move:
    chance, errors = state.chance, state.errors
    if last.tool == "image_search" and not state.question.reference.whole and state.can_gaze:
        if last.score >= HIGH and chance.yes(errors.careless):
            return _identified(state, last, Reflection.USEFUL)
        return _look(state, "glance_missed", Reflection.OFF_TARGET) or _give_up(state, Reflection.OFF_TARGET)
    if last.score < LOW:
        return _after_miss(state, last)
    if last.tool == "gaze" and last.box is not None and state.aims:
        aim = state.aims[0].box
        if not covers(last.box, aim) and not chance.yes(errors.unnoticed):
            again = _look(state, "wrong_place", Reflection.OFF_TARGET)
            if again is not None:
                return again
    doubts = sum(past.judged is Reflection.AMBIGUOUS for past in state.dialogue.past)
    if last.score < HIGH and not doubts and (again := _look(state, "so_so", Reflection.AMBIGUOUS)):
        return again
    close = len(last.found) > 1 and last.score - (last.found[1].score or 0.0) < CLOSE
    if close and not doubts and chance.yes(0.3) and (again := _look(state, "two_alike", Reflection.AMBIGUOUS)):
        return again
    return _identified(state, last, Reflection.USEFUL)


def _after_miss(state: PlannerState, last: Past) -> Move:
    """The result is far off: another thing, a better box, or a way out."""
    if last.tool == "gaze" and state.aims and last.box is not None and _clipped(last.box, state):
        situation = "sloppy"
    else:
        situation = "no_match"
    again = _look(state, situation, Reflection.OFF_TARGET)
    if again is not None:
        return again
    tried = [past for past in state.dialogue.past if past.found and past.tool != "text_search"]
    best = max(tried, key=lambda past: past.score, default=None)
    if best is not None and best.score >= LOW - 0.1:
        return _identified(state, best, Reflection.AMBIGUOUS)
    if not state.did("image_search") and "image_search" in state.tools:
        return Move(say("glance_first", state.chance, Reflection.OFF_TARGET), glance=True)
    if not state.did("text_search") and "text_search" in state.tools:
        return _search(state, say("general_text", state.chance, Reflection.OFF_TARGET), state.dialogue.question)
    return _give_up(state, Reflection.OFF_TARGET)


def _clipped(box: Box, state: PlannerState) -> bool:
    """Whether the box shows a part of the thing that is meant."""
    aim = state.aims[0].box
    return min(box.x2, aim.x2) > max(box.x1, aim.x1) and min(box.y2, aim.y2) > max(box.y1, aim.y1)


def _identified(state: PlannerState, past: Past, judged: Reflection) -> Move:
    """The country is settled: answer, or look up what is asked of it."""
    chance, errors, fact = state.chance, state.errors, state.question.fact
    close = len(past.found) > 1 and past.score - (past.found[1].score or 0.0) < 0.06
    name = name_of(past, 1 if close and chance.yes(errors.second_choice) else 0)
    if not fact:
        if judged is Reflection.USEFUL and "text_search" in state.tools and chance.yes(0.1):
            return _search(state, say("check_name", chance, judged, name=name, it=state.it), f"flag of {name}")
        situation = "answer_name" if judged is Reflection.USEFUL else "choose"
        return Move(say(situation, chance, judged, name=name, it=state.it), answer=name)
    if "text_search" not in state.tools or chance.yes(errors.from_memory):
        known = remembered(name, fact) or chance.pick(common(fact) or (UNKNOWN,))
        return Move(say("recall_fact", chance, judged, name=name, what=words_of(fact)), answer=known)
    thought = say("need_fact", chance, judged, name=name, what=words_of(fact))
    return _search(state, thought, query_of(fact, name, chance))


def _search(state: PlannerState, thought: str, query: str) -> Move:
    if "text_search" not in state.tools:
        return Move(thought, answer=guess(state))
    return Move(thought, query=" ".join(query.split())[:300] or "flag")


def _after_text(state: PlannerState, last: Past) -> Move:
    chance, errors, fact, name = state.chance, state.errors, state.question.fact, known_name(state)
    if not fact and name:
        return Move(say("confirmed", chance, Reflection.USEFUL, name=name), answer=name)
    if name and (value := fact_in(last, fact, name, chance, errors.misreads)):
        thought = say("answer_fact", chance, Reflection.USEFUL, name=name, fact=value, what=words_of(fact))
        return Move(thought, answer=value)
    searches = [past.query for past in state.dialogue.past if past.tool == "text_search"]
    if name and len(searches) < 3:
        for query in (name, f"{name} {words_of(fact)} country", f"facts about {name}"):
            if query not in searches:
                return _search(state, say("text_again", chance, Reflection.OFF_TARGET), query)
    if not name:
        return _give_up(state, Reflection.OFF_TARGET)
    answer = remembered(name, fact) or chance.pick(common(fact) or (UNKNOWN,))
    return Move(say("text_guess", chance, Reflection.OFF_TARGET), answer=answer)


def _recover(state: PlannerState, last: Past) -> Move:
    """After a mistake, a repetition, or a failure of a tool."""
    chance = state.chance
    situation = {Came.REPEATED: "repeated", Came.FAILED: "failed"}.get(last.came, "mistake")
    judged = Reflection.AMBIGUOUS if any(past.found for past in state.dialogue.past) else None
    troubles = sum(past.came in (Came.ERROR, Came.REPEATED, Came.FAILED) for past in state.dialogue.past)
    if state.question.want is Want.OTHER and troubles < 3:
        return _general(state, judged, situation)
    settled = known_name(state)
    if troubles >= 3 or (last.tool == "text_search" and last.came is Came.FAILED and settled):
        return _final(state)
    if (
        last.came is Came.FAILED
        and last.tool == "gaze"
        and not state.did("image_search")
        and "image_search" in state.tools
    ):
        return Move(say(situation, chance, judged), glance=True)
    if settled and state.question.fact:
        return _search(state, say(situation, chance, judged), query_of(state.question.fact, settled, chance))
    again = _look(state, situation, judged)
    if again is not None:
        return again
    if not state.did("image_search") and "image_search" in state.tools:
        return Move(say(situation, chance, judged), glance=True)
    return _final(state)


def _general(state: PlannerState, judged: Reflection | None, situation: str = "") -> Move:
    """A question that it does not understand: glance, look at the most striking things, search, then say so."""
    chance, past = state.chance, state.dialogue.past
    gazes = [p for p in past if p.tool == "gaze"]
    if not past and "image_search" in state.tools:
        return Move(say("glance_first", chance, judged), glance=True)
    striking = [s for s in state.spots if not any(p.box is not None and covers(p.box, s.box) for p in gazes)]
    striking.sort(key=lambda s: (-s.clear * min(0.1, s.box.area), s.box))
    if striking and "gaze" in state.tools and len(gazes) < 2 and not state.cropless:
        thought = say(situation or ("general_gaze" if past else "gaze"), chance, judged)
        return Move(thought, box=striking[0].box, label="the most striking part")
    if "text_search" in state.tools and not state.did("text_search") and state.dialogue.question.strip():
        return _search(
            state, say(situation or ("general_text" if past else "text_first"), chance, judged), state.question.text
        )
    return _give_up(state, judged)


def _give_up(state: PlannerState, judged: Reflection | None) -> Move:
    return Move(say("give_up", state.chance, judged), answer=UNKNOWN)


def _final(state: PlannerState) -> Move:
    """Answer now, with what there is."""
    last = state.dialogue.past[-1]
    judged = Reflection.AMBIGUOUS if any(past.found for past in state.dialogue.past) else None
    if state.question.want is Want.OTHER:
        return _give_up(state, judged)
    return Move(say("out_of_turns", state.chance, judged), answer=best_answer(state, last))
