"""Quantities in answers: a number or a range with its unit, read whole or not at all, and compared.

A text is a quantity when every character of it has been understood: the sign, the number, the scale, the unit or what
is counted, and a few words that change nothing (`about`, `in total`). A word, sign or unit that is none of these makes
it no quantity, and the judge is asked.

What equal means (`compare`): the values agree to within half of the coarser one's last written digit. `8,849 m` and
`8,848.86 m` agree, `1994` and `1995` do not. When they agree but the coarser one has fewer than three significant
digits (`1.2 million` for `1,234,567`), a rule cannot settle it. A range that the source names (`answer_low`,
`answer_high`) is taken as it stands: inside is right, outside is wrong.
"""

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Final, NamedTuple

from gog.schemas import Outcome
from gog.transforms.verify.normalise import fold, unwrapped, visible
from gog.transforms.verify.numbers import MINUS, NUMBER, Number, read_number, significant
from gog.transforms.verify.units import COUNTED, MONEY, Unit, unit_of
from gog.transforms.verify.words import digits_for_words

MAX_CHARS: Final = 300
"""Longer text is no quantity."""
LEAST_DIGITS: Final = 3
"""Significant digits with which a rounded number still counts as the same."""


class Quantity(NamedTuple):
    """What was written. `low` and `high` differ for a range only; `step` is the value of the last written digit.

    `digits` are the significant ones; `counted` is the word for what is counted; `about` says that it is a rough one.
    """

    low: float
    high: float
    step: float
    digits: int
    unit: Unit | None = None
    counted: str = ""
    ordinal: bool = False
    about: bool = False
    unsure: bool = False
    """Its point may as well group thousands."""


class _Part(NamedTuple):
    """One number with what stands beside it."""

    numbers: tuple[Number, ...]
    written: str
    scale: float
    unit: Unit | None
    counted: str
    ordinal: bool


_SCALES: Final = {
    name: scale
    for scale, names in {
        1e2: "hundred 百",
        1e3: "thousand thousands tausend 千 천 тысяч",
        1e4: "万 萬 만",
        1e5: "lakh lakhs",
        1e6: "million millions mn mln mio mio. millionen millones milhões миллион миллиона миллионов 百万 百萬",
        1e7: "crore crores 千万 千萬",
        1e8: "亿 億 억",
        1e9: "billion billions bn milliard milliards milliarde milliarden mrd mrd. миллиард миллиардов 十亿 十億",
        1e12: "trillion trillions tn 万亿 兆 조",
    }.items()
    for name in fold(names).split()
}
_LETTERS: Final = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
"""Scales of money: beside another number a letter may be a unit."""
_SCALE_NAMES: Final = "|".join(re.escape(name) for name in sorted(_SCALES, key=len, reverse=True))
_SCALE: Final = re.compile(rf"({_SCALE_NAMES})(?![^\W\d_\u3040-\u9fff])", re.IGNORECASE)
_BEFORE: Final = re.compile(
    r"(?:(?P<about>about|approximately|approx\.?|around|roughly|circa|ca\.|c\.|~|≈)|exactly|(?:a\s+)?total\s+of|共)\s*",
    re.IGNORECASE,
)
_AFTER: Final = re.compile(r"\s*(?:\bin\s+total|\bin\s+all|\baltogether)$", re.IGNORECASE)
_NEGATIVE: Final = re.compile(r"(?:negative|minus)\s+(?=[\d.])", re.IGNORECASE)
_MONEY: Final = rf"(?:{'|'.join(re.escape(name) for name in MONEY)})"
_MONEY_BEFORE: Final = re.compile(rf"(?P<sign>-?)(?P<money>{_MONEY})\s*(?P<sign2>-?)(?=[\d.])")
_ORDINAL: Final = re.compile(r"(?:st|nd|rd|th)(?![^\W_])", re.IGNORECASE)
_JOINED: Final = re.compile(r"\s*(?:-|~|〜|\bto|\band|\bthrough|\buntil|\bbis|至|から)\s*$", re.IGNORECASE)
_OPENED: Final = re.compile(r"(?P<word>between|from)\s+", re.IGNORECASE)
_TWICE: Final = re.compile(r"(?P<one>[^()]+?)\s*\((?P<other>[^()]+)\)")
_NOTHING: Final = frozenset({"none", "nil", "nought"})


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Quantity, ...]:
    """The readings of a text that is one number or one range and nothing else, the likelier first; else none."""
    if len(text) > MAX_CHARS:
        return ()
    ready = " ".join(visible(text).translate(MINUS).replace("٬", ",").replace("٫", ".").split())
    ready = unwrapped(unwrapped(ready).rstrip(" .,;。"))
    twice = _TWICE.fullmatch(ready)
    if twice is None:
        return _quantity(ready)
    first, second = _quantity(twice["one"]), _quantity(twice["other"])
    same = bool(first and second) and first[0][:2] == second[0][:2] and first[0].ordinal == second[0].ordinal
    return first if same and second[0].unit in {None, first[0].unit} else ()


