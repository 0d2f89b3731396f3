"""Numbers in answers: parsed with unit, precision and range, and compared.

What equal means (`compare`): the values agree to within half of the coarser one's last written digit. `8,849 m` and
`8,848.86 m` agree, `1994` and `1995` do not. When they agree but the coarser one has fewer than three significant
digits (`1.2 million` for `1,234,567`), a rule cannot settle it and the judge is asked. A range that the source names
(`answer_low`, `answer_high`) is taken as it stands: inside is right, outside is wrong.
"""

import math
import re
from functools import lru_cache
from typing import Final, NamedTuple

from gog.schemas import Outcome
from gog.transforms.verify.normalise import fold
from gog.transforms.verify.units import PHRASES, UNITS, Unit
from gog.transforms.verify.words import digits_for_words

MAX_CHARS: Final = 300
"""Longer text is no number."""

LEAST_DIGITS: Final = 3
"""Significant digits with which a rounded number still counts as the same."""


class Quantity(NamedTuple):
    """A number as it was written.

    `low` and `high` differ for a range only; `step` is the value of the last written digit; `digits` the number of
    significant digits; `unit` a name of `UNITS`, or the first word after the number, or empty.
    """

    low: float
    high: float
    step: float
    digits: int
    unit: str = ""
    ordinal: bool = False

    @property
    def known_unit(self) -> Unit | None:
        """The unit's row in the table, if it has one."""
        return UNITS.get(self.unit)


_SCALE: Final = {
    "hundred": 1e2,
    "thousand": 1e3,
    "lakh": 1e5,
    "million": 1e6,
    "mn": 1e6,
    "mio": 1e6,
    "crore": 1e7,
    "billion": 1e9,
    "bn": 1e9,
    "trillion": 1e12,
    "tn": 1e12,
    "k": 1e3,
    "万": 1e4,
    "萬": 1e4,
    "亿": 1e8,
    "億": 1e8,
}
_DIGITS: Final = (
    r"\d{1,3}(?:,\d{2,3}){0,8},\d{3}(?:\.\d+)?(?![\d,])"  # 1,234,567.8 and 12,34,567
    r"|\d{1,3}(?:\.\d{3}){2,8}(?:,\d+)?(?![\d.])"  # 1.234.567,8
    r"|\d{1,3}(?:\.\d{3})+,\d+(?![\d.])"  # 1.234,5
    r"|\d{1,3}(?:['’ ]\d{3}){1,8}(?:[.,]\d+)?(?!\d)"  # 1 234 567 and 1'234'567
    r"|\d+,\d{1,2}(?![\d,])"  # 3,5
    r"|\d+(?:\.\d+)?|\.\d+"
)
_CURRENCY: Final = r"[$€£¥₹]|\b(?:usd|eur|gbp|jpy|inr)\b"
_NUMBER: Final = re.compile(
    rf"(?P<currency>{_CURRENCY})?\s*(?P<sign>(?<![\w)])[-−–+](?=[\d.$€£¥₹]))?\s*(?P<currency2>{_CURRENCY})?\s*"
    rf"(?<![a-z0-9_])(?P<digits>{_DIGITS})"
    r"(?:\s*(?:e(?P<e>[+-]?\d{1,3})(?!\w)|[x×·*]\s*10\s*\^\s*(?P<ten>[-−+]?\d{1,3})))?"
    r"(?P<fraction>\s*/\s*\d{1,6}(?![\d/]))?"
    r"(?P<ordinal>(?:st|nd|rd|th)\b)?"
    rf"(?P<scale>(?:\s*|-)(?:hundred|thousand|lakh|million|mn|mio|crore|billion|bn|trillion|tn|万|萬|亿|億)s?(?![a-z])|k(?![a-z]))?"
)
_UNIT_WORD: Final = re.compile(r"\s*-?\s*(%|°[cf]?|[$€£¥₹]|m/s|km/h|[^\W\d_][\w]*)")
_NO_UNITS: Final = frozenset(
    "to and or through until up in of is are was were at on for by as from with x".split()  # noqa: SIM905
)
_RANGE: Final = re.compile(r"\s*(?:-|–|—|−|~|to|and|through|until|up to)\s*")
_BETWEEN: Final = re.compile(r"\b(?:between|from)\s*$")
_PRONOUN: Final = re.compile(r"\b(?:the|this|that|no|any|every|each|some|which)\s+one\b|\bone\s+of\b", re.IGNORECASE)
_DOUBT: Final = re.compile(
    r"\b(?:not|no|nor|or|but|if|except|rather|maybe|perhaps|either|less|more|over|under|above|below|least|most|fewer|"
    r"unless|unsure|instead|between|plus|minus|cannot|cant|isnt|arent|wasnt|other|different|than|half|up)\b|n't\b|±|[<>≤≥+]"
)
_MIN_OF_THE_WORLD: Final = 1e-300


