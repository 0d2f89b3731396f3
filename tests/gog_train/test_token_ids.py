"""Ids without pixels are those that processors make with them, and pixels are made where they are used alone."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rolling import answer, call, fitted, make_trainer, seed, services

from gog.transforms.dialect.backbones import Backbone
from gog_train.token_ids import chat_ids, expanded, suffix_ids
from gog_train.vllm_engine import Span, one_token_each

PAD = 7


def shown(size: tuple[int, int], text: str) -> list[dict[str, Any]]:
    return [{"type": "image", "image": Image.new("RGB", size, (10, 200, 30))}, {"type": "text", "text": text}]


def chat() -> list[dict[str, Any]]:
    called = {"type": "function", "function": {"name": "gaze", "arguments": {"image": 0}}}
    return [
        {"role": "system", "content": "Look."},
        {"role": "user", "content": shown((300, 120), "Which flag?")},
        {"role": "assistant", "content": "", "tool_calls": [called]},
        {"role": "tool", "name": "gaze", "content": shown((90, 400), "Image 1.")},
        {"role": "tool", "name": "gaze", "content": [{"type": "text", "text": "and ünïcode\n\n"}]},
    ]


@pytest.mark.parametrize("thinking", [True, False])
def test_ids_are_those_of_the_processor(chat_backbone: Backbone, thinking: bool) -> None:
    processor, _ = fitted(chat_backbone, thinking=thinking)
    tools = [{"type": "function", "function": {"name": "gaze", "parameters": {"type": "object", "properties": {}}}}]
    (wanted,) = processor.apply_chat_template(
        [chat()], tools=tools, add_generation_prompt=True, tokenize=True, return_dict=True
    )["input_ids"]
    assert chat_ids(processor.tokenizer, chat(), chat_backbone, tools, prompt=True) == wanted


def test_a_suffix_is_what_follows_the_end_of_the_turn(chat_backbone: Backbone) -> None:
    processor, _ = fitted(chat_backbone)
    told = chat()[3:]
    whole = chat_ids(processor.tokenizer, chat(), chat_backbone, prompt=True)
    before = chat_ids(processor.tokenizer, chat()[:3], chat_backbone, prompt=False)
    end = processor.tokenizer.convert_tokens_to_ids(chat_backbone.ends[-1])
    behind = len(before) - before[::-1].index(end)
    assert processor.tokenizer.decode(before[behind:]) in ("\n", "")
    assert suffix_ids(processor.tokenizer, told, chat_backbone, end) == whole[behind:]


def test_a_turn_that_ended_otherwise_is_told_the_end_that_it_lacks(chat_backbone: Backbone) -> None:
    processor, _ = fitted(chat_backbone)
    tokenizer, told = processor.tokenizer, chat()[3:]
    note = [{"role": "user", "name": "tool", "content": [{"type": "text", "text": "Error: no call."}]}]
    for heard, end in ((told, chat_backbone.ends[-1]), (note, chat_backbone.end_of_turn)):
        plain = suffix_ids(tokenizer, heard, chat_backbone, tokenizer.convert_tokens_to_ids(end))
        for last in ("<|endoftext|>", *chat_backbone.ends):
            found = suffix_ids(tokenizer, heard, chat_backbone, tokenizer.convert_tokens_to_ids(last))
            assert tokenizer.decode(found) == ("" if last == end else end) + tokenizer.decode(plain)


@given(st.lists(st.tuples(st.lists(st.integers(8, 20), max_size=4), st.integers(1, 9)), max_size=5))
def test_what_was_expanded_is_one_token_each_again(parts: list[tuple[list[int], int]]) -> None:
    """With tokens around them that the processor writes, and without."""
    sizes = [size for _, size in parts]
    for span in (Span((), PAD, (), PAD), Span((5,), PAD, (6,), PAD), Span((4, 5), PAD, (), 3)):
        written = [token for text, _ in parts for token in (*text, *span.before, PAD, *span.after)]
        ids = [token for text, _ in parts for token in (*text, span.place)]
        whole = expanded(written, sizes, PAD)
        assert one_token_each(whole, sizes, span) == ids
        assert len(whole) == len(written) - len(sizes) + sum(sizes)


@pytest.mark.parametrize("sizes", [[], [2], [2, 3, 4]])
def test_images_and_their_tokens_have_to_fit(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match=f"a chat has 2 image tokens for {len(sizes)} images"):
        expanded([1, PAD, 2, PAD], sizes, PAD)


def test_pixels_are_made_for_generation_and_training_alone(chat_backbone: Backbone, tmp_path: Path) -> None:
    """Four rollouts of a picture and a crop: the prompt's, the second turn's, and the batch that is trained on."""
    turns = [call("gaze", bbox_2d=[10, 10, 90, 90], label="it", image=0), answer("Nairobi")]
    made: list[int] = []
    with services(tmp_path / "store") as opened:
        trainer = make_trainer(chat_backbone, opened, tmp_path, script=lambda n, turn: turns[turn], seeds=[seed(0)])
        plain = type(trainer.processing_class.image_processor).preprocess

        def counted(self: Any, images: Any, *arguments: Any, **more: Any) -> Any:
            made.append(len(images) if isinstance(images, list) else 1)
            return plain(self, images, *arguments, **more)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(type(trainer.processing_class.image_processor), "preprocess", counted)
            trainer.train()
    assert made == [4, 8, 8]
