"""Families whose image processor makes a square of one size of every image, whatever its shape.

The side is the checkpoint's own: its vision tower knows no other. A crop is as many tokens as the whole image, so that
to look closer is what shows more.
"""

import math
from dataclasses import dataclass
from typing import Any

from gog.schemas import BoxError
from gog.transforms.dialect.backbones.family import Backbone


@dataclass(frozen=True, slots=True, kw_only=True)
class Square(Backbone):
    """The least and the most pixels are those of the square."""

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """The square. Raises `BoxError` on an image without pixels."""
        if min(width, height) < 1:
            raise BoxError(f"an image of {width}x{height} pixels cannot be resized")
        side = math.isqrt(self.max_pixels) // self.factor * self.factor
        return side, side

    def processed(self, image_processor: Any, image: Any) -> tuple[int, int, int]:
        """Width and height of what transformers' processor makes of an image. Raises `ValueError` where it cuts it."""
        pixels = image_processor(images=[image], return_tensors="pt")["pixel_values"]
        if len(pixels) != 1:
            raise ValueError(f"it cuts the image into {len(pixels)} pieces")
        return pixels.shape[-1], pixels.shape[-2], self.factor
