"""Rows of an SFT export as batches: images in every turn, tools of each row, loss on the trained turns alone.

A row is `messages` (OpenAI's form, bare image parts), `tools` and `images` (their bytes, in the order of the parts).
TRL's own collator knows neither tools nor images in tool turns.

torch is imported inside of the functions.
"""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from PIL import Image

from gog.transforms.backbones import Backbone
from gog.transforms.images import FORMATS, ImageError, decode_image
from gog_train.settings import TrainingError

Row = Mapping[str, Any]

NO_LOSS: Final = -100
"""The label of a token that the loss does not see."""

_SEQUENCES: Final = {"attention_mask": 0, "mm_token_type_ids": 0, "labels": NO_LOSS}
"""What has an entry for each token, beside the tokens, and its padding."""


class EpisodeCollator:
    """Makes a batch of rows, padded on the right and never cut."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Tensors: `input_ids`, `attention_mask`, `mm_token_type_ids` and `labels` are (rows, tokens)."""
        import torch

        singles = [self.encode(row) for row in rows]
        padding = {"input_ids": self.processor.tokenizer.pad_token_id, **_SEQUENCES}
        batch: dict[str, Any] = {
            key: torch.nn.utils.rnn.pad_sequence(
                [single[key][0] for single in singles], batch_first=True, padding_value=value
            )
            for key, value in padding.items()
        }
        pictures = sorted({key for single in singles for key in single} - set(padding))
        return batch | {key: torch.cat([single[key] for single in singles if key in single]) for key in pictures}

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


def messages_of(row: Row) -> list[dict[str, Any]]:
    """The chat of a row, from JSON text where it is text."""
    found = row["messages"]
    messages: list[dict[str, Any]] = json.loads(found) if isinstance(found, str) else list(found)
    return messages


def tools_of(row: Row) -> list[dict[str, Any]]:
    """The tools of a row, from JSON text where it is text."""
    found = row.get("tools") or []
    tools: list[dict[str, Any]] = json.loads(found) if isinstance(found, str) else list(found)
    return tools


def with_images(row: Row) -> list[dict[str, Any]]:
    """The messages with the pixels in their places, in tool turns too. Raises `TrainingError`."""
    images = iter(row["images"])
    filled = []
    for message in messages_of(row):
        content = message["content"]
        if not isinstance(content, str):
            content = [part | {"image": _pixels(row, next(images, None))} if _bare(part) else part for part in content]
        filled.append(message | {"content": content})
    if next(images, None) is not None:
        raise TrainingError(f"row {name_of(row)} has more images than places for them: export again")
    return filled


def row_length(row: Row, processor: Any, backbone: Backbone) -> int:
    """Tokens of a row as the collator makes it, without making pixels of its images. Raises `TrainingError`."""
    text = processor.tokenizer.apply_chat_template(messages_of(row), tools=tools_of(row) or None, tokenize=False)
    tokens = len(processor.tokenizer(text, add_special_tokens=False)["input_ids"])
    contents = [message["content"] for message in messages_of(row)]
    places = sum(_bare(part) for content in contents if not isinstance(content, str) for part in content)
    if places != len(row["images"]):
        raise TrainingError(
            f"row {name_of(row)} has {len(row['images'])} images and {places} places for them: export again"
        )
    sizes = (image_size(row, image) for image in row["images"])
    return tokens + sum(backbone.visual_tokens(*size) - 1 for size in sizes)


def pictures(row: Row) -> list[Image.Image]:
    """The pixels of a row's images. Raises `TrainingError`."""
    return [_pixels(row, image) for image in row["images"]]


def image_size(row: Row, image: Any) -> tuple[int, int]:
    """Width and height by the file's header: files of an export are upright. Raises `TrainingError`."""
    try:
        with Image.open(io.BytesIO(_file(row, image)), formats=FORMATS) as opened:
            return opened.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(row, error) from error


def name_of(row: Row) -> str:
    """The row's id, for messages."""
    return str(row.get("id", "without id"))


def _bare(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "image"


def _pixels(row: Row, image: Any) -> Image.Image:
    try:
        return decode_image(_file(row, image))
    except ImageError as error:
        raise _unreadable(row, error) from error


def _file(row: Row, image: Any) -> bytes:
    data = image.get("bytes") if isinstance(image, Mapping) else image
    if not isinstance(data, bytes) or not data:
        raise TrainingError(f"row {name_of(row)} misses an image: export again from a lake that has its images")
    return data


def _unreadable(row: Row, error: Exception) -> TrainingError:
    return TrainingError(f"row {name_of(row)} has an image that cannot be read ({error}): export again")
