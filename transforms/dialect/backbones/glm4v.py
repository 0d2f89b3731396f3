"""GLM-4.1V and GLM-4.6V-Flash: boxes in thousandths, thoughts written whole, roles that end the turn before theirs.

Calls are JSON in `<tool_call>` tags as everywhere, not the family's own pairs of `<arg_key>` and `<arg_value>`: those
tell no text `2024` from a number and cannot hold their own tags, and no template can make them of arguments that are
JSON text. What others than `gog_train` make of such a chat was not seen. Source: transformers 5.19, `glm4v`; TRL 1.16,
`glm4moe_training.jinja`, where turns end so too; for boxes zai-org/GLM-skills, `glmv-grounding`.
"""

from dataclasses import dataclass
from typing import Any

from gog.schemas import BoxError, Frame
from gog.schemas.boxes import smart_resize
from gog.transforms.dialect.backbones.family import Backbone


@dataclass(frozen=True, slots=True, kw_only=True)
class Glm(Backbone):
    """GLM-V's processor: a picture is two frames of a film, and a thin one is enlarged first."""

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Size that the processor makes of an image of so many pixels. Raises `BoxError` on one that it refuses."""
        if min(width, height) < 1:
            raise BoxError(f"an image of {width}x{height} pixels cannot be resized")
        if min(width, height) < self.factor:
            scale = max(self.factor / height, self.factor / width)
            width, height = int(width * scale), int(height * scale)
        return smart_resize(width, height, self.factor, self.min_pixels, self.max_pixels)

    @property
    def image_settings(self) -> dict[str, Any]:
        """What makes transformers' and vLLM's image processor keep to the budget, which is of both frames there."""
        return {"size": {"shortest_edge": 2 * self.min_pixels, "longest_edge": 2 * self.max_pixels}}


BACKBONE = Glm(
    name="glm4v",
    model_type="glm4v",
    example="zai-org/GLM-4.6V-Flash",
    frame=Frame.PER_MILLE,
    factor=28,
    min_pixels=8 * 28 * 28,
    max_pixels=1280 * 28 * 28,
    chat="glm.jinja",
    start="[gMASK]<sop>",
    begin_of_turn="",
    end_of_turn="<|user|>",
    end_of_call="<|observation|>",
    assistant="<|assistant|>",
    system="<|system|>",
    special_tokens=(
        *("[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"),
        *("<|begin_of_image|>", "<|image|>", "<|end_of_image|>"),
    ),
    image="<|begin_of_image|><|image|><|end_of_image|>",
    span=("<|image|>", "<|image|>"),
    # Between the marks of a video an image's tokens count as frames.
    placeholders=("<|image|>", "<|video|>", "<|begin_of_video|>", "<|end_of_video|>"),
    formats=("trl",),
)