def prepare(text: str) -> str:
    """Folded text with powers of ten, number words and units of several words in one written form."""
    text = digits_for_words(fold(text))
    text = text.replace("٬", ",").replace("٫", ".")
    for pattern, name in PHRASES:
        text = re.sub(pattern, f" {name} ", text)
    return " ".join(text.split())


@lru_cache(maxsize=1024)
def parse(text: str, words: int = 8) -> Quantity | None:
    """The one number, or the one range, that the text states; None when it states none, several, or in doubt.

    At most `words` words may stand around the number and its unit. "about 12 flags", "$1.2 million",
    "between 10 and 12 km", "1.2e6", "twelve" and "45 percent" are read; "12 or 13", "not 12" and "more than 12"
    are not.
    """
    if len(text) > MAX_CHARS:
        return None
    if _PRONOUN.search(text):
        return None
    ready = prepare(text)
    matches = list(_NUMBER.finditer(ready))
    if not matches and re.fullmatch(r"(?:none|nil|nought)[.!]?", ready):
        return Quantity(0.0, 0.0, 1.0, 1)
    if not 1 <= len(matches) <= 2:
        return None
    first = _read(matches[0], ready)
    if first is None:
        return None
    rest = ready[: matches[0].start()] + " " + ready[matches[-1].end() :]
    if len(matches) == 2:
        rest = _BETWEEN.sub("", ready[: matches[0].start()]) + ready[matches[-1].end() :]
        first = _range(first, matches, ready)
        if first is None:
            return None
    around = [word for word in re.findall(r"[^\W_]+|[^\w\s.,;:!?()]+", rest) if word != first.unit]
    if _DOUBT.search(rest) or len(around) > words:
        return None
    return first


def _range(first: Quantity, matches: list[re.Match[str]], ready: str) -> Quantity | None:
    second = _read(matches[1], ready)
    if second is None:
        return None
    between = ready[matches[0].end() : matches[1].start()]
    if first.unit and between.strip().startswith(first.unit):
        between = between.strip().removeprefix(first.unit)
    if (first.low, first.ordinal) == (second.low, second.ordinal):  # 12 (twelve)
        return first
    joined = _RANGE.fullmatch(between)
    if joined is None and not (between.strip() == "" and matches[1]["sign"] in {"-", "–", "−"}):
        return None
    if joined is None:
        second = second._replace(low=-second.low, high=-second.high)
    if joined is not None and joined[0].strip() == "and" and not _BETWEEN.search(ready[: matches[0].start()]):
        return None
    if first.unit and second.unit and first.unit != second.unit:
        return None
    if second.low < first.low:
        return None
    return second._replace(low=first.low, step=max(first.step, second.step), digits=min(first.digits, second.digits))


def _read(match: re.Match[str], ready: str) -> Quantity | None:
    if re.fullmatch(r"\d{3}0", match["digits"]) and re.match(r"s\b", ready[match.end() :]):  # the 1990s
        return None
    value, step, digits = _value(match["digits"])
    power = int((match["e"] or match["ten"] or "0").replace("−", "-"))
    if abs(power) > 300:
        return None
    scale = 10.0**power
    if match["scale"]:
        scale *= _SCALE[match["scale"].strip(" -").removesuffix("s")]
    if match["fraction"]:
        below = int(match["fraction"].strip(" /"))
        if below == 0:
            return None
        scale, step, digits = scale / below, 0.0, 9
    value, step = value * scale, step * scale
    if not math.isfinite(value) or not math.isfinite(step) or (value and value < _MIN_OF_THE_WORLD):
        return None
    if match["scale"] or power:
        digits = max(1, len(match["digits"].replace(",", "").replace(".", "").strip("0")))
    if match["sign"] in {"-", "−", "–"}:
        value = -value
    currency = match["currency"] or match["currency2"]
    unit = currency or ""
    if not unit:
        after = _UNIT_WORD.match(ready, match.end())
        unit = after[1] if after and after[1] not in _NO_UNITS else ""
    return Quantity(value, value, step, digits, unit, bool(match["ordinal"]))


