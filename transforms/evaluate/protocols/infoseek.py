"""InfoSeek's own protocol: exact match for names and times, ranges for numbers.

Source: Chen et al. 2023, arXiv 2302.11713, and the authors' script (github.com/edchengg/infoseek_eval,
`infoseek_eval.py`, commit c8ef023). The type of a question decides how it is scored; the final score is the harmonic
mean of the two unseen splits.

Kept as published, because the published numbers have it:

- a numerical answer without a number counts as the range 0 to 0, which ranges around zero accept;
- `.5` at the start of a number is read as 5, and of two numbers in falling order only the first counts;
- a time is matched word for word: that a year more or less is right is realised by the accepted answers alone.

Where the script would crash (`+.5.3`, a question without an accepted range), that number is no number, and the range is
10% around the first accepted answer, as its own scorer takes a single number.
"""

import re
from typing import Final

from gog.schemas import AnswerType
from gog.transforms.evaluate.benchmarks.items import BenchItem
from gog.transforms.evaluate.protocols.scores import Grade, ProtocolError, Score, graded
from gog.transforms.evaluate.protocols.text import MAX_CHARS, squad

NAME: Final = "infoseek"

TYPES: Final = {
    AnswerType.STRING: "string",
    AnswerType.YES_NO: "string",
    AnswerType.DATE: "time",
    AnswerType.NUMBER: "numerical",
}
"""The question types as InfoSeek names them."""

TOLERANCE: Final = 0.1
"""Of a single accepted number, to both sides."""

LEAST_OVERLAP: Final = 0.5
"""Intersection over union from which a predicted range counts."""

_NUMBER: Final = re.compile(r"[-+]?\.?\d+(?:,\d\d\d)*\.?\d*(?:[eE][-+]?\d+)?")
_DASH: Final = re.compile(r"(.)-", re.DOTALL)
_TINY: Final = 1e-12


def score(item: BenchItem, prediction: str) -> Score:
    """The official score of one answer. `ProtocolError` for a numerical item without any accepted number."""
    numerical = item.answer_type is AnswerType.NUMBER
    if numerical:
        right = within(numbers(prediction), accepted_range(item))
    else:
        said = squad(prediction)
        right = any(said == squad(answer) for answer in item.answers)
    grade = Grade.CORRECT if right else Grade.INCORRECT
    return graded(item, NAME, grade, "range" if numerical else "match", groups(item))


def groups(item: BenchItem) -> tuple[str, ...]:
    """The unseen split, where it is known, and the question's type."""
    split = (f"unseen_{item.unseen}",) if item.unseen else ()
    return (*split, TYPES[item.answer_type])


def accepted_range(item: BenchItem) -> tuple[float, float]:
    """Least and greatest accepted number; 10% around the first accepted answer where the item has no range."""
    if item.answer_low is not None and item.answer_high is not None:
        return item.answer_low, item.answer_high
    gold = numbers(item.answers[0]) if item.answers else (0.0, 0.0)
    if isinstance(gold, tuple):
        raise ProtocolError(f"{item.item_id}: a numerical InfoSeek item needs a range or a single accepted number")
    ends = gold * (1 - TOLERANCE), gold * (1 + TOLERANCE)
    return min(ends), max(ends)


def numbers(text: str) -> float | tuple[float, float]:
    """The number or the range that a text names: its first two numbers; (0, 0) when there is none."""
    # A dash after a digit parts a range; also after ², which no \d matches.
    spaced = _DASH.sub(lambda found: f"{found[1]} - " if found[1].isdigit() else found[0], text[:MAX_CHARS])
    found: list[float] = []
    for match in _NUMBER.finditer(spaced):
        try:
            found.append(float(match[0].replace(",", "").strip(".")))
        except ValueError:
            continue
        if len(found) == 2:
            break
    match found:
        case []:
            return 0.0, 0.0
        case [first, second] if first <= second:
            return first, second
        case _:
            return found[0]


def within(said: float | tuple[float, float], accepted: tuple[float, float]) -> bool:
    """Whether a number lies in the accepted range, or a range lies in it or overlaps it by half (IoU)."""
    low, high = accepted
    if not isinstance(said, tuple):
        return low <= said <= high
    if low <= said[0] <= high and low <= said[1] <= high:
        return True
    overlap = max(0.0, min(said[1], high) - max(said[0], low))
    union = (said[1] - said[0] + _TINY) + (high - low + _TINY) - overlap
    return union != 0 and overlap / union >= LEAST_OVERLAP - _TINY
