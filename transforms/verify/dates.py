"""Dates in answers: parsed as far as they are written out, and compared that far.

A gold year accepts any date in that year. A gold date accepts only itself: an answer that names its year alone
agrees as far as it goes, which a rule cannot settle; one that contradicts it is wrong.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from gog.schemas import Outcome
from gog.transforms.verify.normalise import fold, unwrapped
from gog.transforms.verify.numbers import MINUS


class PartialDate(NamedTuple):
    """A date with what was written of it; years before Christ are negative (44 BC is -44)."""

    year: int | None
    month: int | None = None
    day: int | None = None


_NAMES: Final = """january february march april may june july august september october november
    december""".split()  # noqa: SIM905
_MONTHS: Final = {name: number for number, name in enumerate(_NAMES, start=1)} | {
    name[:3]: number for number, name in enumerate(_NAMES, start=1)
}
_MONTH: Final = rf"(?P<name>{'|'.join(_NAMES)}|sept|{'|'.join(name[:3] for name in _NAMES)})\.?"
_DAY: Final = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR: Final = r"(?P<year>\d{1,4})(?:\s*(?P<era>bc|bce|b\.c\.|b\.c\.e\.|ad|ce|a\.d\.|c\.e\.))?"
_FOUR: Final = r"(?P<year>\d{4})"
_WEEKDAY: Final = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+|(?:mon|tue|wed|thu|fri|sat|sun)\.?,?\s+)?"
_FORMS: Final = tuple(
    re.compile(form)
    for form in (
        rf"\+?{_FOUR}-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}})(?:[t ]\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?:\.\d+)?z?)?",
        rf"{_FOUR}-(?P<month>\d{{2}})",
        rf"{_FOUR}[/.](?P<month>\d{{1,2}})[/.](?P<day>\d{{1,2}})",
        rf"{_WEEKDAY}(?:the\s+)?{_DAY}\s*(?:of\s+)?[-\s]?{_MONTH}(?:[\s,-]+{_YEAR})?",
        rf"{_WEEKDAY}{_MONTH}\s*(?:the\s+)?{_DAY}(?:[\s,]+{_YEAR})?",
        rf"{_MONTH}(?:\s+of)?[\s,-]+(?P<year>\d{{3,4}})",
        rf"{_MONTH}",
        rf"{_YEAR}",
        r"(?P<era>ad|bc)\s*(?P<year>\d{1,4})",
        rf"{_FOUR}年(?:(?P<month>\d{{1,2}})月(?:(?P<day>\d{{1,2}})[日号]?)?)?",
        rf"{_FOUR}년(?:\s*(?P<month>\d{{1,2}})월(?:\s*(?P<day>\d{{1,2}})일)?)?",
    )
)
_AMBIGUOUS: Final = re.compile(rf"(?P<one>\d{{1,2}})[/.-](?P<two>\d{{1,2}})[/.-]{_FOUR}")
_LAST_YEAR: Final = 2100
_LEAD: Final = re.compile(r"^(?:(?:in|on|the year|year|dated?)\s+)+")
_LONGEST: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@lru_cache(maxsize=1024)
def parse_dates(text: str) -> tuple[PartialDate, ...]:
    """Readings of a text that is one date and no more: two for `03/04/2020`, each century for `5 May 98`; else none."""
    if len(text) > 100:
        return ()
    ready = _LEAD.sub("", " ".join(fold(unwrapped(text)).translate(MINUS).split()).rstrip(" .,;"))
    for form in _FORMS:
        match = form.fullmatch(ready)
        if match is not None:
            parts = {"month": None, "day": None, "era": None, "name": None, "year": None, **match.groupdict()}
            return tuple(date for date in _readings(parts) if _possible(date))
    match = _AMBIGUOUS.fullmatch(ready)
    if match is None:
        return ()
    year, one, two = int(match["year"]), int(match["one"]), int(match["two"])
    readings = {PartialDate(year, one, two), PartialDate(year, two, one)}
    return tuple(sorted(date for date in readings if _possible(date)))


def _readings(parts: dict[str, str | None]) -> tuple[PartialDate, ...]:
    """The date that the parts of a form say; a year of two digits without an era may be of any century."""
    name, year, era = parts["name"], parts["year"], parts["era"] or ""
    month = _MONTHS[name[:3]] if name else int(parts["month"]) if parts["month"] else None
    day = int(parts["day"]) if parts["day"] else None
    if year is None:
        return (PartialDate(None, month, day),)
    number = -int(year) if era.startswith("b") else int(year)
    years = range(number, _LAST_YEAR, 100) if len(year) == 2 and not era else (number,)
    return tuple(PartialDate(each, month, day) for each in years)


def _possible(date: PartialDate) -> bool:
    if date.year == 0 or (date.month is not None and not 1 <= date.month <= 12):
        return False
    return date.day is None or (date.month is not None and 1 <= date.day <= _LONGEST[date.month - 1])


def compare_dates(answer: PartialDate, gold: PartialDate) -> Outcome:
    """Whether the answer is the gold date; unknown when it agrees but says less than the gold date does."""
    vague = False
    for theirs, ours in zip(answer, gold, strict=True):
        if ours is None:
            continue
        if theirs is None:
            vague = True
        elif theirs != ours:
            return Outcome.WRONG
    return Outcome.UNKNOWN if vague else Outcome.CORRECT
