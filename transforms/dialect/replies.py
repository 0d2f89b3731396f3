"""Replies that are asked for as JSON, as models write them: behind thoughts, in a fence, with words around."""

import json
from typing import Any

from gog.schemas import Message, plain
from gog.transforms.dialect.turns import split_reasoning


def object_in(text: str) -> dict[str, Any] | None:
    """The JSON object in what a reply says aloud, from its first brace to its last; None where there is none."""
    said, _ = split_reasoning(Message(role="assistant", content=text))
    try:
        loaded = plain(json.loads(said[said.find("{") : said.rfind("}") + 1]))
    except (ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None
