"""The backbones that are trained: what frame they write boxes in, and how their processors resize images.

Source: the published configs of Qwen2.5-VL and Qwen3-VL and their image processors in transformers. The budgets are
ours: 1,280 visual tokens an image at most, so that an episode with crops stays within its length.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gog.schemas import Frame, FrameSpec
from gog.schemas.boxes import smart_resize


class BackboneName(StrEnum):
    """A family of models that is trained."""

    QWEN2_5_VL = "qwen2.5-vl"
    QWEN3_VL = "qwen3-vl"


@dataclass(frozen=True, slots=True)
class Backbone:
    """What an export and a trainer have to agree on.

    `frame` is how the family writes boxes; `factor` the side of a visual token in pixels (patch size times merge
    size); `model_type` the one in a checkpoint's config.
    """

    name: BackboneName
    frame: Frame
    factor: int
    min_pixels: int
    max_pixels: int
    model_type: str

    @property
    def spec(self) -> FrameSpec:
        """The frame with its numbers."""
        return FrameSpec(self.frame, self.factor, self.min_pixels, self.max_pixels)

    def visual_tokens(self, width: int, height: int) -> int:
        """Tokens of an image of so many pixels. Raises `BoxError` on a shape that the processor refuses."""
        resized = smart_resize(width, height, self.factor, self.min_pixels, self.max_pixels)
        return resized[0] * resized[1] // self.factor**2


BACKBONES: Final = {
    backbone.name: backbone
    for backbone in (
        Backbone(BackboneName.QWEN2_5_VL, Frame.RESIZED_PIXELS, 28, 56 * 56, 1280 * 28 * 28, "qwen2_5_vl"),
        Backbone(BackboneName.QWEN3_VL, Frame.PER_MILLE, 32, 256 * 256, 1280 * 32 * 32, "qwen3_vl"),
    )
}
