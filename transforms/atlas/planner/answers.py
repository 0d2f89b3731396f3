"""What the planner takes for the answer: from its eyes, from results, or from memory."""

from gog.schemas import Reflection
from gog.transforms.atlas.planner.chance import Luck
from gog.transforms.atlas.planner.dialogue import Past
from gog.transforms.atlas.planner.eyes import Spot
from gog.transforms.atlas.planner.famous import named, recognise
from gog.transforms.atlas.planner.knowledge import WELL_KNOWN, common, read_fact, remembered
from gog.transforms.atlas.planner.request import UNKNOWN, Mind


def counted(mind: Mind) -> int:
    """How many flags it sees; sometimes one off."""
    flags = [spot for spot in mind.spots if spot.like_flag]
    plain = [spot for spot in flags if not spot.odd]
    number = len(flags if mind.luck.yes(mind.errors.trouble) else plain)
    if mind.luck.yes(mind.errors.miscounts):
        number += mind.luck.pick((-1, 1))
    return max(0, number)


def guess(mind: Mind) -> str:
    """An answer without any search: a famous flag that fills the picture, or a name that comes to mind."""
    name = by_heart(mind, None) if mind.question.reference.whole else ""
    fact = mind.question.fact
    if not fact:
        return name or mind.luck.pick(WELL_KNOWN)
    if name and (known := remembered(name, fact)):
        return known
    return mind.luck.pick(common(fact) or (UNKNOWN,))


def by_heart(mind: Mind, aim: Spot | None) -> str:
    """The country of the flag at the aim if it is a famous one, else empty.

    Without a place in the question it is what fills the picture.
    """
    if not mind.question.reference.whole:
        return (recognise(aim.impression) or "") if aim is not None else ""
    large = [spot.impression for spot in mind.sight.spots if spot.box.area > 0.3]
    return next((name for seen in (*large, mind.sight.middle) if (name := recognise(seen))), "")


def name_of(past: Past, rank: int = 0) -> str:
    """What a result says the thing is, out of titles such as "Flag of the Netherlands"."""
    if len(past.found) <= rank:
        return ""
    title = past.found[rank].title
    for start in ("The flag of ", "Flag of ", "flag of ", "National flag of "):
        title = title.removeprefix(start)
    return title.removeprefix("the ").strip()


def known_name(mind: Mind) -> str:
    """The country as earlier turns settled it: by what a search showed, else by heart; empty when none did."""
    for past in reversed(mind.dialogue.past):
        settled = past.judged in (Reflection.USEFUL, Reflection.AMBIGUOUS)
        if past.tool in ("gaze", "image_search") and past.found and (settled or past is mind.dialogue.past[-1]):
            return name_of(past)
    queries = [past.query for past in mind.dialogue.past if past.tool == "text_search"]
    return next((name for query in reversed(queries) if (name := named(query))), "")


def words_of(fact: str) -> str:
    """The fact in a sentence."""
    return {
        "language": "official language",
        "landlocked": "question of a coast",
        "official": "official name",
        "borders": "list of neighbours",
    }.get(fact, fact)


def query_of(fact: str, name: str, luck: Luck) -> str:
    """A text query for a fact."""
    if fact == "landlocked":
        return luck.pick((f"is {name} landlocked", f"{name} landlocked coast", f"{name} country landlocked or coast"))
    if fact == "area":
        return luck.pick((f"area of {name} in square kilometres", f"{name} area square kilometres"))
    what = words_of(fact)
    return luck.pick((f"{what} of {name}", f"{name} {what}", f"What is the {what} of {name}?"))


def fact_in(past: Past, fact: str, name: str, luck: Luck, misreads: float) -> str | None:
    """The fact out of the results: from the passages on the country, or, by mistake, from another one."""
    wanted = name.casefold()
    own = [f for f in past.found if f.title.casefold().removeprefix("the ") == wanted]
    named = [f for f in past.found if wanted in f.snippet.casefold() and f not in own]
    values = [v for f in (*own, *named) if (v := read_fact(fact, name, f.snippet))]
    others = [v for f in past.found if f not in own and (v := read_fact(fact, f.title, f.snippet)) and v not in values]
    if others and luck.yes(misreads):
        return others[0]
    return values[0] if values else None


def best_answer(mind: Mind, last: Past) -> str:
    """What the results so far support best."""
    pictures = [past for past in mind.dialogue.past if past.tool != "text_search" and past.found]
    useful = [past for past in pictures if past.judged is Reflection.USEFUL]
    usable = [past for past in pictures if past.judged is not Reflection.OFF_TARGET] or pictures
    chosen = useful[-1] if useful else max(usable, key=lambda past: past.score, default=None)
    name = name_of(chosen) if chosen is not None else known_name(mind)
    fact = mind.question.fact
    if not fact or not name:
        return name or UNKNOWN
    for past in reversed([past for past in mind.dialogue.past if past.tool == "text_search"]):
        if value := fact_in(past, fact, name, mind.luck, mind.errors.misreads):
            return value
    return remembered(name, fact) or UNKNOWN
