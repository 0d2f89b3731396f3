"""Reflection: what a turn says of the evidence before it.

The system prompt asks for "Evidence: useful.", "Evidence: off target." or "Evidence: ambiguous." at the start of a
turn that follows a result. Marks of emphasis around the words are fine ("**Evidence:** useful"); anything else is no
reflection: nothing is guessed from the wording.
"""

import re

from gog.schemas import Reflection

_SAID = re.compile(
    r"(?<![^\W_])evidence[*_\s]{0,4}[:：][*_\"'\s]{0,6}(useful|off[ _-]target|ambiguous)(?![^\W_])", re.IGNORECASE
)


def reflection_of(text: str) -> Reflection | None:
    """The first judgement in the text, or None."""
    found = _SAID.search(text)
    return Reflection(found[1].lower().replace(" ", "_").replace("-", "_")) if found else None
