"""The signs of a text that change what it means: `normalise` drops punctuation, and `AA-` is not `AA`."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

from gog.transforms.verify.normalise import visible
from gog.transforms.verify.numbers import MINUS

_PAIRS: Final = re.compile(
    r'(?<!\w)(\*{1,3}|[`"_]|\'(?=\D))(?=\S)([^*`"_]{0,200}?)(?<=\S)\1(?!\w)|“([^“”]*)”|‘([^‘’]*)’|«([^«»]*)»'
)
"""Quotes and markup around something, which mean nothing."""
_SIGN: Final = re.compile(
    r"(?<![\w ])-(?=[\w.$€£¥₹])|(?<!\S)-(?=\S)|(?<!\S)- (?=[\d.$€£¥₹])"  # not of a compound, nor a dash
    r"|(?<=\w)-(?![\w ])|(?<=\w)- ?$"
    r"|[(\[{](?=[\d.-])|(?<=\d)[)\]}]"  # (5) may be a negative number
    r"|(?<![\w.])\.(?=\d)|(?<![\w.,·])(?P<point>[,·])(?=\d)|(?<!\S)[@#!](?=\w)"  # .5, #5
    r"|(?<=\d)(?: ?[^\W\d_]{1,2})(?![^\W_])"  # mW is no MW
    r"|(?<=\d)['\"′″’”!*?]+|(?<=\w)[*?'′’](?!\w)"  # 6', 5!, A*, Oslo?
    r"|[^\w\s\-.'\"′″’”!*?()\[\]{}]"  # judged one by one: mathematics, arrows
)
_NO_SYMBOLS: Final = frozenset({"st", "nd", "rd", "th", "am", "pm"})
_CHARACTERS: Final = frozenset("@#-.'\"′″’”!*?")
_STRAIGHT: Final = str.maketrans("′’″”", "''\"\"")
_CATEGORIES: Final = frozenset({"Sm", "Sk", "So"})


@lru_cache(maxsize=4096)
def signs(text: str) -> str:
    """The signs, in order, of a text as `visible` shows it: of sign, comparison, power, foot and inch, doubt."""
    shown = _PAIRS.sub(lambda pair: next((part for part in pair.groups()[1:] if part is not None), ""), visible(text))
    shown = " ".join(shown.translate(MINUS).split())
    return "".join(
        sign for match in _SIGN.finditer(shown) if (sign := "." if match["point"] else _kept(match[0].strip()))
    )


def _kept(sign: str) -> str:
    if sign in "()[]{}":
        return sign
    if sign.isalpha():
        return "" if sign.lower() in _NO_SYMBOLS else sign
    if not set(sign) - _CHARACTERS:
        return sign.translate(_STRAIGHT).replace("''", '"')
    return sign if unicodedata.category(sign) in _CATEGORIES and sign not in "`´" else ""
