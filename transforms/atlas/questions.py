"""The questions of the bundled world: a small closed grammar, so that a program can read them.

    question  = count | name | fact
    count     = "How many flags are there?" | "How many flags are in the picture?"
              | "How many flags does the picture show?" | "Count the flags."
    name      = "Which country's flag is " place "?"
              | "Which country does " flag " belong to?" | "Name the country that " flag " belongs to."
              | "To which country does " flag " belong?"
    fact      = "What is the " attribute " of the country that " flag " belongs to?"
              | "Look at " flag ": what is the " attribute " of its country?"
              | "Is the country that " flag " belongs to landlocked?"
              | "Look at " flag ": is its country landlocked?"
    attribute = "capital" | "currency" | "official language" | "subregion" | "area in square kilometres"
    place     = "this" | corner | "the " end " one" | "the " size " one" | nth
    flag      = "this flag" | "the flag " corner | "the " end " flag" | "the " size " flag" | "the flag " nth
    corner    = "at the top left" | "at the top right" | "at the bottom left" | "at the bottom right" | "in the centre"
    end       = "leftmost" | "rightmost" | "topmost" | "bottommost"
    size      = "largest" | "smallest"
    nth       = ("second" | "third") " from the " ("left" | "right" | "top" | "bottom")

Decoys (cards that are no country's flag) do not count as flags. What each reference means is in `references`.
"""

import random
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gog.schemas import AnswerType
from gog.transforms.atlas.facts import Country, by_code
from gog.transforms.atlas.references import CORNERS, ENDS, SIZES

COUNT = (
    "How many flags are there?",
    "How many flags are in the picture?",
    "How many flags does the picture show?",
    "Count the flags.",
)
NAME = (
    "Which country's flag is {place}?",
    "Which country does {flag} belong to?",
    "Name the country that {flag} belongs to.",
    "To which country does {flag} belong?",
)
FACT = (
    "What is the {attribute} of the country that {flag} belongs to?",
    "Look at {flag}: what is the {attribute} of its country?",
)
LANDLOCKED = ("Is the country that {flag} belongs to landlocked?", "Look at {flag}: is its country landlocked?")
ATTRIBUTES = {
    "capital": "capital",
    "currency": "currency",
    "language": "official language",
    "subregion": "subregion",
    "area": "area in square kilometres",
}
FACTS = {"capital": 4, "currency": 3, "language": 2, "subregion": 2, "area": 1, "landlocked": 1}
"""The facts that are asked for, and how often each is."""
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
OTHER_FORMS = {
    "Austro-Bavarian German": ("German", "Austrian German"),
    "Bengali": ("Bangla",),
    "Caribbean": ("the Caribbean",),
    "Chinese": ("Mandarin", "Mandarin Chinese", "Standard Chinese"),
    "Chișinău": ("Kishinev",),
    "City of San Marino": ("San Marino",),
    "Greek": ("Modern Greek",),
    "Kyiv": ("Kiev",),
    "Malay": ("Malaysian",),
    "Maldivian": ("Dhivehi", "Divehi"),
    "Middle Africa": ("Central Africa",),
    "Moldavian": ("Moldovan", "Romanian"),
    "Persian (Farsi)": ("Persian", "Farsi"),
    "Saint John's": ("St. John's", "St John's"),
    "Slovene": ("Slovenian",),
    "South-Eastern Asia": ("Southeast Asia", "Southeastern Asia", "South-East Asia"),
    "Southeast Europe": ("Southeastern Europe", "South-Eastern Europe"),
    "St. George's": ("Saint George's", "St George's"),
    "Ulan Bator": ("Ulaanbaatar",),
    "Washington D.C.": ("Washington, D.C.", "Washington DC", "Washington"),
}
"""Other accepted forms of capitals, languages and subregions, by the form that the articles use."""
_SPELLINGS = (("Northern ", "North "), ("Southern ", "South "), ("Eastern ", "East "), ("Western ", "West "))