def _quantity(text: str) -> tuple[Quantity, ...]:
    text = digits_for_words(text)
    if text.casefold() in _NOTHING:
        return (Quantity(0.0, 0.0, 1.0, 1),)
    text = _AFTER.sub("", text)
    before = _BEFORE.match(text)
    about = before is not None and before["about"] is not None
    text = text[before.end() :] if before else text
    opened = _OPENED.match(text)
    matches = list(NUMBER.finditer(text))
    if len(matches) == 2:
        found = _range(text[opened.end() :] if opened else text, opened["word"].casefold() if opened else "")
    elif len(matches) == 1 and opened is None:
        found = _one(text)
    else:
        return ()
    return tuple(quantity._replace(about=about) for quantity in found)


def _one(text: str) -> tuple[Quantity, ...]:
    part = _part(text)
    return () if part is None else tuple(_of(number, part.scale, part) for number in part.numbers)


def _of(number: Number, scale: float, part: _Part) -> Quantity:
    value = number.value * scale
    digits = number.digits if scale == 1.0 else significant(part.written)
    return Quantity(
        value, value, number.step * scale, digits, part.unit, part.counted, part.ordinal, unsure=number.unsure
    )


def _part(text: str) -> _Part | None:
    """A text that is one number with what belongs to it."""
    negative = _NEGATIVE.match(text)
    text = text[negative.end() :] if negative else text
    money = _MONEY_BEFORE.match(text)
    if money is not None:
        text = text[money.end() :]
    match = NUMBER.match(text)
    if match is None:
        return None
    numbers = read_number(match)
    signs = bool(negative) + (money is not None and (money["sign"] + money["sign2"]).count("-")) + bool(match["sign"])
    if not numbers or signs > 1:
        return None
    if signs and match["sign"] is None:
        numbers = tuple(number._replace(value=-number.value) for number in numbers)
    rest = text[match.end() :]
    ordinal = _ORDINAL.match(rest)
    if ordinal is not None:
        plain = not rest[ordinal.end() :] and money is None and match["digits"].isdecimal()
        return _Part(numbers, match["digits"], 1.0, None, "", True) if plain else None
    scale, rest = _scale(rest, money is not None)
    if money is not None:
        return None if rest.strip() else _Part(numbers, match["digits"], scale, unit_of(money["money"]), "", False)
    beside = _unit(rest.strip())
    return None if beside is None else _Part(numbers, match["digits"], scale, *beside, False)


def _scale(rest: str, money: bool) -> tuple[float, str]:
    """The scale that a text begins with, and what follows it."""
    if money and rest[:1] in _LETTERS and not rest[1:2].isalnum():
        return _LETTERS[rest[0]], rest[1:]
    if rest[:1] == "k" and not rest[1:].strip():
        return 1e3, ""
    scale = 1.0
    for _ in range(2):  # five hundred thousand
        match = _SCALE.match(rest.lstrip(" -"))
        if match is None:
            break
        scale *= _SCALES[fold(match[1])]
        rest = rest.lstrip(" -")[match.end() :]
    return scale, rest


def _unit(phrase: str) -> tuple[Unit | None, str] | None:
    """The unit, or the word for what is counted, that a phrase after a number is; None where it is more."""
    if not phrase:
        return None, ""
    unit = unit_of(phrase)
    if unit is not None:
        return unit, ""
    word = fold(phrase)
    return (None, word) if word in COUNTED else None


def _range(text: str, opened: str) -> tuple[Quantity, ...]:
    """Two numbers joined as a range, in order; they share the scale and the unit that only the second has."""
    second_match = list(NUMBER.finditer(text))[1:]
    if not second_match:
        return ()
    start = second_match[0].start()
    for money in MONEY:
        if text[:start].rstrip().endswith(money):
            start = text[:start].rstrip().rindex(money)
            break
    joined = _JOINED.search(text[:start])
    if joined is None or (joined[0].strip().casefold() == "and") != (opened == "between"):
        return ()
    first, second = _part(text[: joined.start()]), _part(text[start:])
    if first is None or second is None or first.ordinal or second.ordinal:
        return ()
    if (first.unit and first.unit != second.unit) or (first.counted and first.counted != second.counted):
        return ()
    scales = [second.scale, 1.0] if first.scale == 1.0 and second.scale != 1.0 and not first.unit else [first.scale]
    ranges = []
    for one, other, scale in product(first.numbers, second.numbers, scales):
        low, high = _of(one, scale, second), _of(other, second.scale, second)
        if low.low <= high.low:
            ranges.append(
                high._replace(low=low.low, step=max(low.step, high.step), digits=min(low.digits, high.digits))
            )
    return tuple(ranges)


