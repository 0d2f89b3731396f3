"""ms-swift's JSONL: messages with `<image>`, `tool_call` and `tool_response` in turns of their own, paths of images.

`loss` says of a turn whether it is learned. Checked with ms-swift 4.6.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gog.transforms.export.rows import RlRow, SftRow
from gog.transforms.export.text import call_of, in_json, thought_and_text, with_placeholders


def sft(row: SftRow, images: Sequence[str]) -> dict[str, Any]:
    """A row of an SFT file; `images` are paths relative to the file."""
    messages = [said for message in json.loads(row.messages) for said in _turn(message)]
    return {
        "id": row.id,
        "source_id": row.source_id,
        "messages": messages,
        "tools": row.tools,
        "images": list(images),
    }


def rl(row: RlRow, images: Sequence[str]) -> dict[str, Any]:
    """A row of a GRPO file: the prompt, and in columns of their own what the reward needs."""
    return {
        "id": row.id,
        "source_id": row.source_id,
        "messages": [said for message in json.loads(row.prompt) for said in _turn(message)],
        "tools": row.tools,
        "images": list(images),
        "image_sha256": list(row.image_sha256),
        "question": row.question,
        "solution": row.answers[0],
        "answers": list(row.answers),
        "answer_type": row.answer_type,
        "answer_unit": row.answer_unit,
        "answer_low": row.answer_low,
        "answer_high": row.answer_high,
        "level": row.level,
        "pass_rate": row.pass_rate,
    }


def _turn(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if message["role"] == "assistant":
        learned = {"loss": message["train"]}
        yield {"role": "assistant", "content": thought_and_text(message), **learned}
        for call in message.get("tool_calls", ()):
            yield {"role": "tool_call", "content": in_json(call_of(call)), **learned}
    else:
        role = "tool_response" if message["role"] == "tool" else message["role"]
        yield {"role": role, "content": with_placeholders(message["content"])}
