"""Chats as token ids without their pixels: an image's placeholder stands there as often as the image has features.

A processor makes the pixels of every image to count them, 170 CPU-ms each, and here nobody wants them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from gog.transforms.dialect.backbones import Backbone
from gog_train.settings import TrainingError

Messages = Sequence[Mapping[str, Any]]


def images_of(messages: Messages) -> Iterator[Image.Image]:
    """The images of a chat, in their order."""
    for message in messages:
        if not isinstance(message["content"], str):
            yield from (part["image"] for part in message["content"] if part["type"] == "image")


def chat_ids(
    tokenizer: Any, messages: Messages, backbone: Backbone, tools: Sequence[Any] = (), *, prompt: bool
) -> list[int]:
    """The ids of a chat by the tokenizer's template; `prompt`: with the beginning of the turn that is asked for."""
    text = tokenizer.apply_chat_template(
        list(messages), tools=list(tools) or None, tokenize=False, add_generation_prompt=prompt
    )
    ids = tokenizer(backbone.spanned(text), add_special_tokens=False)["input_ids"]
    token = tokenizer.convert_tokens_to_ids(backbone.placeholders[0])
    return expanded(ids, [backbone.visual_tokens(*image.size) for image in images_of(messages)], token)


def suffix_ids(tokenizer: Any, told: Messages, backbone: Backbone, last: int) -> list[int]:
    """What stands between a turn and the next, of the messages that a turn is answered with; `last` is its last token.

    A turn that ended with another token than the template's is told that one, too: what comes next begins behind it.
    Raises `TrainingError` where the template does not write a longer chat as it wrote the shorter one.
    """
    call = {"type": "function", "function": {"name": told[0]["name"], "arguments": {}}}
    before: list[Mapping[str, Any]] = [
        {"role": "user", "content": "-"},
        {"role": "assistant", "content": "", "tool_calls": [call] if told[0]["role"] == "tool" else []},
    ]
    start = chat_ids(tokenizer, before, backbone, prompt=False)
    whole = chat_ids(tokenizer, [*before, *told], backbone, prompt=True)
    ends = tokenizer.convert_tokens_to_ids(list(backbone.ends))
    end = max(place for place, token in enumerate(start) if token in ends)
    if whole[: end + 1] != start[: end + 1]:
        raise TrainingError("a chat is no prefix of a longer one: report it, with the model's tokenizer")
    return whole[end + 1 if last == start[end] else end :]


def expanded(ids: Sequence[int], sizes: Sequence[int], image_token: int) -> list[int]:
    """The ids with each image token as often as its image has features. Raises `ValueError` where they do not fit."""
    left = iter(sizes)
    try:
        made = [one for token in ids for one in [token] * (next(left) if token == image_token else 1)]
    except StopIteration:
        made = None
    if made is None or next(left, None) is not None:
        raise ValueError(f"a chat has {list(ids).count(image_token)} image tokens for {len(sizes)} images")
    return made


def check_images(
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    images: Sequence[Sequence[Image.Image] | None] | None,
    backbone: Backbone,
    image_token: int,
) -> None:
    """Raise `TrainingError` unless every rollout has as many image tokens as its images make.

    TRL drops all images of a batch, without a word, when one rollout's do not fit.
    """
    for number, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        shown = (images[number] if images else None) or ()
        wanted = sum(backbone.visual_tokens(*image.size) for image in shown)
        count = sum(token == image_token for part in (prompt, completion) for token in part)
        if wanted != count:
            raise TrainingError(
                f"a rollout has {count} image tokens where its {len(shown)} images make {wanted}: "
                "an image was dropped or cut; check the processor's pixel budget and max_completion_length"
            )
