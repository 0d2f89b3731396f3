"""Rows as batches: the labels are the trained turns and nothing else, images lie in every turn, lengths are exact."""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from PIL import Image

from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog.transforms.episode.machine import EpisodeSettings, offered_tools
from gog_train.collator import NO_LOSS, EpisodeCollator, row_length
from gog_train.data import open_export
from gog_train.processors import fit
from gog_train.rows import rows_of
from gog_train.settings import TrainingError

both = pytest.mark.parametrize("thinking", [True, False], ids=["thinking", "plain"])


@cache
def fitted(backbone: Backbone, thinking: bool) -> Any:
    processor = tiny_models.processor(backbone.name)
    fit(processor, backbone.template(thinking=thinking), backbone)
    return processor


def picture(width: int, height: int, colour: tuple[int, int, int]) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def turn(thought: str, said: str = "", query: str | None = None, train: bool = True) -> dict[str, Any]:
    called = {
        "id": "c",
        "type": "function",
        "function": {"name": "text_search", "arguments": json.dumps({"query": query})},
    }
    calls = {} if query is None else {"tool_calls": [called]}
    return {"role": "assistant", "content": said, "reasoning_content": thought, "train": train, **calls}


def row(backbone: str, *turns: dict[str, Any]) -> dict[str, Any]:
    """An episode with an image in the question and one in each result."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Look."},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Wessen Flagge? 🇱🇮"}]},
    ]
    for one in turns:
        result = [{"type": "image"}, {"type": "text", "text": "Image 1. ❯"}]
        messages += [one, {"role": "tool", "content": result, "tool_call_id": "c"}]
    images = [picture(90 + 80 * number, 160, (40 * number, 90, 200)) for number in range(len(turns))]
    tools = offered_tools(EpisodeSettings(frame=BACKBONES[backbone].frame))
    return {"id": "r", "messages": json.dumps(messages[:-1]), "tools": json.dumps(tools), "images": images}


def trained(processor: Any, encoded: dict[str, Any], at: int = 0) -> list[str]:
    """The stretches of tokens that have labels, decoded."""
    ids, labels = encoded["input_ids"][at].tolist(), encoded["labels"][at].tolist()
    stretches: list[list[int]] = []
    before = False
    for token, label in zip(ids, labels, strict=True):
        if label != NO_LOSS:
            assert label == token
            stretches = stretches if before else [*stretches, []]
            stretches[-1].append(token)
        before = label != NO_LOSS
    return [processor.tokenizer.decode(stretch) for stretch in stretches]


@both
def test_labels_are_the_trained_turns_to_the_token(chat_backbone: Backbone, thinking: bool) -> None:
    processor = fitted(chat_backbone, thinking)
    episode = row(
        chat_backbone.name,
        turn("Fürst?", query="Fürst"),
        turn("wrong focus", query="Haiti", train=False),
        turn("🇱🇮", said="<answer>Liechtenstein</answer>"),
    )
    opening = "" if chat_backbone.template(thinking=thinking).opened else "<think>\n"
    before, after = (opening, "\n</think>\n\n") if thinking else ("", "\n\n")
    called, answered = chat_backbone.ends[-1], chat_backbone.end_of_turn
    call = '<tool_call>\n{"name": "text_search", "arguments": {"query": "F\\u00fcrst"}}\n</tool_call>'
    assert trained(processor, EpisodeCollator(processor).encode(episode)) == [
        f"{before}Fürst?{after}{call}{called}",
        f"{before}🇱🇮{after}<answer>Liechtenstein</answer>{answered}",
    ]


@both
def test_an_untrained_turn_is_read_and_has_no_loss(chat_backbone: Backbone, thinking: bool) -> None:
    processor = fitted(chat_backbone, thinking)
    collate = EpisodeCollator(processor)
    episodes = [
        row(chat_backbone.name, turn("first", query="a", train=train), turn("last", said="<answer>b</answer>"))
        for train in (True, False)
    ]
    seen, unseen = (collate.encode(episode) for episode in episodes)
    assert seen["input_ids"].tolist() == unseen["input_ids"].tolist()
    assert trained(processor, unseen) == trained(processor, seen)[1:]
    nothing = collate.encode(row(chat_backbone.name, turn("x", said="y", train=False)))
    assert (nothing["labels"] == NO_LOSS).all()


def test_a_batch_holds_each_row_as_it_is_alone(chat_backbone: Backbone) -> None:
    """Padded on the right; the model says the same of a row in a batch as of the row alone."""
    import torch

    processor = fitted(chat_backbone, True)
    collate = EpisodeCollator(processor)
    rows = [
        row(chat_backbone.name, turn("a", query="b"), turn("c", said="<answer>d</answer>")),
        row(chat_backbone.name, turn("short", said="<answer>e</answer>")) | {"tools": "[]"},
    ]
    batch, singles = collate(rows), [collate.encode(one) for one in rows]
    image_token = processor.tokenizer.convert_tokens_to_ids(chat_backbone.placeholders[0])
    marks = {chat_backbone.marks: (batch["input_ids"] == image_token).int()} if chat_backbone.marks else {}
    assert set(batch) == {"input_ids", "attention_mask", "labels", *chat_backbone.inputs, *marks}
    assert all((batch[name] == value).all() for name, value in marks.items())
    model = tiny_models.model(chat_backbone.name).eval()
    with torch.no_grad():
        logits = model(**{key: value for key, value in batch.items() if key != "labels"}).logits
    for number, single in enumerate(singles):
        length = single["input_ids"].shape[1]
        assert batch["input_ids"][number, :length].tolist() == single["input_ids"][0].tolist()
        assert batch["labels"][number, :length].tolist() == single["labels"][0].tolist()
        assert (batch["labels"][number, length:] == NO_LOSS).all()
        assert batch["attention_mask"][number].tolist() == [1] * length + [0] * (logits.shape[1] - length)
        with torch.no_grad():
            alone = model(**{key: value for key, value in single.items() if key != "labels"}).logits[0]
        assert torch.allclose(logits[number, :length], alone, atol=1e-5)


def test_the_image_of_a_tool_turn_is_in_its_turn(chat_backbone: Backbone) -> None:
    """Each image has as many places as it has visual tokens, in the order of the turns."""
    processor = fitted(chat_backbone, True)
    episode = row(chat_backbone.name, turn("a", query="b"), turn("c", said="<answer>d</answer>"))
    encoded = EpisodeCollator(processor).encode(episode)
    text = processor.tokenizer.decode(encoded["input_ids"][0])
    token = chat_backbone.placeholders[0]
    first, last = chat_backbone.image.replace(*chat_backbone.span).split(token)
    pieces = [piece.partition(last)[0] for piece in text.split(first)[1:]]
    tokens = [chat_backbone.visual_tokens(90, 160), chat_backbone.visual_tokens(170, 160)]
    assert [piece.count(token) for piece in pieces] == tokens
    assert f"<tool_response>\n{first}" in text
    assert encoded["input_ids"].shape[1] == row_length(episode, processor, chat_backbone)
    assert encoded["pixel_values"].shape[0] == (4 * sum(tokens) if "image_grid_thw" in encoded else len(tokens))


@both
def test_of_a_real_export_everything_trained_is_trained(
    small_backbone: Backbone, sft_exports: dict[str, Path], thinking: bool
) -> None:
    processor = fitted(small_backbone, thinking)
    export = open_export(sft_exports[small_backbone.name], "sft", small_backbone.name)
    collate = EpisodeCollator(processor)
    untrained = 0
    for one in rows_of(export, "train"):
        encoded = collate.encode(one)
        turns = [message for message in json.loads(one["messages"]) if message["role"] == "assistant"]
        wanted = [message for message in turns if message["train"]]
        untrained += len(turns) - len(wanted)
        found = trained(processor, encoded)
        assert len(found) == len(wanted)
        for stretch, message in zip(found, wanted, strict=True):
            assert message["reasoning_content"] in stretch
            assert stretch.endswith("<|im_end|>")
            assert stretch.count("<|im_end|>") == 1
            for call in message.get("tool_calls", ()):
                assert call["function"]["arguments"] in stretch
        assert encoded["input_ids"].shape[1] == row_length(one, processor, small_backbone)
    assert untrained, "the export has wrong focuses that the loss must not see"


def test_an_image_that_cannot_be_read_is_named(small_backbone: Backbone) -> None:
    episode = row(small_backbone.name, turn("a", said="<answer>b</answer>"))
    episode["images"][0]["bytes"] = episode["images"][0]["bytes"][:60]
    with pytest.raises(TrainingError, match=r"row r has an image that cannot be read .*: export again"):
        EpisodeCollator(fitted(small_backbone, True)).encode(episode)
