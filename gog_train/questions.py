"""The rows of an RL export as TRL takes them: prompt with images in place, and what the reward needs.

datasets is imported inside of the functions.
"""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from PIL import Image

from gog.schemas import WHOLE, EpisodeImage
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start, system_prompt
from gog.transforms.export.rows import chat_message
from gog.transforms.images import decode_image
from gog_train.settings import TrainingError

GOLD: Final = ("question", "answers", "answer_type", "answer_unit", "answer_low", "answer_high")
ABOUT: Final = ("dataset", "category", "language", "licence", "source_url")
"""What is kept of a question beside, where the export has it."""
COLUMNS: Final = ("id", "prompt", "tools", "images", "level", *GOLD)


def questions(rows: Any, numbers: Sequence[int]) -> Any:
    """The rows of those numbers, in that order; prompts and images are made as they are asked for."""
    return bare(rows).select(numbers).with_transform(_read)


def bare(rows: Any) -> Any:
    """The columns that training needs, with images as the bytes of their files."""
    from datasets import Image as Files
    from datasets import List

    missing = [name for name in COLUMNS if name not in rows.column_names]
    if missing:
        raise TrainingError(f"the export has no column {missing[0]}: export again with `gog export rl --format trl`")
    there = [name for name in ABOUT if name in rows.column_names]
    return rows.select_columns([*COLUMNS, *there]).cast_column("images", List(Files(decode=False)))


def check_prompts(rows: Any, episode: EpisodeSettings) -> None:
    """Raise `TrainingError` unless every prompt is what an episode with these settings begins with today."""
    system = system_prompt(episode)[0]
    for row in bare(rows):
        images = [_sized(image["bytes"]) for image in row["images"]]
        if len(images) > episode.question_images:
            raise TrainingError(
                f"row {row['id']} has {len(images)} pictures, more than its export allows: export again"
            )
        wanted = [chat_message(message) for message in start(episode, row["question"], images, system).messages]
        if json.loads(row["prompt"]) != wanted or json.loads(row["tools"]) != list(offered_tools(episode)):
            raise TrainingError(
                f"the prompt of row {row['id']} is not what this version begins an episode with: "
                "export again with `gog export rl --format trl`"
            )


def _sized(data: bytes) -> EpisodeImage:
    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
    return EpisodeImage(sha256="0" * 64, width=width, height=height, box=WHOLE)


def _read(columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """A batch of rows: `prompt` as messages, `images` as pixels, and `files` as bytes."""
    files = [[image["bytes"] for image in images] for images in columns["images"]]
    return {
        **{key: list(columns[key]) for key in ("id", "level", *GOLD, *ABOUT) if key in columns},
        "prompt": [json.loads(text) for text in columns["prompt"]],
        "images": [[decode_image(data) for data in datas] for datas in files],
        "files": files,
    }
