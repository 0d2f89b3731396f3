"""Text of unknown origin, made fit to be printed, drawn or written into a page."""

import re
from typing import Final

_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufe00-\ufe0f\ufeff]+")


def one_line(text: object, longest: int = 0) -> str:
    """The text in one line without control or invisible characters, cut to `longest` characters where it is given."""
    line = " ".join(_UNSEEN.sub(" ", str(text)).split())
    return line if not longest or len(line) <= longest else line[: longest - 1].rstrip() + "…"
