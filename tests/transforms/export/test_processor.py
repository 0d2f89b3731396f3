"""Sizes and visual tokens are what the backbones' own image processor makes of an image."""

import pytest
from families import FAMILIES
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gog.schemas import BoxError
from gog.schemas.boxes import shown_size, smart_resize
from gog.transforms.dialect.backbones import BACKBONES, Backbone

each_backbone = pytest.mark.parametrize(
    "backbone", list(map(BACKBONES.__getitem__, FAMILIES)), ids=lambda backbone: backbone.name
)


@each_backbone
@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 2500), height=st.integers(1, 2500))
def test_sizes_are_the_processors(backbone: Backbone, width: int, height: int) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize as theirs

    limits = {"min_pixels": backbone.min_pixels, "max_pixels": backbone.max_pixels}
    try:
        ours = smart_resize(width, height, backbone.factor, **limits)
    except BoxError:
        with pytest.raises(ValueError, match="aspect ratio"):
            theirs(height, width, factor=backbone.factor, **limits)
        return
    assert theirs(height, width, factor=backbone.factor, **limits) == ours[::-1]


@each_backbone
@pytest.mark.parametrize("size", [(400, 300), (90, 60), (1600, 1200), (57, 999), (28, 28), (2000, 300)])
def test_visual_tokens_are_the_processors(backbone: Backbone, size: tuple[int, int]) -> None:
    from transformers import Qwen2VLImageProcessorPil

    processor = Qwen2VLImageProcessorPil(
        patch_size=backbone.factor // 2, min_pixels=backbone.min_pixels, max_pixels=backbone.max_pixels
    )
    out = processor(images=[Image.new("RGB", size)], return_tensors="np")
    _, rows, columns = out["image_grid_thw"][0].tolist()
    assert rows * columns // 4 == backbone.visual_tokens(*size)
    side = backbone.factor // 2
    assert (columns * side, rows * side) == smart_resize(
        *size, backbone.factor, backbone.min_pixels, backbone.max_pixels
    )
    if backbone.frame == "resized_pixels":
        assert shown_size(backbone.spec, *size) == (columns * side, rows * side)
    else:
        assert shown_size(backbone.spec, *size) == size
