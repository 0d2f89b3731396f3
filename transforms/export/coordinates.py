"""Places of an image that a text writes in numbers: they do not convert when the boxes of the tool calls do."""

import re
from collections.abc import Iterator, Sequence

_N = r"(\d{1,5}(?:\.\d+)?|\.\d+)"
_SEP = r"(?:\s*,\s*|\s+)"
_BOX = re.compile(rf"[\[(<{{]\s*{_N}{_SEP}{_N}{_SEP}{_N}{_SEP}{_N}\s*[\])>}}]")
_NAMED_BOX = re.compile(
    rf"\b(?:bbox(?:_2d)?|bounding box(?:es)?|box|region|coordinates?|coords?)\b[^\d.;\n]{{0,24}}"
    rf"(?<![\d.-]){_N}{_SEP}{_N}{_SEP}{_N}{_SEP}{_N}(?![\d%°])",
    re.IGNORECASE,
)
_CORNERS = re.compile(
    rf"\(\s*{_N}\s*,\s*{_N}\s*\)\s*(?:,|to|and|-|–|—|;|x|×)?\s*\(\s*{_N}\s*,\s*{_N}\s*\)", re.IGNORECASE
)
_POINT = re.compile(
    r"\b(?:at|near|around|about|point|points|pixels?|coordinates?|coords?|position(?:ed)?|cent(?:re|er)(?:ed|d)?"
    r"|corner|located|from|to)\b[^\d.;\n()\[\]]{0,12}"
    rf"[(\[]\s*{_N}\s*,\s*{_N}\s*[)\]]",
    re.IGNORECASE,
)
_NAMED_POINT = re.compile(rf"\b(?:coordinates?|coords?)\b[^\d.;\n]{{0,16}}(?<![\d.-]){_N}\s*,\s+{_N}(?![\d%°])", re.I)
_AXES = re.compile(
    rf"\bx(?:_?(?:1|min|0))?\s*(?:=|:|≈|~)\s*{_N}\b.{{0,24}}?\by(?:_?(?:1|min|0))?\s*(?:=|:|≈|~)\s*{_N}",
    re.IGNORECASE | re.DOTALL,
)
_PIXELS = re.compile(
    r"\b\d{1,5}\s*(?:px|pixels?)\s+(?:from|to the|across|down|left|right|below|above|in from)\b"
    r"|\b(?:at|from)\s+(?:pixel|px)s?\s+\d{1,5}\b",
    re.IGNORECASE,
)
_MARK = re.compile(r"<\|?(?:box|point|quad)(?:_start|_end)?\|?>|\bbbox_2d\b", re.IGNORECASE)


def coordinates_in(text: str) -> str | None:
    """The first piece of the text that writes a place of an image in numbers, or None.

    Numbers that could not be a place (years, scores, counts, lists such as "(1, 2, 3, 4)", degrees of latitude) do not
    count.
    """
    for found in _places(" ".join(text.split())):  # long runs of spaces would cost quadratic time
        return found.group(0).strip()
    return None


def _places(text: str) -> Iterator[re.Match[str]]:
    for pattern in (_MARK, _PIXELS):
        yield from pattern.finditer(text)
    for pattern in (_BOX, _NAMED_BOX, _CORNERS):
        for found in pattern.finditer(text):
            x1, y1, x2, y2 = found.groups()
            if _could_be_places(found.groups()) and float(x1) < float(x2) and float(y1) < float(y2):
                yield found
    for pattern in (_POINT, _NAMED_POINT, _AXES):
        yield from (found for found in pattern.finditer(text) if _could_be_places(found.groups()))


def _could_be_places(numbers: Sequence[str]) -> bool:
    """Whether the numbers fit one of the frames: fractions of one, or whole or half pixels or thousandths."""
    values = [float(number) for number in numbers]
    decimals = [len(number.partition(".")[2]) for number in numbers]
    if max(values) <= 1:
        return max(decimals) > 0
    if all(1000 <= value <= 2100 for value in values) and not any(decimals):
        return False  # years
    return max(values) >= 20 and max(decimals) <= 2
