"""Text of unknown origin on a page: shown as what it is. Jinja2 escapes it; this makes the unseen seen."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from gog.pipelines.show.trajectory import COLOURS, rect
from gog.schemas import Box, FurtherImage

LONGEST: Final = 20_000
"""Characters of one text on a page; models and web pages have sent megabytes."""

MOST_BOXES: Final = 12
"""Boxes on the small pictures of a question."""
_FURTHER: Final = TypeAdapter(tuple[FurtherImage, ...])

# Controls other than tab and line feed, and what turns the direction of text around for all that follows.
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]")


def shown(text: object) -> str:
    """The text with control and direction characters written out by their codes, and cut where it is endless."""
    whole = "" if text is None else str(text)
    cut = whole if len(whole) <= LONGEST else f"{whole[:LONGEST]} … ({len(whole) - LONGEST:,} more characters)"
    return _UNSEEN.sub(lambda match: _code(match[0]), cut.replace("\r\n", "\n"))


def _code(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def web_link(url: str) -> str | None:
    """The address where it is one of the web that a browser may be sent to; None for any other scheme or trick."""
    if any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in url) or len(url) > 2000:
        return None
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and named and "\\" not in url else None


def moment(seconds: float) -> str:
    """A time of a review, to the minute, UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return ""


def number(value: float) -> str:
    """A number of a curve, as short as four digits allow."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def span(values: Sequence[float]) -> str:
    """From the least to the greatest of some numbers, with as many digits as tell the two apart."""
    low, high = min(values), max(values)
    if low == high:
        return f"always {number(low)}"
    ends = (f"{number(low)} to {number(high)}", f"{low:.6g} to {high:.6g}", f"{low:.9g} to {high:.9g}")
    return next((text for text in ends if text.partition(" to ")[0] != text.partition(" to ")[2]), ends[-1])


def short(count: float) -> str:
    """A large count to three digits."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if count >= size:
            return f"{count / (1e3 if sign == 'k' else size):.3g} {sign}"
    return f"{count:,.0f}"


def few(text: str, most: int = 8) -> list[str]:
    """The first words of a JSON list of texts; nothing where it is none."""
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [str(word) for word in words[:most]] if isinstance(words, list) else []


def further(text: str | None) -> tuple[FurtherImage, ...]:
    """The pictures of a question behind its first, of the column of a seed; none where it holds something else."""
    try:
        return _FURTHER.validate_json(text or "[]")
    except ValidationError:
        return ()


class SmallPicture(NamedTuple):
    """A picture of a question in a list, with the gazes that lie on it."""

    sha256: str
    width: int
    height: int
    boxes: list[tuple[int, tuple[float, float, float, float]]]
    """The number of its colour, and x, y, width and height in pixels of the picture."""


def small_pictures(seed: Mapping[str, Any], attempt: Mapping[str, Any]) -> list[SmallPicture]:
    """The pictures of a question, each with those gazes of an attempt that lie on it; both are rows of the list.

    Boxes that are none are left out; of one picture, all lie on it.
    """
    if not seed["image_sha256"]:
        return []
    whole = [(seed["image_sha256"], seed["width"], seed["height"])]
    whole += [(image.sha256, image.width, image.height) for image in further(seed["further_images"])]
    pictures = [SmallPicture(*one, []) for one in whole]
    gazes = 0
    for text, number in zip_longest(attempt["boxes"], attempt["on_images"]):
        with suppress(ValueError, TypeError, RecursionError):
            box = Box.checked(*json.loads(text or ""))
            colour, gazes = gazes % COLOURS, gazes + 1
            if gazes > MOST_BOXES:
                break
            if 0 <= (on := int(number or 0)) < len(pictures):
                picture = pictures[on]
                picture.boxes.append((colour, rect(box, picture.width, picture.height)))
    return pictures
