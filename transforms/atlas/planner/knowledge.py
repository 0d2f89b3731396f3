"""The little that the planner knows by heart besides flags: a few facts, and well-known names to guess from.

It is written down here by hand, independently of any index that it may search.
"""

import re

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
        if match := re.search(pattern.replace("{name}", re.escape(name)), text, re.IGNORECASE):
            value = match["v"].strip(" ,.")
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
