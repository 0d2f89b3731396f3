"""A number as it is written in digits: its sign, separators, power and fraction, and what else it may mean.

`1,234` and `1.234` may group thousands or have decimals, by where the writer is from; both readings are kept, the more
usual in English first.
"""

import math
import re
from typing import Final, NamedTuple

MINUS: Final = str.maketrans(dict.fromkeys("‐‑‒–—―−﹘﹣－➖", "-"))
"""Every dash as the one of ASCII."""

_DIGITS: Final = (
    r"[1-9]\d{0,2}(?:,\d{2,3}){0,8},\d{3}(?:\.\d+)?(?![\d,])"  # 1,234,567.8 and 12,34,567
    r"|\d{1,3}(?:\.\d{3}){2,8}(?:,\d+)?(?![\d.])"  # 1.234.567,8
    r"|\d{1,3}(?:\.\d{3})+,\d+(?![\d.])"  # 1.234,5
    r"|\d{1,3}(?:['’ ]\d{3}){1,8}(?:[.,]\d+)?(?!\d)"  # 1 234 567 and 1'234'567
    r"|\d+,\d{1,2}(?![\d,])"  # 3,5
    r"|\d+(?:\.\d+)?(?!\.\d)|\.\d+"
)
NUMBER: Final = re.compile(
    rf"(?P<sign>(?<![\w)])[-+])?(?<![\w.,])(?P<digits>{_DIGITS})(?P<mixed> \d{{1,4}}/\d{{1,4}}(?![\d/]))?"
    r"(?:[eE](?P<e>[+-]?\d{1,3})(?!\w)|\s*[x×·*]\s*10\s*\^\s*(?P<ten>[-+]?\d{1,3})(?!\d))?"
    r"(?P<fraction>/\d{1,6}(?![\d/]))?"
)
"""A number with all that belongs to it, in text whose dashes are `MINUS`'s."""
_ONE_GROUP: Final = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_SMALLEST: Final = 1e-300


class Number(NamedTuple):
    """A number as written: its value, the value of its last written digit, and how many digits are significant.

    `unsure` says that its point may as well group thousands as part decimals.
    """

    value: float
    step: float
    digits: int
    unsure: bool = False


def read_number(match: re.Match[str]) -> tuple[Number, ...]:
    """The readings of a match of `NUMBER`, the likelier first; none where it is no number of this world."""
    digits = match["digits"]
    readings = [_value(digits)]
    if _ONE_GROUP.fullmatch(digits):
        swapped = digits.translate(str.maketrans(".,", ",."))
        readings.append(_value(swapped))
    unsure = len(readings) > 1 and "." in digits
    numbers = (_whole(match, *reading) for reading in readings)
    return tuple(number._replace(unsure=unsure) for number in numbers if number is not None)


def _whole(match: re.Match[str], value: float, step: float, digits: int) -> Number | None:
    """The number with its sign, power and fraction."""
    power = int(match["e"] or match["ten"] or "0")
    fraction = match["fraction"] or match["mixed"]
    if abs(power) > 300 or (fraction and power):
        return None
    if match["fraction"]:
        below = int(match["fraction"][1:])
        if below == 0 or match["mixed"]:
            return None
        value, step, digits = value / below, 0.0, 9
    if match["mixed"]:
        above, below = map(int, match["mixed"].split("/"))
        if below == 0 or above >= below or not digits_only(match["digits"]):
            return None
        value, step, digits = value + above / below, 0.0, 9
    value, step = value * 10.0**power, step * 10.0**power
    if power:
        digits = significant(match["digits"])
    if not math.isfinite(value) or not math.isfinite(step) or (value and value < _SMALLEST):
        return None
    return Number(-value if match["sign"] == "-" else value, step, digits)


def digits_only(text: str) -> bool:
    """Whether a number is written without any mark."""
    return text.isdecimal()


def significant(digits: str) -> int:
    """Digits of a number whose power of ten is written beside it."""
    return max(1, len(re.sub(r"\D", "", digits).strip("0")))


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
    # The zeros at the end of a big round number are not precision: 3,000 may be anything near it, 10 is ten. But 1990
    # may be a year: one of four digits is too short to count as the same.
    zeros = len(whole) - len(whole.rstrip("0")) if len(whole) >= 4 else 0
    significant_digits = min(2, len(whole) - zeros) if zeros and len(whole) == 4 else len(whole) - zeros
    return float(whole), 10.0 ** min(300, zeros), significant_digits
