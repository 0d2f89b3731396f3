"""Gemma 3: turns of its own tokens, an image as 256 tokens that see one another, calls as JSON in tags.

Its own template writes no call and takes no reply of a tool; ours is trained and served in its place, in which a reply
is a turn of the user's. It has no token for thoughts either: vLLM leaves them in the text, where they are read by their
tags. Of boxes its documentation says nothing: thousandths are ours. verl, ms-swift and LLaMA-Factory were not seen to
read it. Source: transformers 5.19, `gemma3`; TRL 1.16, `gemma3`.
"""

from dataclasses import dataclass
from typing import Any

from gog.schemas import Frame
from gog.transforms.dialect.backbones.square import Square


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemma3(Square):
    """Never panned over and scanned."""

    @property
    def image_settings(self) -> dict[str, Any]:
        """What keeps the processor from adding crops of its own."""
        return {"do_pan_and_scan": False}


BACKBONE = Gemma3(
    name="gemma3",
    model_type="gemma3",
    example="google/gemma-3-12b-it",
    frame=Frame.PER_MILLE,
    factor=56,
    min_pixels=896 * 896,
    max_pixels=896 * 896,
    special_tokens=(
        "<bos>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<start_of_image>",
        "<end_of_image>",
        "<image_soft_token>",
    ),
    start="<bos>",
    begin_of_turn="<start_of_turn>",
    end_of_turn="<end_of_turn>",
    assistant="model",
    system="",
    placeholders=("<image_soft_token>",),
    image="<start_of_image>",
    span=("<start_of_image>", "\n\n<start_of_image><image_soft_token><end_of_image>\n\n"),
    inputs=("pixel_values",),
    marks="token_type_ids",
    mutual=True,
    thought_tokens=False,
    vision=r"(?:.*\.)?vision_tower\.(?:\w+\.)?encoder\.layers\.\d+\.(?:self_attn\.\w+_proj|mlp\.fc\d)",
    formats=("trl",),
)
