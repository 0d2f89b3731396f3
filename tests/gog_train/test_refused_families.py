"""Families that are refused: what their own templates (as TRL has them) or processors do that no training here can."""

from pathlib import Path
from typing import Any

import pytest

from gog.schemas import Box, Frame, FrameSpec
from gog.schemas.boxes import to_frame
from gog_train.processors import REFUSED

CALL = {"type": "function", "function": {"name": "gaze", "arguments": {"image": 0}}}
SHOWN = [{"type": "image"}, {"type": "text", "text": "a crop"}]
CHAT = (
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which flag?"}]},
    {"role": "assistant", "content": "", "reasoning_content": "I look.", "tool_calls": [CALL]},
    {"role": "tool", "name": "gaze", "content": SHOWN},
    {"role": "assistant", "content": "Kenya", "reasoning_content": "I see."},
    {"role": "user", "content": "Sure?"},
)


def rendered(name: str, turns: int) -> str:
    """So many messages of the chat by a template of TRL's."""
    import trl
    from transformers.utils.chat_template_utils import _compile_jinja_template

    text = (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text("utf-8")
    made: Any = _compile_jinja_template(text)
    return str(made.render(messages=[*CHAT[:turns]], tools=[], add_generation_prompt=False, bos_token="<bos>"))


@pytest.mark.parametrize("frame", Frame)
def test_no_frame_has_y_first_as_gemma_4_writes_boxes(frame: Frame) -> None:
    x1, y1, x2, y2 = to_frame(Box(0.1, 0.2, 0.3, 0.4), FrameSpec(frame), 1000, 1000)
    assert x1 < y1 < x2 < y2
    assert "y first" in REFUSED["gemma4"]


def test_glm_writes_an_earlier_turn_otherwise_than_the_last() -> None:
    assert rendered("glm4moe", 4).rstrip().startswith(rendered("glm4moe", 2).rstrip())
    assert "I look." in rendered("glm4moe", 4)
    assert "I look." not in rendered("glm4moe", 5)


def test_no_token_ends_a_turn_of_glms() -> None:
    assert rendered("glm4moe", 4).endswith("Kenya")
    assert rendered("glm4moe", 5).endswith("Kenya<|user|>\nSure?")
    assert all("no token ends" in REFUSED[name] for name in ("glm4v", "glm4v_moe"))