def compare(answers: Sequence[Quantity], golds: Sequence[Quantity]) -> Outcome:
    """Whether what was answered is the gold quantity, over their readings.

    Right when the likeliest readings are the same; wrong when no two readings can be; unknown otherwise.
    """
    outcomes = [_compare(answer, gold) for answer, gold in product(answers, golds)]
    return over_readings(outcomes)


def over_readings(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of those of all readings, that of the likeliest first."""
    if outcomes and outcomes[0] is Outcome.CORRECT:
        return Outcome.CORRECT
    return Outcome.WRONG if outcomes and set(outcomes) == {Outcome.WRONG} else Outcome.UNKNOWN


def _compare(answer: Quantity, gold: Quantity) -> Outcome:
    outcome = _values(answer, gold)
    if answer.unsure != gold.unsure and outcome is Outcome.CORRECT:
        return Outcome.UNKNOWN
    # "About 300" is no less than 300 where that is right, and nothing to refuse where it is not.
    return Outcome.UNKNOWN if (answer.about or gold.about) and outcome is Outcome.WRONG else outcome


def _values(answer: Quantity, gold: Quantity) -> Outcome:
    if answer.ordinal != gold.ordinal and (answer.low, answer.high) == (gold.low, gold.high):
        return Outcome.UNKNOWN
    converted = _converted(answer, gold)
    if converted is None:
        return Outcome.UNKNOWN
    answer = converted
    if gold.low != gold.high:
        return within([answer], gold.low, gold.high)
    if answer.low != answer.high:
        apart = gold.low < answer.low or gold.low > answer.high
        return Outcome.WRONG if apart else Outcome.UNKNOWN
    apart_by = abs(answer.low - gold.low)
    if apart_by <= 1e-9 * max(abs(answer.low), abs(gold.low)):
        return Outcome.CORRECT
    coarser = answer if answer.step > gold.step else gold
    if apart_by > coarser.step / 2 * (1 + 1e-9):
        # 4/5 may be a fraction or a mark out of five.
        return Outcome.UNKNOWN if 0.0 in (answer.step, gold.step) else Outcome.WRONG
    return Outcome.CORRECT if coarser.digits >= LEAST_DIGITS else Outcome.UNKNOWN


def within(answers: Sequence[Quantity], low: float, high: float) -> Outcome:
    """Against an accepted range: inside it, outside it, or (for a range that only overlaps) unknown."""
    slack = 1e-9 * max(abs(low) if math.isfinite(low) else 0.0, abs(high) if math.isfinite(high) else 0.0)
    outcomes: list[Outcome] = []
    for answer in answers:
        inside = low - slack <= answer.low and answer.high <= high + slack
        outside = answer.high < low - slack or answer.low > high + slack
        outcomes.append(Outcome.CORRECT if inside else Outcome.WRONG if outside else Outcome.UNKNOWN)
    outcome = over_readings(outcomes)
    if outcome is Outcome.CORRECT and answers[0].unsure and set(outcomes) != {Outcome.CORRECT}:
        return Outcome.UNKNOWN
    return outcome


def _converted(answer: Quantity, gold: Quantity) -> Quantity | None:
    """The answer in the gold's unit; None where a rule cannot tell that both measure the same.

    An answer without a unit is taken to be in the gold's. One with a unit says nothing of a gold that has none.
    """
    if answer.unit is None and gold.unit is None:
        return answer if gold.counted in {"", answer.counted} or not answer.counted else None
    if answer.unit is None:
        # Where a percentage is wanted, 0.45 may be the share.
        share = gold.unit is not None and gold.unit.dimension == "percent" and not _apart(100 * answer.low, gold)
        return None if answer.counted or share else answer
    if gold.unit is None or answer.unit.dimension != gold.unit.dimension:
        return None
    return in_unit(answer, gold.unit)


def _apart(value: float, gold: Quantity) -> bool:
    slack = gold.step + 0.005 * abs(gold.high)
    return value < gold.low - slack or value > gold.high + slack


def in_unit(quantity: Quantity, unit: Unit) -> Quantity | None:
    """The quantity in a unit, taken to be in it already when it names none; None when it does not convert."""
    own = quantity.unit
    if own is None:
        return None if quantity.counted else quantity
    if own.dimension != unit.dimension:
        return None
    if own == unit:
        return quantity

    def move(value: float) -> float:
        return (value * own.factor + own.offset - unit.offset) / unit.factor

    return quantity._replace(
        low=move(quantity.low), high=move(quantity.high), step=quantity.step * own.factor / unit.factor, unit=unit
    )
