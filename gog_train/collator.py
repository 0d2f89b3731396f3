"""Rows of an SFT export as batches: images in every turn, tools of each row, loss on the trained turns alone.

A row is `messages` (OpenAI's form, bare image parts), `tools` and `images` (structs with bytes, in the order of the
parts), as `gog_train.data` has checked it.
TRL's own collator knows neither tools nor images in tool turns.

torch is imported inside of the functions.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from PIL import Image

from gog.transforms.dialect.backbones import Backbone
from gog.transforms.images import FORMATS, ImageError, decode_image
from gog_train.settings import TrainingError

Row = Mapping[str, Any]

NO_LOSS: Final = -100
"""The label of a token that the loss does not see."""

SEQUENCES: Final = {"attention_mask": 0, "mm_token_type_ids": 0, "token_type_ids": 0}
"""What has an entry for each token, beside the tokens, and its padding."""


class EpisodeCollator:
    """Makes a batch of rows, padded on the right and never cut."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Tensors: `input_ids`, `attention_mask`, `labels` and what marks image tokens are (rows, tokens)."""
        padding = {"input_ids": self.processor.tokenizer.pad_token_id, "labels": NO_LOSS, **SEQUENCES}
        return padded([self.encode(row) for row in rows], padding, "right")

    def encode(self, row: Row) -> dict[str, Any]:
        """A row alone, as a batch of one."""
        encoded = dict(
            self.processor.apply_chat_template(
                [with_images(row)],
                tools=tools_of(row) or None,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                return_assistant_tokens_mask=True,
                processor_kwargs={"add_special_tokens": False, "truncation": False},
            )
        )
        trained = encoded.pop("assistant_masks")
        encoded["labels"] = encoded["input_ids"].masked_fill(trained == 0, NO_LOSS)
        return encoded


def padded(singles: Sequence[Mapping[str, Any]], padding: Mapping[str, int], side: str) -> dict[str, Any]:
    """One batch of batches of one: what has an entry for each token is padded on a side, images follow one another."""
    import torch

    batch = {}
    for key in sorted({key for single in singles for key in single}):
        values = [single[key] for single in singles if key in single]
        if key in padding:
            rows = [value[0] for value in values]
            batch[key] = torch.nn.utils.rnn.pad_sequence(
                rows, batch_first=True, padding_value=padding[key], padding_side=side
            )
        else:
            batch[key] = torch.cat(values)
    return batch


def messages_of(row: Row) -> list[dict[str, Any]]:
    """The chat of a row, from JSON text where it is text."""
    return _listed(row["messages"])


def tools_of(row: Row) -> list[dict[str, Any]]:
    """The tools of a row, from JSON text where it is text."""
    return _listed(row.get("tools") or [])


def _listed(value: Any) -> list[dict[str, Any]]:
    return list(json.loads(value) if isinstance(value, str) else value)


def with_images(row: Row) -> list[dict[str, Any]]:
    """The messages with the pixels in their places, in tool turns too. Raises `TrainingError`."""
    images = iter(pictures(row))
    return [with_pixels(message, images) for message in messages_of(row)]


def with_pixels(message: dict[str, Any], images: Iterator[Image.Image]) -> dict[str, Any]:
    """The message with the next images in their places."""
    content = message["content"]
    if isinstance(content, str):
        return message
    return message | {"content": [p | {"image": next(images)} if p["type"] == "image" else p for p in content]}


def pictures(row: Row) -> list[Image.Image]:
    """The pixels of a row's images. Raises `TrainingError`."""
    try:
        return [decode_image(image["bytes"]) for image in row["images"]]
    except ImageError as error:
        raise TrainingError(f"row {row['id']} has an image that cannot be read ({error}): export again") from error


def row_length(row: Row, processor: Any, backbone: Backbone) -> int:
    """Tokens of a row as the collator makes it, without making pixels of its images."""
    text = processor.tokenizer.apply_chat_template(messages_of(row), tools=tools_of(row) or None, tokenize=False)
    tokens = len(processor.tokenizer(backbone.spanned(text), add_special_tokens=False)["input_ids"])
    for image in row["images"]:
        with Image.open(io.BytesIO(image["bytes"]), formats=FORMATS) as opened:
            tokens += backbone.visual_tokens(*opened.size) - 1
    return tokens
