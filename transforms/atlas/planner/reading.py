"""Reads a question: what it asks for, and of which thing in the picture."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Want(StrEnum):
    """What a question asks for."""

    COUNT = "count"
    NAME = "name"
    FACT = "fact"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Reference:
    """Which of several things is meant: the `rank`-th (from 1) by `order`, or the one nearest to `point`.

    `order` is "left", "right", "top", "bottom", "large" or "small"; `point` is in fractions of the picture, a None
    in it does not matter. With neither it is the picture as a whole, or the one thing in it.
    """

    said: str
    order: str = ""
    rank: int = 1
    point: tuple[float | None, float | None] = (None, None)

    @property
    def whole(self) -> bool:
        """Nothing is said of a place or a size."""
        return not self.order and self.point == (None, None)


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it was understood. `fact` is a key of `FACTS`, empty for other questions."""

    text: str
    want: Want
    reference: Reference
    fact: str = ""


FACTS: dict[str, str] = {
    "landlocked": r"\blandlocked\b|\bcoast(?:line)?\b",
    "capital": r"\bcapital\b",
    "currency": r"\bcurrency|\bmoney\b",
    "language": r"\blanguages?\b|\bspoken\b",
    "subregion": r"\bsub-?region\b|\bpart of the (?:world|continent)\b",
    "continent": r"\bcontinent\b",
    "area": r"\bsquare (?:kilo)?met(?:re|er)s\b|\bhow large\b|\barea\b|\bkm²",
    "borders": r"\bborders?\b|\bneighbou?r",
    "demonym": r"\bdemonym\b",
    "official": r"\bofficial name\b",
    "population": r"\bpopulation\b|\binhabitants\b",
}
"""Facts that a question may ask for once the thing is known, and how it says so; the first that fits counts."""

_FACTS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in FACTS.items()}
_COUNT = re.compile(r"\bhow many\b|\bnumber of\b|\bcount the\b", re.IGNORECASE)
_FLAGS = re.compile(r"\bflags?\b", re.IGNORECASE)
_RANKS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "2nd": 2, "3rd": 3, "4th": 4}
_NTH = re.compile(
    rf"\b({'|'.join(_RANKS)})\b[^.?]{{0,40}}?\bfrom the (?:far )?(left|right|top|bottom)\b", re.IGNORECASE
)
_SIZE = re.compile(rf"\b(?:({'|'.join(_RANKS)})[ -])?(largest|biggest|smallest)\b", re.IGNORECASE)
_END = re.compile(
    r"\b(?:(leftmost|rightmost|topmost|uppermost|highest|bottommost|lowest)"
    r"|(?:far|fur)thest (?:to the |on the )?(left|right|up|down))\b",
    re.IGNORECASE,
)
_SIDES = {
    "left": "leftmost left",
    "right": "rightmost right",
    "top": "topmost uppermost highest up",
    "bottom": "bottommost lowest down",
}
_ENDS = {word: side for side, words in _SIDES.items() for word in words.split()}
_END_WORDS = {"left": "leftmost", "right": "rightmost", "top": "topmost", "bottom": "bottommost"}
_VERTICAL = re.compile(r"\b(?:(top|upper|above)|(bottom|lower|below))\b", re.IGNORECASE)
_SIDEWAYS = re.compile(r"\b(?:(left)|(right))(?:-hand)?\b", re.IGNORECASE)
_CENTRE = re.compile(r"\b(?:cent(?:re|er)|middle)\b", re.IGNORECASE)


@lru_cache(maxsize=512)
def read(text: str) -> Question:
    """The question, as far as rules can tell; never raises."""
    text = text[:2000]
    if not _FLAGS.search(text):
        return Question(text, Want.OTHER, Reference("it"))
    if _COUNT.search(text):
        return Question(text, Want.COUNT, Reference("the flags"))
    for name, pattern in _FACTS.items():
        if pattern.search(text):
            return Question(text, Want.FACT, _reference(text), name)
    return Question(text, Want.NAME, _reference(text))


def _reference(text: str) -> Reference:
    if match := _NTH.search(text):
        rank, side = match[1].lower(), match[2].lower()
        return Reference(f"the {rank} flag from the {side}", side, _RANKS[rank])
    if match := _SIZE.search(text):
        order = "small" if match[2].lower() == "smallest" else "large"
        rank = (match[1] or "first").lower()
        words = (
            f"the {rank} {order}est flag" if match[1] else f"the {'smallest' if order == 'small' else 'largest'} flag"
        )
        return Reference(words.replace("largeest", "largest"), order, _RANKS[rank])
    if match := _END.search(text):
        order = _ENDS[(match[1] or match[2]).lower()]
        return Reference(f"the {_END_WORDS[order]} flag", order)
    return _place(text)


def _place(text: str) -> Reference:
    vertical, sideways, centre = _VERTICAL.search(text), _SIDEWAYS.search(text), _CENTRE.search(text)
    words = []
    y = None if not vertical else 0.0 if vertical[1] else 1.0
    x = None if not sideways else 0.0 if sideways[1] else 1.0
    if y is not None:
        words.append("bottom" if y else "top")
    if x is not None:
        words.append("right" if x else "left")
    if not words and centre:
        return Reference("the flag in the centre", point=(0.5, 0.5))
    if not words:
        return Reference("this flag")
    if centre:
        x, y = (0.5, y) if x is None else (x, 0.5)
    return Reference(f"the flag at the {' '.join(words)}", point=(x, y))
