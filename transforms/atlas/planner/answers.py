"""What the planner takes for the answer: from its eyes, from results, or from memory."""

from gog.schemas import Reflection
from gog.transforms.atlas.planner.chance import Chance
from gog.transforms.atlas.planner.dialogue import Past
from gog.transforms.atlas.planner.eyes import Spot
from gog.transforms.atlas.planner.famous import named, recognise
from gog.transforms.atlas.planner.knowledge import WELL_KNOWN, common, read_fact, remembered
from gog.transforms.atlas.planner.request import UNKNOWN, PlannerState


def counted(state: PlannerState) -> int:
    """How many flags it sees; sometimes one off."""
    flags = [spot for spot in state.spots if spot.like_flag]
    plain = [spot for spot in flags if not spot.odd]
    number = len(flags if state.chance.yes(state.errors.trouble) else plain)
    if state.chance.yes(state.errors.miscounts):
        number += state.chance.pick((-1, 1))
    return max(0, number)


def guess(state: PlannerState) -> str:
    """An answer without any search: a famous flag that fills the picture, or a name that comes to mind."""
    name = by_heart(state, None) if state.question.reference.whole else ""
    fact = state.question.fact
    if not fact:
        return name or state.chance.pick(WELL_KNOWN)
    if name and (known := remembered(name, fact)):
        return known
    return state.chance.pick(common(fact) or (UNKNOWN,))


def by_heart(state: PlannerState, aim: Spot | None) -> str:
    """The country of the flag at the aim if it is a famous one, else empty.

    Without a place in the question it is what fills the picture.
    """
    if not state.question.reference.whole:
        return (recognise(aim.impression) or "") if aim is not None else ""
    large = [spot.impression for spot in state.sight.spots if spot.box.area > 0.3]
    return next((name for seen in (*large, state.sight.middle) if (name := recognise(seen))), "")


def name_of(past: Past, rank: int = 0) -> str:
    """What a result says the thing is, out of titles such as "Flag of the Netherlands"."""
    if len(past.found) <= rank:
        return ""
    title = past.found[rank].title
    for start in ("The flag of ", "Flag of ", "flag of ", "National flag of "):
        title = title.removeprefix(start)
    return title.removeprefix("the ").strip()


def known_name(state: PlannerState) -> str:
    """The country as earlier turns settled it: by what a search showed, else by heart; empty when none did."""
    for past in reversed(state.dialogue.past):
        settled = past.judged in (Reflection.USEFUL, Reflection.AMBIGUOUS)
        if past.tool in ("gaze", "image_search") and past.found and (settled or past is state.dialogue.past[-1]):
            return name_of(past)
    queries = [past.query for past in state.dialogue.past if past.tool == "text_search"]
    return next((name for query in reversed(queries) if (name := named(query))), "")


def words_of(fact: str) -> str:
    """The fact in a sentence."""
    return {
        "language": "official language",
        "landlocked": "question of a coast",
        "official": "official name",
        "borders": "list of neighbours",
    }.get(fact, fact)


def query_of(fact: str, name: str, chance: Chance) -> str:
    """A text query for a fact."""
    if fact == "landlocked":
        return chance.pick((f"is {name} landlocked", f"{name} landlocked coast", f"{name} country landlocked or coast"))
    if fact == "area":
        return chance.pick((f"area of {name} in square kilometres", f"{name} area square kilometres"))
    what = words_of(fact)
    return chance.pick((f"{what} of {name}", f"{name} {what}", f"What is the {what} of {name}?"))


def fact_in(past: Past, fact: str, name: str, chance: Chance, misreads: float) -> str | None:
    """The fact out of the results: from the passages on the country, or, by mistake, from another one."""
    wanted = name.casefold()
    own = [f for f in past.found if f.title.casefold().removeprefix("the ") == wanted]
    named = [f for f in past.found if wanted in f.snippet.casefold() and f not in own]
    values = [v for f in (*own, *named) if (v := read_fact(fact, name, f.snippet))]
    others = [v for f in past.found if f not in own and (v := read_fact(fact, f.title, f.snippet)) and v not in values]
    if others and chance.yes(misreads):
        return others[0]
    return values[0] if values else None


def best_answer(state: PlannerState, last: Past) -> str:
    """What the results so far support best."""
    pictures = [past for past in state.dialogue.past if past.tool != "text_search" and past.found]
    useful = [past for past in pictures if past.judged is Reflection.USEFUL]
    usable = [past for past in pictures if past.judged is not Reflection.OFF_TARGET] or pictures
    chosen = useful[-1] if useful else max(usable, key=lambda past: past.score, default=None)
    name = name_of(chosen) if chosen is not None else known_name(state)
    fact = state.question.fact
    if not fact or not name:
        return name or UNKNOWN
    for past in reversed([past for past in state.dialogue.past if past.tool == "text_search"]):
        if value := fact_in(past, fact, name, state.chance, state.errors.misreads):
            return value
    return remembered(name, fact) or UNKNOWN
