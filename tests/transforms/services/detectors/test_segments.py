"""The embedded detector: finds what stands out, nothing where nothing does, and takes any picture."""

import asyncio
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from fakes import MemoryImages
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from gog.schemas import Box, FailureClass
from gog.schemas.boxes import iou
from gog.transforms.atlas.rows import encode
from gog.transforms.atlas.scenes import Kind, compose_scene
from gog.transforms.images import decode_image
from gog.transforms.services.detectors.segments import LIMIT, Segments, find_segments
from gog.transforms.services.protocols import Detector, ServiceError


def ground(width: int = 640, height: int = 480, grain: float = 3.0) -> Image.Image:
    """A gradient with grain."""
    ramp = np.linspace(90, 150, width)[None, :, None] + np.linspace(0, 40, height)[:, None, None]
    noise = np.random.Generator(np.random.PCG64(1)).normal(0, grain, (height, width, 3))
    return Image.fromarray((ramp + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("kind", ["gaze", "trap"])
def test_flags_in_scenes_are_found(kind: Kind) -> None:
    found = total = 0
    for index in range(12):
        scene = compose_scene(kind, 31, index)
        regions = find_segments(decode_image(encode(scene)))
        for _, box in scene.boxes:
            total += 1
            found += any(iou(box, region.box) > 0.7 for region in regions)
    assert found / total > 0.9, f"{found} of {total}"


def test_a_clear_rectangle_comes_first_and_fits() -> None:
    image = ground()
    draw = ImageDraw.Draw(image)
    draw.line((0, 470, 300, 300), fill=(20, 20, 20), width=3)
    draw.ellipse((500, 50, 540, 90), fill=(250, 240, 80))
    draw.rectangle((200, 120, 359, 239), fill=(200, 20, 30))
    best = find_segments(image)[0]
    assert iou(best.box, Box(200 / 640, 120 / 480, 360 / 640, 240 / 480)) > 0.85
    assert best.score > 0.9


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
def test_blank_pictures_have_no_regions(mode: str) -> None:
    assert find_segments(Image.new(mode, (300, 200))) == ()


def test_a_smooth_background_with_grain_has_no_regions() -> None:
    assert find_segments(ground(grain=2.0)) == ()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3000, 9), (40, 40), (9, 7)])
def test_tiny_and_thin_pictures(size: tuple[int, int]) -> None:
    noise = np.random.Generator(np.random.PCG64(2)).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    for region in find_segments(Image.fromarray(noise)):
        assert Box.checked(*region.box) == region.box


@given(st.integers(0, 2**32), st.integers(1, 90), st.integers(1, 90), st.integers(1, 12))
def test_any_picture_gives_sorted_valid_boxes(seed: int, width: int, height: int, cells: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    small = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    image = small.resize((width, height), Image.Resampling.NEAREST)
    found = find_segments(image)
    assert found == find_segments(image)
    assert len(found) <= LIMIT
    assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)
    for region in found:
        assert Box.checked(*region.box) == region.box
        assert 0 <= region.score <= 1


def test_as_a_detector_over_a_store() -> None:
    images = MemoryImages()
    scene = compose_scene("gaze", 31, 0)
    detector: Detector = Segments(images)
    sha256 = images.put(encode(scene), "jpg")
    found = asyncio.run(detector.detect(sha256, ("flag",)))
    assert found == find_segments(decode_image(encode(scene)))
    assert found


def test_what_cannot_be_read_is_a_permanent_failure() -> None:
    images = MemoryImages()
    buffer = io.BytesIO()
    ground().save(buffer, "PNG")
    broken = images.put(buffer.getvalue()[:200], "png")
    for sha256, failure in ((broken, FailureClass.BAD_REQUEST), ("0" * 64, FailureClass.NOT_FOUND)):
        with pytest.raises(ServiceError) as caught:
            asyncio.run(Segments(images).detect(sha256, ()))
        assert caught.value.failure is failure


FOUND = """
from gog.transforms.atlas.rows import encode
from gog.transforms.atlas.scenes import compose_scene
from gog.transforms.images import decode_image
from gog.transforms.services.detectors.segments import find_segments

for kind in ("gaze", "trap"):
    for index in range(40):
        print(find_segments(decode_image(encode(compose_scene(kind, 31, index)))))
"""
OTHER_MACHINES = [
    {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX"},
    {"OPENBLAS_CORETYPE": "SkylakeX"},
    {"OPENBLAS_CORETYPE": "Haswell"},
]
"""How numpy's sums are done on other processors, as far as this one can do them."""


def test_every_machine_finds_the_same() -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", FOUND], stdout=subprocess.PIPE, env=os.environ | machine
        )
        for machine in OTHER_MACHINES
    ]
    found = {child.communicate(timeout=120)[0] for child in children}
    assert [child.returncode for child in children] == [0] * len(children)
    assert len(found) == 1
    assert next(iter(found)).count(b"Detection(") > 80
