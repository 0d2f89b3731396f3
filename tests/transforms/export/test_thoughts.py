"""Where reasoning stands in a trainer's rows."""

from typing import Any

import pytest

from gog.transforms.export.text import thought_and_text
from gog.transforms.export.thoughts import placed_thoughts

CALL = {"id": "a", "type": "function", "function": {"name": "text_search", "arguments": "{}"}}


def turn(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "train": True} | more


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (turn("Evidence: useful.\n<answer>x</answer>"), "<think>\nEvidence: useful.\n</think>\n\n<answer>x</answer>"),
        (turn("I look it up.", tool_calls=[CALL]), "<think>\nI look it up.\n</think>\n\n"),
        (turn("<answer>Chad</answer>"), "<think>\n\n</think>\n\n<answer>Chad</answer>"),
        (turn("So: <answer>x</answer>", reasoning_content="Hm."), "<think>\nHm.\n</think>\n\nSo: <answer>x</answer>"),
    ],
)  # fmt: skip
def test_reasoning_in_the_content_is_the_thought_of_a_backbone_that_thinks(said: dict[str, Any], written: str) -> None:
    (placed,) = placed_thoughts([said], thinking=True)
    assert thought_and_text(placed) == written


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (turn("<answer>Chad</answer>", reasoning_content="Hm."), "Hm.\n\n<answer>Chad</answer>"),
        (turn("", reasoning_content="I look it up.", tool_calls=[CALL]), "I look it up."),
        (turn("I see it. <answer>Chad</answer>"), "I see it. <answer>Chad</answer>"),
    ],
)
def test_without_thinking_it_is_text_and_no_tags_are_written(said: dict[str, Any], written: str) -> None:
    (placed,) = placed_thoughts([said], thinking=False)
    assert thought_and_text(placed) == written
    assert placed["train"]


def test_other_messages_stay() -> None:
    asked = {"role": "user", "content": [{"type": "text", "text": "Whose?"}]}
    assert placed_thoughts([asked], thinking=True) == placed_thoughts([asked], thinking=False) == [asked]
