"""The little that the planner knows by heart: some famous flags by their coarse colours, a few facts, well-known names.

It is written down here by hand, independently of any index that it may search.
"""

import re
from collections.abc import Iterable

from gog.transforms.services.planner.eyes import GRID, Impression

_COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (15, 15, 20),
    "white": (240, 240, 240),
    "red": (205, 25, 40),
    "blue": (0, 50, 150),
    "green": (0, 120, 60),
    "yellow": (250, 205, 20),
    "sky": (100, 170, 225),
    "orange": (250, 130, 30),
}
_DOWN: dict[tuple[str, str, str], str] = {
    ("blue", "white", "red"): "France",
    ("green", "white", "red"): "Italy",
    ("green", "white", "orange"): "Ireland",
    ("black", "yellow", "red"): "Belgium",
    ("green", "white", "green"): "Nigeria",
}
_ACROSS: dict[tuple[str, str], str] = {
    ("white", "red"): "Poland",
    ("blue", "yellow"): "Ukraine",
    ("black", "yellow"): "Germany",
    ("white", "green"): "Bulgaria",
    ("red", "green"): "Hungary",
}
WELL_KNOWN = ("France", "Italy", "Brazil", "Japan", "Canada", "Mexico", "India", "Spain", "Sweden", "Kenya", "Portugal")
"""What it guesses from when it does not know."""

_FACTS: dict[str, dict[str, str]] = {
    "France": {"capital": "Paris", "currency": "euro", "language": "French", "subregion": "Western Europe"},
    "Italy": {"capital": "Rome", "currency": "euro", "language": "Italian", "subregion": "Southern Europe"},
    "Ireland": {"capital": "Dublin", "currency": "euro", "subregion": "Northern Europe"},
    "Germany": {"capital": "Berlin", "currency": "euro", "language": "German"},
    "Poland": {"capital": "Warsaw", "currency": "Polish złoty", "language": "Polish"},
    "Ukraine": {"capital": "Kyiv", "currency": "Ukrainian hryvnia", "language": "Ukrainian"},
    "Nigeria": {"capital": "Abuja", "currency": "Nigerian naira", "language": "English"},
    "Japan": {"capital": "Tokyo", "currency": "Japanese yen", "language": "Japanese", "subregion": "Eastern Asia"},
    "Brazil": {"capital": "Brasília", "language": "Portuguese", "subregion": "South America"},
    "Kenya": {"capital": "Nairobi", "currency": "Kenyan shilling", "subregion": "Eastern Africa"},
}
_COMMON = {
    "capital": ("Paris", "London", "Victoria", "Georgetown", "San José", "Kingston"),
    "currency": ("euro", "United States dollar", "franc", "peso", "dinar"),
    "language": ("English", "French", "Spanish", "Arabic", "Portuguese"),
    "subregion": ("Western Africa", "Southern Europe", "Western Asia", "Caribbean", "South America"),
    "area": ("100,000", "250,000", "30,000", "500,000"),
    "continent": ("Africa", "Europe", "Asia"),
    "landlocked": ("no", "no", "yes"),
}


def recognise(impression: Impression) -> str | None:
    """The country of a famous flag that fills the picture, or None."""
    if not impression:
        return None
    columns, rows = GRID
    names = [_colour_name(colour) for colour in impression]
    cell = [names[row * columns : (row + 1) * columns] for row in range(rows)]
    middle = cell[rows // 2 - 1] + cell[rows // 2]
    thirds = [_agreed(middle[at] for at in (k, k + columns)) for k in (0, columns // 2, columns - 1)]
    if None not in thirds and (found := _DOWN.get((thirds[0] or "", thirds[1] or "", thirds[2] or ""))):
        return found
    top, bottom = _agreed(cell[0]), _agreed(cell[-1])
    inner = {name for row in cell[1:-1] for name in row}
    if top == bottom == "white" and "red" in {middle[2], middle[3]} and inner <= {"white", "red"}:
        return "Japan"
    found = _ACROSS.get((top or "", bottom or ""))
    third = {"Germany": "red", "Bulgaria": "red", "Hungary": "white"}.get(found or "")
    return found if third is None or third in inner else None


def _agreed(names: Iterable[str]) -> str | None:
    found = set(names)
    return found.pop() if len(found) == 1 else None


def _colour_name(colour: tuple[int, int, int]) -> str:
    return min(_COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(colour, _COLOURS[name], strict=True)))


def remembered(country: str, fact: str) -> str | None:
    """The fact as it is known by heart, or None."""
    return _FACTS.get(country, {}).get(fact)


def common(fact: str) -> tuple[str, ...]:
    """Frequent values of a fact, to guess from; empty when it has none in mind."""
    return _COMMON.get(fact, ())


_READERS: dict[str, tuple[str, ...]] = {
    "capital": (r"\bcapitals? of (?:the )?{name} (?:is|are) (?P<v>[^.;]+)", r"\bcapital(?: city)? is (?P<v>[^.;,]+)"),
    "currency": (r"\bcurrency of (?:the )?{name} is (?:the )?(?P<v>[^.;(]+)", r"\bcurrency is (?:the )?(?P<v>[^.;(]+)"),
    "language": (
        r"\bofficial languages? of (?:the )?{name} (?:is|are) (?P<v>[^.;]+)",
        r"\bofficial languages? (?:is|are) (?P<v>[^.;]+)",
    ),
    "subregion": (
        r"\bsubregion of (?:the )?{name} is (?P<v>[^.;,]+)",
        r"\bis a country in (?:the )?(?P<v>[A-Z][^.;,]+)",
    ),
    "continent": (r"\bbelongs to (?P<v>[A-Z]\w+)",),
    "area": (r"\barea of (?P<v>[0-9][0-9.,e+]*)", r"(?P<v>[0-9][0-9.,e+]*) (?:square kilomet|km2|km²)"),
    "demonym": (r"\bfrom (?:the )?{name} is called (?P<v>[^.;,]+)",),
    "borders": (r"\bborders (?P<v>[A-Z][^.;]+)",),
    "official": (r"{name} \((?P<v>[^)]+)\)",),
    "population": (r"\bpopulation of (?:about )?(?P<v>[0-9][0-9., ]*(?:million|billion)?)",),
}


def read_fact(fact: str, name: str, text: str) -> str | None:
    """The fact as a passage on `name` states it, or None."""
    if fact == "landlocked":
        if re.search(r"\bnot landlocked\b|\bhas a coast\b", text, re.IGNORECASE):
            return "no"
        return "yes" if re.search(r"\blandlocked\b|\bno coast\b", text, re.IGNORECASE) else None
    for pattern in _READERS.get(fact, ()):
        if found := re.search(pattern.replace("{name}", re.escape(name)), text, re.IGNORECASE):
            value = found["v"].strip(" ,.")
            return _tidy(fact, value) if value else None
    return None


def _tidy(fact: str, value: str) -> str | None:
    if fact == "area":
        try:
            number = float(value.replace(",", ""))
        except ValueError:
            return None
        return f"{number:,.0f}" if 1 <= number < 1e12 else None
    if fact in ("capital", "language"):
        return re.split(r",| and ", value)[0].strip()
    return value[:120]
