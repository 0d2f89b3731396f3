"""LLaMA-Factory's sharegpt form: human, function_call, observation and gpt in turns; `<image>` and paths of images.

It learns every turn of the model. One that may not be learned is therefore no turn of its own: it stands, in the very
tokens of the chat format, inside of the text before the next turn, which LLaMA-Factory masks. The tokens of the
conversation are the same, and so are the images. Checked with LLaMA-Factory 0.9.5 and its templates qwen2_vl and
qwen3_vl.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gog.transforms.export.rows import SftRow
from gog.transforms.export.text import call_of, thought_and_text, with_placeholders

COLUMNS: Final = {"messages": "conversations", "system": "system", "tools": "tools", "images": "images"}
"""Columns of the entry in dataset_info.json."""

_NEXT: Final = "<|im_end|>\n<|im_start|>"


def sft(row: SftRow, images: Sequence[str]) -> dict[str, Any]:
    """A row that is `learnable`; `images` are paths relative to the folder of dataset_info.json."""
    system, *messages = json.loads(row.messages)
    return {
        "id": row.id,
        "source_id": row.source_id,
        "conversations": _conversation(messages),
        "system": with_placeholders(system["content"]),
        "tools": row.tools,
        "images": list(images),
    }


def learnable(row: SftRow) -> bool:
    """Whether the last turn may be learned: one that may not could stand in no text before another."""
    return bool(json.loads(row.messages)[-1].get("train", True))


def _conversation(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    turns: list[dict[str, str]] = []
    asked: list[tuple[str, str]] = []
    """Who speaks, and what, since the last turn that is learned; the model's own is `gpt`."""
    for message in messages:
        text = with_placeholders(message["content"])
        if message["role"] == "tool":
            if asked and asked[-1][0] == "observation":
                asked[-1] = ("observation", f"{asked[-1][1]}\n</tool_response>\n<tool_response>\n{text}")
            else:
                asked.append(("observation", text))
        elif message["role"] != "assistant":
            asked.append(("human", text))
        elif message["train"]:
            calls = message.get("tool_calls", ())
            turns += [_source(asked), {"from": "function_call" if calls else "gpt", "value": _said(message)}]
            asked = []
        else:
            asked.append(("gpt", _said(message)))
    if asked:
        raise ValueError("nothing is learned of what comes last")
    return turns


def _source(asked: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What comes before a turn that is learned, in one text."""
    if len(asked) == 1:
        return {"from": asked[0][0], "value": asked[0][1]}
    written = [f"<tool_response>\n{text}\n</tool_response>" if who == "observation" else text for who, text in asked]
    value = written[0]
    for (who, _), text in zip(asked[1:], written[1:], strict=True):
        value += f"{_NEXT}{'assistant' if who == 'gpt' else 'user'}\n{text}"
    return {"from": "human", "value": value}


def _said(message: Mapping[str, Any]) -> str:
    said = thought_and_text(message)
    for number, call in enumerate(message.get("tool_calls", ())):
        gap = "\n" if number or message["content"] else ""
        said += f"{gap}<tool_call>\n{json.dumps(call_of(call), ensure_ascii=False)}\n</tool_call>"
    return said
