import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from textures import jpeg, texture

from gog.transforms.duplicates.benchmarks.images import ImageIndex
from gog.transforms.duplicates.benchmarks.settings import OverlapSettings
from gog.transforms.duplicates.fingerprints import (
    MIRROR,
    SIDE,
    TINT_SIDE,
    Small,
    fingerprints,
    mirrored,
    thumbnail,
    view_box,
    views,
)
from gog.transforms.images import decode_image

LEAST = OverlapSettings().image
COUNT = 24


def index_of(images: list[Image.Image]) -> ImageIndex:
    smalls = [thumbnail(image) for image in images]
    return ImageIndex(np.stack([small.grey for small in smalls]), np.stack([small.tint for small in smalls]))


@pytest.fixture(scope="module")
def index() -> ImageIndex:
    return index_of([texture(number) for number in range(COUNT)])


def found(index: ImageIndex, image: Image.Image) -> list[int]:
    return [match.image for match in index.find(image, LEAST)]


def crop(image: Image.Image, x: float, y: float, across: float, down: float) -> Image.Image:
    """A part: its size as shares, its place as shares of what is left."""
    width, height = round(image.width * across), round(image.height * down)
    left, top = round(x * (image.width - width)), round(y * (image.height - height))
    return image.crop((left, top, left + width, top + height))


places = st.floats(0, 1)
shares = st.floats(0.8, 1)


@settings(max_examples=25)
@given(st.integers(0, COUNT - 1), places, places, shares, shares, st.booleans(), st.integers(30, 95))
def test_a_twin_is_found_and_nothing_else(
    index: ImageIndex, number: int, x: float, y: float, across: float, down: float, flip: bool, quality: int
) -> None:
    image = crop(texture(number, 400, 300), x, y, across, down)
    image = ImageOps.mirror(image) if flip else image
    twin = decode_image(jpeg(image.resize((200, 180)), quality))
    matches = index.find(twin, LEAST)
    assert [match.image for match in matches] == [number]
    assert matches[0].mirrored == flip


@settings(max_examples=25)
@given(st.integers(COUNT, 10_000))
def test_other_pictures_are_not_found(index: ImageIndex, number: int) -> None:
    assert found(index, texture(number)) == []


ACROSS = (0.3, 0.0, 1.0, 0.1, 0.9, 0.7)
"""Where a crop is, off the centre: 0 at the left, 1 at the right."""


@pytest.mark.parametrize("flip", [False, True])
def test_the_picture_that_a_benchmark_cropped_is_found(flip: bool) -> None:
    index = index_of([crop(texture(number), x, 0.9, 0.82, 0.85) for number, x in enumerate(ACROSS)])
    for number, x in enumerate(ACROSS):
        image = ImageOps.mirror(texture(number)) if flip else texture(number)
        matches = index.find(image, LEAST)
        assert [(match.image, match.mirrored) for match in matches] == [(number, flip)]
        left = x * (1 - 0.82)
        assert not matches[0].part
        assert matches[0].columns == pytest.approx((left, left + 0.82), abs=0.02), "of it turned back"


def test_the_part_that_was_cropped_is_named(index: ImageIndex) -> None:
    match = index.find(crop(texture(3), 1, 0, 0.85, 0.9), LEAST)[0]
    assert match.part
    assert match.columns == pytest.approx((0.15, 1), abs=0.02)
    assert match.rows == pytest.approx((0, 0.9), abs=0.02)
    assert match.how.startswith("85% by 90% of it, agreement ")


def test_grey_copies_are_found_and_other_colours_are_not(index: ImageIndex) -> None:
    image = texture(5)
    assert found(index, image.convert("L").convert("RGB")) == [5]
    y, cb, cr = image.convert("YCbCr").split()
    inverted = Image.merge("YCbCr", (y, ImageOps.invert(cb), ImageOps.invert(cr))).convert("RGB")
    assert found(index, inverted) == []


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_an_empty_picture_is_like_nothing(shade: int) -> None:
    empty = Image.new("RGB", (100, 80), (shade, shade, shade))
    assert found(index_of([empty, texture(1)]), empty) == []
    assert found(index_of([empty, texture(1)]), texture(1)) == [1]


