"""Text made comparable: Unicode and SQuAD-style normalisation that is safe for other scripts.

Source of the idea: the SQuAD evaluation script (lower case, no punctuation, no articles, single spaces). Different
here: accents are folded, number words become digits, nothing normalises to the empty string unless it was blank,
and only what joins Latin, Greek and Cyrillic letters is an accent, so that vowel signs of other scripts survive.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

from gog.transforms.verify.words import NUMBER_WORDS, digits_for_words

_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_VOCALISATION: Final = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u0640\u064b-\u0652]")
# NFKC alone would turn 3½ into 31/2 and 10⁶ into 106.
_VULGAR: Final = re.compile(r"(?<=\d)[\u00bc-\u00be\u2150-\u215e]")
_POWER: Final = re.compile("(?<=\\d)[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}")
_ARTICLES: Final = frozenset({"a", "an", "the"})

# Marks first and what stands before them second: a pattern that begins with a look-behind is tried at every place.
_APOSTROPHES: Final = re.compile(r"['’ʼ`´ʻ](?<=\w.)(?=\w)")
_ACRONYM_DOTS: Final = re.compile(r"\.(?<=\b[^\W\d_]\.)(?=[^\W\d_]\b)")
_THOUSANDS: Final = re.compile(r",(?<=\d,)(?=\d{3}(?!\d))")
_UNSPACED: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")

# Punctuation that tells names and numbers apart is carried past the filter as private-use characters.
_KEPT: Final = re.compile(r"[#./:\-+&%](?:(?<=[^\W_]#)(?=\W|$)|(?<=\d[./:])(?=\d)|(?<=-)(?<!\S-)(?=\d)|(?<=[+&%]))")
_CARRIED: Final = {"#": "\ue000", ".": "\ue001", "/": "\ue002", ":": "\ue003", "-": "\ue004", "+": "\ue005"}
_BACK: Final = str.maketrans({carried: mark for mark, carried in _CARRIED.items()})


_AROUND: Final = frozenset(
    {("*", "*"), ("`", "`"), ('"', '"'), ("“", "”"), ("'", "'"), ("‘", "’"), ("«", "»"), ("「", "」")}
)


class _Visible(dict[int, str | int | None]):
    """Per character: ASCII for any script's digits, a space for controls, nothing for the invisible."""

    def __missing__(self, code: int) -> str | int | None:
        char = chr(code)
        category = unicodedata.category(char)
        if category == "Nd":
            value: str | int | None = str(unicodedata.decimal(char))
        elif category in {"Cc", "Zl", "Zp", "Zs"}:
            value = " "
        else:
            value = None if category in {"Cf", "Cs", "Co", "Cn"} else code
        self[code] = value
        return value


class _Comparable(dict[int, int | str]):
    """Per character: letters, marks, digits, currency and pictures stay; what else there is becomes a space."""

    def __missing__(self, code: int) -> int | str:
        category = unicodedata.category(chr(code))
        self[code] = code if category[0] in "LNM" or category in {"Sc", "So", "Co"} else " "
        return self[code]


_VISIBLE: Final = _Visible()
_COMPARABLE: Final = _Comparable()


def normalise(text: str) -> str:
    """The text in the form in which answers are compared; equal texts mean the same name.

    Keeps what tells names apart: `C++`, `C#`, the point of a decimal number, a leading minus, currency signs.
    """
    return _normalise_short(text) if len(text) <= 200 else _normalise(text)


def _normalise(text: str) -> str:
    folded = fold(text)
    plain = _plain(folded)
    words = plain.split(" ")
    if not NUMBER_WORDS.isdisjoint(words):
        plain = digits_for_words(plain)
        words = plain.split(" ")
    # An article stands before something: the A of "Vitamin A" is none.
    kept = [word for word in words[:-1] if word not in _ARTICLES]
    return " ".join([*kept, words[-1]]) or " ".join(folded.split())


_normalise_short = lru_cache(maxsize=4096)(_normalise)


def visible(text: str) -> str:
    """NFKC and ASCII digits, invisible characters removed, powers as `^6` and `3½` as `3 1/2`; case stays."""
    if text.isascii():
        return text.translate(_VISIBLE)
    text = _VULGAR.sub(r" \g<0>", _POWER.sub(lambda match: "^" + match[0], text))
    return unicodedata.normalize("NFKC", text).translate(_VISIBLE).replace("\u2044", "/")


def fold(text: str) -> str:
    """`visible` text with case and accents folded; punctuation stays."""
    text = visible(text)
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text.casefold()).translate(_LETTERS)
    text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", _VOCALISATION.sub("", text))


def _plain(folded: str) -> str:
    text = _APOSTROPHES.sub("", folded)
    text = _ACRONYM_DOTS.sub("", text)
    text = _THOUSANDS.sub("", text)
    text = _KEPT.sub(_carry, text)
    return " ".join(text.translate(_COMPARABLE).split()).translate(_BACK)


def _carry(match: re.Match[str]) -> str:
    mark = match[0]
    if mark == "%":
        return " percent "
    if mark == "&":
        return " and "
    return _CARRIED[mark]


def unwrapped(text: str) -> str:
    """Without the quotes or marks of emphasis that stand around all of it."""
    text = text.strip()
    while len(text) > 2 and (text[0], text[-1]) in _AROUND and not set(text[0] + text[-1]) & set(text[1:-1].strip("*")):
        text = text[1:-1].strip()
    return text


def squeezed(normalised: str) -> str:
    """Without spaces, for names that are written with and without them; text with digits is left as it is."""
    return normalised if re.search(r"\d", normalised) else normalised.replace(" ", "")


def unspaced(text: str) -> bool:
    """Whether the text is in a script that writes no spaces between words (Chinese, Japanese, Thai, ...)."""
    return _UNSPACED.search(text) is not None


def contains(haystack: str, needle: str) -> bool:
    """Whether a normalised text names another, by whole words where the script has spaces.

    An `s` at the end is allowed: "Kenya's" normalises to `kenyas`.
    """
    if not needle:
        return False
    if unspaced(needle):
        return needle.replace(" ", "") in haystack.replace(" ", "")
    padded = f" {haystack} "
    return f" {needle} " in padded or (needle[-1].isalpha() and f" {needle}s " in padded)
