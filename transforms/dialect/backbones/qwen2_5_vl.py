"""Qwen2.5-VL: boxes in pixels of the resized image. Source: its published config."""

from gog.schemas import Frame
from gog.transforms.dialect.backbones.family import Backbone

BACKBONE = Backbone(
    name="qwen2.5-vl",
    model_type="qwen2_5_vl",
    example="Qwen/Qwen2.5-VL-7B-Instruct",
    frame=Frame.RESIZED_PIXELS,
    factor=28,
    min_pixels=56 * 56,
    max_pixels=1280 * 28 * 28,
    llama_factory="qwen2_vl",
)