def test_an_empty_index_finds_nothing() -> None:
    index = ImageIndex(np.zeros((0, SIDE, SIDE), np.uint8), np.zeros((0, TINT_SIDE, TINT_SIDE, 2), np.uint8))
    assert found(index, texture(1)) == []


@settings(max_examples=15)
@given(st.binary(min_size=64, max_size=64))
def test_any_picture_can_be_asked_for(data: bytes) -> None:
    image = Image.frombytes("L", (8, 8), data).resize((50, 40), Image.Resampling.NEAREST).convert("RGB")
    matches = index_of([image, texture(0)]).find(image, LEAST)
    assert all(np.isfinite(match.score) and match.score <= 1 + 1e-9 for match in matches)


def test_many_are_asked_for_at_once(index: ImageIndex) -> None:
    smalls = [thumbnail(texture(number)) for number in range(2 * COUNT)]
    candidates = index.candidates(fingerprints(np.stack([small.grey for small in smalls])))
    hits = {(int(a), int(i)) for a, i in zip(candidates.asked, candidates.image, strict=True) if a == i}
    assert hits == {(number, number) for number in range(COUNT)}
    alone = [index.candidates(fingerprints(small.grey[None])) for small in smalls]
    assert sum(len(each.asked) for each in alone) == len(candidates.asked)


def test_a_fingerprint_is_that_of_the_part_and_of_the_mirror_image() -> None:
    small = thumbnail(texture(9, 640, 640))
    seen = views(small.grey)
    assert seen[0] == pytest.approx(fingerprints(small.grey[None])[0], abs=1e-5)
    assert fingerprints(mirrored(small).grey[None])[0] == pytest.approx(seen[0] * MIRROR, abs=1e-4)
    for view in (17, 60, 195):
        (top, bottom), (left, right) = view_box(view)
        part = texture(9, 640, 640).crop((640 * left, 640 * top, 640 * right, 640 * bottom))
        assert float(seen[view] @ fingerprints(thumbnail(part).grey[None])[0]) > 0.99


def test_brightness_and_contrast_do_not_matter(index: ImageIndex) -> None:
    small = thumbnail(texture(2))
    dim = Small((small.grey * 0.5 + 20).astype(np.uint8), small.tint)
    assert [match.image for match in index.find_small(dim, LEAST)] == [2]


@pytest.mark.skipif(
    not os.environ.get("GOG_REAL_DATA"), reason="GOG_REAL_DATA is not set: it names a folder of published seed rows"
)
def test_twins_of_real_photographs_are_found_and_left_out_ones_are_not() -> None:
    folder = Path(os.environ["GOG_REAL_DATA"]) / "livevqa" / "News" / "News_imgs"
    photographs = [decode_image(path.read_bytes()) for path in sorted(folder.iterdir())]
    for photograph in photographs:
        photograph.thumbnail((800, 800))
    halves = [index_of(photographs[odd::2]) for odd in (0, 1)]
    right = 0
    for number, photograph in enumerate(photographs):
        x, y = number % 7 / 6, number % 5 / 4
        cut = ImageOps.mirror(crop(photograph, x, y, 0.8, 0.8))
        twin = decode_image(jpeg(cut.resize((cut.width // 2, cut.height // 2)), 50))
        right += number // 2 in found(halves[number % 2], twin)
        assert found(halves[1 - number % 2], twin) == []
    assert right >= 0.95 * len(photographs)


def test_files_of_any_mode_are_made_small() -> None:
    out = io.BytesIO()
    texture(4).convert("P").save(out, "PNG")
    for image in (texture(4).convert("L"), texture(4).convert("RGBA"), Image.open(io.BytesIO(out.getvalue()))):
        small = thumbnail(image)
        assert (small.grey.shape, small.tint.shape) == ((SIDE, SIDE), (TINT_SIDE, TINT_SIDE, 2))
