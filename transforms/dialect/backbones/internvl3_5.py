"""InternVL3 and 3.5 in transformers' form: Qwen's chat format, boxes in thousandths, an image as one tile of 448 x 448.

Its own processor cuts an image into up to 12 tiles and adds the whole; here it is the whole alone, in training and in
serving: a gaze does what tiles do, where the policy wants it. verl, ms-swift and LLaMA-Factory were not seen to read
it. Source: transformers 5.19, `internvl` and `got_ocr2`; boxes are `<box>[[x1, y1, x2, y2]]</box>` of 0 to 1000 in the
documentation of InternVL2 and later.
"""

from dataclasses import dataclass
from typing import Any

from gog.schemas import Frame
from gog.transforms.dialect.backbones.square import Square


@dataclass(frozen=True, slots=True, kw_only=True)
class InternVL(Square):
    """One tile an image."""

    @property
    def image_settings(self) -> dict[str, Any]:
        """What keeps the processor from cutting."""
        return {"crop_to_patches": False, "min_patches": 1, "max_patches": 1}


BACKBONE = InternVL(
    name="internvl3.5",
    model_type="internvl",
    text_types=("qwen2", "qwen3"),
    example="OpenGVLab/InternVL3_5-8B-HF",
    frame=Frame.PER_MILLE,
    factor=28,
    min_pixels=448 * 448,
    max_pixels=448 * 448,
    special_tokens=("<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"),
    placeholders=("<IMG_CONTEXT>",),
    image="<IMG_CONTEXT>\n",
    span=("<IMG_CONTEXT>", "<img><IMG_CONTEXT></img>"),
    inputs=("pixel_values",),
    marks="",
    vision=r"(?:.*\.)?vision_tower\.encoder\.layer\.\d+\.(?:attention\.(?:\w_proj|projection_layer)|mlp\.fc\d)",
    formats=("trl",),
)
