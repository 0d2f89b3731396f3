"""Families that are refused: what their own templates (as TRL has them) or processors do that no training here can."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

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


def test_gemma_3_takes_no_reply_of_a_tool() -> None:
    from jinja2 import TemplateError

    assert "gaze" not in rendered("gemma3", 2), "nor does it write a call"
    with pytest.raises(TemplateError, match="roles must alternate"):
        rendered("gemma3", 3)
    assert "replies of tools" in REFUSED["gemma3"]


def test_gemma_4_ends_a_call_with_the_beginning_of_its_reply() -> None:
    call, told = rendered("gemma4_v5", 2), rendered("gemma4_v5", 3)
    assert call.endswith("<tool_call|><|tool_response>")
    assert "<turn|>" not in told[len(call) :]
    assert "in the same turn" in REFUSED["gemma4"]


@pytest.mark.parametrize("name", ["glm4moe", "gemma4_v5"])
def test_glm_and_gemma_4_write_an_earlier_turn_otherwise_than_the_last(name: str) -> None:
    assert rendered(name, 4).rstrip().startswith(rendered(name, 2).rstrip())
    assert "I look." in rendered(name, 4)
    assert "I look." not in rendered(name, 5)


def test_no_token_ends_a_turn_of_glms() -> None:
    assert rendered("glm4moe", 4).endswith("Kenya")
    assert rendered("glm4moe", 5).endswith("Kenya<|user|>\nSure?")
    assert all("no token ends" in REFUSED[name] for name in ("glm4v", "glm4v_moe"))


def test_internvl_cuts_pictures_into_tiles() -> None:
    """Four times the pixels in the same shape: as many tiles, and a whole one more for the picture itself."""
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    processor = GotOcr2ImageProcessorPil(
        crop_to_patches=True, min_patches=1, max_patches=4, size={"height": 448, "width": 448}
    )
    tiles = [
        int(processor(images=[Image.new("RGB", size)], return_tensors="pt")["num_patches"][0])
        for size in ((400, 400), (448, 896), (896, 896))
    ]
    assert tiles == [1, 3, 5]
    assert "tiles" in REFUSED["internvl"]
