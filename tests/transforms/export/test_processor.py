"""Sizes and visual tokens are what the backbones' own image processor makes of an image."""

from dataclasses import replace
from importlib import import_module

import pytest
from families import FAMILIES, GLM
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


budgets = st.tuples(st.integers(1, 40), st.integers(0, 2000)).map(lambda drawn: (drawn[0], drawn[0] + 4 + drawn[1]))
"""Visual tokens at the least and at the most."""


@settings(max_examples=400, deadline=None)
@given(width=st.integers(1, 3000), height=st.integers(1, 3000), tokens=budgets)
@pytest.mark.parametrize("version", ["glm4v", "glm46v"])
def test_sizes_of_glms_are_their_processors(version: str, width: int, height: int, tokens: tuple[int, int]) -> None:
    """Thin pictures are enlarged, and the processor's limits are of two frames."""
    module = import_module(f"transformers.models.{version}.image_processing_pil_{version}")
    least, most = (count * 28 * 28 for count in tokens)
    family = replace(BACKBONES[GLM[0]], min_pixels=least, max_pixels=most)
    size = family.image_settings["size"]
    limits = {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
    try:
        ours = family.resized(width, height)
    except BoxError:
        with pytest.raises(ValueError, match="aspect ratio"):
            module.smart_resize(2, height, width, **limits)
        return
    assert module.smart_resize(2, height, width, **limits) == ours[::-1]


@pytest.mark.parametrize("name", GLM)
@pytest.mark.parametrize("size", [(400, 300), (9, 60), (1600, 1200), (27, 999), (28, 28), (4000, 300), (1, 150)])
def test_visual_tokens_of_glms_are_their_processors(name: str, size: tuple[int, int]) -> None:
    from transformers import Glm4vImageProcessorPil
    from transformers.models.glm46v.image_processing_pil_glm46v import Glm46VImageProcessorPil

    family = BACKBONES[name]
    for kind in (Glm4vImageProcessorPil, Glm46VImageProcessorPil):
        out = kind(**family.image_settings)(images=[Image.new("RGB", size)], return_tensors="np")
        _, rows, columns = out["image_grid_thw"][0].tolist()
        assert rows * columns // 4 == family.visual_tokens(*size)
        assert (columns * 14, rows * 14) == family.resized(*size)
