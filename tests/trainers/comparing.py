"""What a trainer makes of its export, next to what our chat template makes of the TRL export of the same run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from gog.transforms.dialect.backbones import BACKBONES

IGNORED = -100


def compare(got: Sequence[tuple[list[int], list[int]]], trl: Path, processor: Any, backbone: str) -> None:
    """Raise unless tokens and labels of all rows are ours, in the order of the TRL export."""
    (path,) = trl.glob("data/train-*.parquet")
    wanted = pq.read_table(path, columns=["messages", "tools"]).to_pylist()
    assert len(got) == len(wanted) > 0
    for (tokens, labels), row in zip(got, wanted, strict=True):
        text, spans = text_and_spans(tokens, [int(label != IGNORED) for label in labels], processor)
        wanted_text, wanted_spans = ours(row, processor, backbone)
        assert [_core(span) for span in spans] == [_core(span) for span in wanted_spans], (spans, wanted_spans)
        assert text == wanted_text, difference(text, wanted_text)


def _core(span: str) -> str:
    """A learned span without what one template puts into the prompt and the other has learned."""
    return span.removeprefix("<think>\n").strip()


def ours(row: dict[str, Any], processor: Any, backbone: str) -> tuple[str, list[str]]:
    """Text and learned spans of the TRL export's row; an image is one pad token."""
    made = BACKBONES[backbone].template(thinking=True)
    messages, tools = json.loads(row["messages"]), json.loads(row["tools"])
    out = processor.tokenizer.apply_chat_template(
        messages, tools=tools, chat_template=made.text, return_dict=True, return_assistant_tokens_mask=True
    )
    return text_and_spans(out["input_ids"], out["assistant_masks"], processor)


def text_and_spans(tokens: list[int], learned: list[int], processor: Any) -> tuple[str, list[str]]:
    pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    kept = [
        (t, flag) for n, (t, flag) in enumerate(zip(tokens, learned, strict=True)) if t != pad or tokens[n - 1] != pad
    ]
    spans: list[list[int]] = []
    before = False
    for token, flag in kept:
        if flag:
            spans = spans if before else [*spans, []]
            spans[-1].append(token)
        before = bool(flag)
    return processor.tokenizer.decode([t for t, _ in kept]), [processor.tokenizer.decode(span) for span in spans]


def difference(one: str, other: str) -> str:
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"at {at}: {one[at - 60 : at + 80]!r} and not {other[at - 60 : at + 80]!r}"
