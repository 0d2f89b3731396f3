"""Where a turn's reasoning stands in a trainer's rows: in its thought, or in its text. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from gog.transforms.dialect.turns import ANSWER_TAG


def placed_thoughts(chat: Iterable[Mapping[str, Any]], *, thinking: bool) -> list[dict[str, Any]]:
    """Chat messages as a backbone that thinks is to write them, or one that does not.

    Thinking: what a teacher without thoughts wrote in its content, before a call or the answer, is the thought. Not
    thinking: the thought is text before the content, and `reasoning_content` is null: no format makes tags of it.
    """
    return [_placed(message, thinking) if message["role"] == "assistant" else dict(message) for message in chat]


def _placed(message: Mapping[str, Any], thinking: bool) -> dict[str, Any]:
    content, thought = message["content"], message.get("reasoning_content") or ""
    if not thinking:
        together = "\n\n".join(filter(None, (thought.strip(), content.strip())))
        return {**message, "content": together, "reasoning_content": None}
    if thought:
        return dict(message)
    answers = [] if message.get("tool_calls") else list(ANSWER_TAG.finditer(content))
    cut = len(content) if message.get("tool_calls") else answers[-1].start() if answers else 0
    said = content[:cut].strip()
    return {**message, "content": content[cut:], "reasoning_content": said} if said else dict(message)
