"""Places of an image that a text writes in numbers: they do not convert when the boxes of the tool calls do."""

import re
from collections.abc import Iterator, Mapping, Sequence

from gog.transforms.verify.normalise import visible

_COMMAS = str.maketrans("،、", ",,")
_N = r"(\d{1,5}(?:\.\d+)?|\.\d+)"
_SEP = r"(?:\s*,\s*|\s+)"
_BOX = re.compile(rf"[\[(<{{]\s*{_N}{_SEP}{_N}{_SEP}{_N}{_SEP}{_N}\s*[\])>}}]")
_NAMED_BOX = re.compile(
    rf"\b(?:bbox(?:_2d)?|bounding box(?:es)?|box|region|coordinates?|coords?)\b[^\d.;\n]{{0,24}}"
    rf"(?<![\d.-]){_N}{_SEP}{_N}{_SEP}{_N}{_SEP}{_N}(?![\d%°])",
    re.IGNORECASE,
)
_PAIR = rf"[(\[]\s*{_N}\s*,\s*{_N}\s*[)\]]"
_CORNERS = re.compile(rf"{_PAIR}[^\d()\[\]]{{0,40}}{_PAIR}")
_POINT = re.compile(
    r"\b(?:at|near|around|about|(?:top|bottom|upper|lower)[- ](?:left|right)"
    r"|point|points|pixels?|coordinates?|coords?|position(?:ed)?|cent(?:re|er)(?:ed|d)?"
    r"|corner|located)\b[^\d.;\n()\[\]]{0,12}"
    rf"[(\[]\s*{_N}\s*,\s*{_N}\s*[)\]]",
    re.IGNORECASE,
)
_NAMED_POINT = re.compile(rf"\b(?:coordinates?|coords?)\b[^\d.;\n]{{0,16}}(?<![\d.-]){_N}\s*,\s+{_N}(?![\d%°])", re.I)
_AXES = re.compile(
    rf"\bx(?:_?(?:1|min|0))?[\"']?\s*(?:=|:|≈|~)\s*{_N}\b.{{0,24}}?\b[xy](?:_?(?:1|2|min|max|0))?[\"']?\s*(?:=|:|≈|~)\s*{_N}",
    re.IGNORECASE | re.DOTALL,
)
_TO = r"\s*(?:to|bis|a|à|-|–|—|~|到|至|から)\s*"
_SPANS = re.compile(
    rf"(?<![\d.]){_N}{_TO}{_N}(?![\d%])\s*(?:px\s+|pixels?\s+)?(?:horizontal|vertical|vertikal|waagerecht|senkrecht)"
    rf"|\b(?:rows?|lines?|y)(?:\s+from)?\s*:?\s*{_N}{_TO}{_N}\D{{1,12}}\b(?:col(?:umn)?s?|x)(?:\s+from)?\s*:?\s*{_N}{_TO}{_N}"
    rf"|\b(?:col(?:umn)?s?|x)(?:\s+from)?\s*:?\s*{_N}{_TO}{_N}\D{{1,12}}\b(?:rows?|lines?|y)(?:\s+from)?\s*:?\s*{_N}{_TO}{_N}",
    re.IGNORECASE,
)
_EDGE = re.compile(
    rf"\b(?:left|right|top|bottom|upper|lower)\s+(?:edge|side|border)\s+(?:is\s+|lies\s+)?at\s+(?:about\s+)?{_N}(?![\d%°])",
    re.IGNORECASE,
)
_PIXELS = re.compile(
    r"\b\d{1,5}\s*(?:px|pixels?)\s+(?:from|to the|across|down|left|right|below|above|in from)\b"
    r"|\b(?:at|from)\s+(?:pixel|px)s?\s+\d{1,5}\b",
    re.IGNORECASE,
)
_FOUR = re.compile(
    r"(?<![\d.])" + r"(\s{0,3}[,，、]\s{0,3}|\s{1,3})".join([r"(\d{1,5}(?:\.\d{1,6})?)"] * 4) + r"(?!\.?\d)"
)
_MARK = re.compile(r"<\|?(?:box|point|quad)(?:_start|_end)?\|?>|\bbbox_2d\b", re.IGNORECASE)


def coordinates_in(text: str) -> str | None:
    """The first piece of the text that writes a place of an image in numbers, or None.

    Numbers that could not be a place (years, scores, counts, lists such as "(1, 2, 3, 4)", degrees of latitude) do not
    count.
    """
    one_spaced = " ".join(visible(text).translate(_COMMAS).split())  # long runs of spaces would cost quadratic time
    return next((found[0].strip() for found in _places(one_spaced)), None)


Boxes = Mapping[tuple[float, ...], tuple[float, ...] | None]


def rewrite_boxes(text: str, boxes: Boxes) -> str:
    """The text with each known box, four numbers in a row, as the other four, or without it where they are None."""

    def rewritten(found: re.Match[str]) -> str:
        numbers = tuple(map(float, found.group(1, 3, 5, 7)))
        other = boxes.get(numbers, numbers)
        if other is None or other is numbers:
            return "" if other is None else found[0]
        first, second, third, fourth = (f"{number:g}" for number in other)
        return f"{first}{found[2]}{second}{found[4]}{third}{found[6]}{fourth}"

    return _FOUR.sub(rewritten, text) if boxes else text


def _places(text: str) -> Iterator[re.Match[str]]:
    for pattern in (_MARK, _PIXELS):
        yield from pattern.finditer(text)
    for pattern in (_BOX, _NAMED_BOX, _CORNERS):
        for found in pattern.finditer(text):
            x1, y1, x2, y2 = map(float, found.groups())
            least = _LEAST_SIDE if max(x2, y2) > 1 else 0
            if _could_be_places(found.groups()) and x2 - x1 > least and y2 - y1 > least:
                yield found
    for pattern in (_POINT, _NAMED_POINT, _AXES, _SPANS, _EDGE):
        for found in pattern.finditer(text):
            numbers = [number for number in found.groups() if number is not None]
            # Two numbers with decimals are a place on the globe.
            if _could_be_places(numbers) and (max(map(float, numbers)) <= 1 or not any("." in one for one in numbers)):
                yield found


_LEAST_SIDE = 5
"""Sides of a box, in pixels or thousandths: the ends of what is smaller are scores or sizes."""


def _could_be_places(numbers: Sequence[str]) -> bool:
    """Whether the numbers fit one of the frames: fractions of one, or whole or half pixels or thousandths."""
    values = [float(number) for number in numbers]
    decimals = [len(number.partition(".")[2]) for number in numbers]
    if max(values) <= 1:
        return max(decimals) > 0
    if all(1000 <= value <= 2100 for value in values) and not any(decimals):
        return False  # years
    return max(values) >= 20 and max(decimals) <= 2
