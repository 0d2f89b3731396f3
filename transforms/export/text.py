"""Messages as text, for the formats whose images stand beside it: one `<image>` for each image part."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

IMAGE: Final = "<image>"

_MARKS: Final = re.compile(
    r"<(?=/?(?:image|video|audio|bbox|ref-object|cot-process|start-image|img|point|quad)>)", re.IGNORECASE
)
"""Placeholders of verl, ms-swift and LLaMA-Factory: where one of these stands in a text, they would put a medium."""


def with_placeholders(content: str | list[dict[str, str]]) -> str:
    """A message's content as text. Placeholders that a text itself writes are broken: `‹image>`."""
    if isinstance(content, str):
        return escaped(content)
    return "".join(IMAGE if part["type"] == "image" else escaped(part["text"]) for part in content)


def escaped(text: str) -> str:
    """Text in which nobody finds a placeholder."""
    return _MARKS.sub("‹", text)


def thought_and_text(message: Mapping[str, Any]) -> str:
    """What a turn of the assistant says before its call: the reasoning in `<think>` tags, then the content.

    Where the reasoning is null the model does not think, and there are no tags.
    """
    if message.get("reasoning_content", "") is None:
        return with_placeholders(message["content"])
    thought = escaped(message.get("reasoning_content") or "")
    return f"<think>\n{thought}\n</think>\n\n{with_placeholders(message['content'])}"


def call_of(call: Mapping[str, Any]) -> dict[str, Any]:
    """Name and arguments of a tool call, placeholders broken."""
    function = call["function"]
    arguments = json.loads(escaped(function["arguments"]))
    return {"name": function["name"], "arguments": arguments}


def in_json(value: Any) -> str:
    """Compact JSON text in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