class Asked(NamedTuple):
    """A question with every accepted form of its answer; `low` and `high` bound an accepted number."""

    question: str
    answers: tuple[str, ...]
    answer_type: AnswerType
    unit: str = ""
    low: float | None = None
    high: float | None = None


def flag_phrase(reference: str) -> str:
    """The flag that a reference points at, within a sentence; an empty reference is the only flag."""
    if not reference:
        return "this flag"
    if reference in CORNERS:
        return f"the flag at the {reference}"
    if reference == "centre":
        return "the flag in the centre"
    if reference in ENDS or reference in SIZES:
        return f"the {reference} flag"
    return f"the flag {reference}"


def place_phrase(reference: str) -> str:
    """Where the flag is, after "Which country's flag is"."""
    if not reference:
        return "this"
    if reference in ENDS or reference in SIZES:
        return f"the {reference} one"
    return flag_phrase(reference).removeprefix("the flag ")


def ask_count(rng: random.Random, count: int) -> Asked:
    """How many flags?"""
    return Asked(rng.choice(COUNT), (str(count), WORDS[count]), AnswerType.NUMBER)


def ask_name(rng: random.Random, reference: str, country: Country) -> Asked:
    """Which country? A twin's names are as right as the country's own."""
    text = rng.choice(NAME).format(place=place_phrase(reference), flag=flag_phrase(reference))
    twins = [name for code in country.twins for name in by_code()[code].names]
    return Asked(text, spellings([*country.names, *twins]), AnswerType.STRING)


def ask_fact(rng: random.Random, reference: str, country: Country, fact: str) -> Asked:
    """A fact of the country; `fact` is one of `facts_of(country)`."""
    flag = flag_phrase(reference)
    if fact == "landlocked":
        answer = "yes" if country.landlocked else "no"
        return Asked(rng.choice(LANDLOCKED).format(flag=flag), (answer,), AnswerType.YES_NO)
    text = rng.choice(FACT).format(flag=flag, attribute=ATTRIBUTES[fact])
    match fact:
        case "area":
            area = country.area
            plain = f"{area:g}" if area < 1 else str(round(area))
            forms = tuple(dict.fromkeys((plain, f"{area:,.0f}" if area >= 1 else plain)))
            return Asked(text, forms, AnswerType.NUMBER, "km2", area * 0.98, area * 1.02)
        case "currency":
            code, name = country.currencies[0]
            return Asked(text, spellings([name, f"{name} ({code})", code]), AnswerType.STRING)
        case "capital":
            return Asked(text, spellings(_with_others(country.capitals)), AnswerType.STRING)
        case "language":
            return Asked(text, spellings(_with_others(country.languages)), AnswerType.STRING)
        case _:
            return Asked(text, spellings(_subregions(country.subregion)), AnswerType.STRING)


def facts_of(country: Country) -> tuple[str, ...]:
    """Facts that have one clear answer. None for a flag with a twin: the picture does not say which is meant."""
    if country.twins:
        return ()
    known = {
        "capital": country.capital_asked,
        "currency": len(country.currencies) == 1,
        "language": len(country.languages) == 1,
        "subregion": bool(country.subregion),
        "area": country.area >= 1,
        "landlocked": True,
    }
    return tuple(fact for fact in FACTS if known[fact])


def spellings(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each followed by its form without accents, in order and once."""
    forms = (form for name in names for form in (name, plain(name)))
    return tuple(dict.fromkeys(forms))


def plain(text: str) -> str:
    """The text without accents and with straight apostrophes."""
    for ch in "’‘ʻʼ":
        text = text.replace(ch, "'")
    folded = unicodedata.normalize("NFKD", text.replace("ł", "l").replace("đ", "d"))
    return "".join(ch for ch in folded if not unicodedata.combining(ch))


def _subregions(name: str) -> list[str]:
    shorter = [name.replace(long, short) for long, short in _SPELLINGS if name.startswith(long)]
    return [*_with_others([name]), *shorter]


def _with_others(names: Sequence[str]) -> list[str]:
    return [form for name in names for form in (name, *OTHER_FORMS.get(name, ()))]