def _value(digits: str) -> tuple[float, float, int]:
    """Value, value of the last significant digit, and significant digits of a number as written."""
    plain = re.sub(r"['’ ]", "", digits)
    if re.fullmatch(r"\d+(?:,\d{2,3})*,\d{3}(?:\.\d+)?", plain):
        plain = plain.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}", plain):
        plain = plain.replace(".", "").replace(",", ".")
    else:
        plain = plain.replace(",", ".")
    whole, _, decimals = plain.partition(".")
    if decimals:
        return float(plain), 10.0 ** -min(300, len(decimals)), len((whole + decimals).lstrip("0")) or 1
    whole = whole.lstrip("0") or "0"
    # The zeros at the end of a big round number are not precision: 3,000 may be anything near it, 10 is ten.
    zeros = len(whole) - len(whole.rstrip("0")) if len(whole) >= 4 else 0
    return float(whole), 10.0 ** min(300, zeros), len(whole) - zeros


def compare(answer: Quantity, gold: Quantity) -> Outcome:
    """Whether an answer's number is the gold one; unknown when a rule cannot tell (see the module)."""
    if answer.ordinal != gold.ordinal and (answer.low, answer.high) == (gold.low, gold.high):
        return Outcome.UNKNOWN
    converted = _converted(answer, gold)
    if converted is None:
        return Outcome.UNKNOWN
    answer, sure = converted
    if gold.low != gold.high:
        return within(answer, gold.low, gold.high) if sure else Outcome.UNKNOWN
    if answer.low != answer.high:
        apart = gold.low < answer.low or gold.low > answer.high
        return Outcome.WRONG if apart and sure else Outcome.UNKNOWN
    apart_by = abs(answer.low - gold.low)
    if apart_by <= 1e-9 * max(abs(answer.low), abs(gold.low)):
        return Outcome.CORRECT if sure else Outcome.UNKNOWN
    coarser = answer if answer.step > gold.step else gold
    if apart_by > coarser.step / 2 * (1 + 1e-9):
        # 4/5 may be a fraction or a mark out of five.
        return Outcome.UNKNOWN if 0.0 in (answer.step, gold.step) else Outcome.WRONG
    return Outcome.CORRECT if coarser.digits >= LEAST_DIGITS and sure else Outcome.UNKNOWN


def within(answer: Quantity, low: float, high: float) -> Outcome:
    """Against an accepted range: inside it, outside it, or (for a range that only overlaps) unknown."""
    slack = 1e-9 * max(abs(low) if math.isfinite(low) else 0.0, abs(high) if math.isfinite(high) else 0.0)
    if low - slack <= answer.low and answer.high <= high + slack:
        return Outcome.CORRECT
    if answer.high < low - slack or answer.low > high + slack:
        return Outcome.WRONG
    return Outcome.UNKNOWN


def _converted(answer: Quantity, gold: Quantity) -> tuple[Quantity, bool] | None:
    """The answer in the gold's unit, and whether the units leave no doubt; None when they do not convert."""
    theirs, ours = answer.known_unit, gold.known_unit
    if theirs is None or ours is None:
        same = not answer.unit or not gold.unit or _stem(answer.unit) == _stem(gold.unit)
        # A unit that only one side knows (12 m for 12 floors) is no match; words after a bare count are.
        return answer, same or (theirs is None and ours is None and not gold.unit)
    if theirs.dimension != ours.dimension:
        return None
    if theirs == ours:
        return answer, True

    def move(value: float) -> float:
        return (value * theirs.factor + theirs.offset - ours.offset) / ours.factor

    return answer._replace(
        low=move(answer.low), high=move(answer.high), step=answer.step * theirs.factor / ours.factor
    ), True


def _stem(word: str) -> str:
    return word.rstrip(".").removesuffix("s")


def in_unit(quantity: Quantity, unit: str) -> Quantity | None:
    """The quantity in a named unit, taken to be in it already when it names none; None when it does not convert."""
    target = Quantity(0.0, 0.0, 1.0, 1, unit_name(unit))
    converted = _converted(quantity, target)
    return converted[0] if converted and converted[1] else None


def unit_name(unit: str) -> str:
    """A unit as `UNITS` names it, where it does."""
    return prepare(unit).strip(" .")
