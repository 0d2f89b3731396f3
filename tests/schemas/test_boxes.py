"""Boxes, frames and crops: round trips to half a unit, published sizes, hostile numbers."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from strategies import boxes, sizes

from gog.schemas import WHOLE, Box, BoxError, Frame, FrameSpec
from gog.schemas.boxes import (
    from_frame,
    intersection,
    iou,
    pad,
    pixel_rect,
    resolve,
    same_place,
    shown_size,
    smart_resize,
    to_frame,
)

QWEN3 = FrameSpec(Frame.RESIZED_PIXELS, factor=32, min_pixels=65_536, max_pixels=16_777_216)
QWEN25 = FrameSpec(Frame.RESIZED_PIXELS)
PIXELS, PER_MILLE, FRACTION = FrameSpec(Frame.PIXELS), FrameSpec(Frame.PER_MILLE), FrameSpec(Frame.FRACTION)
SPECS = [FRACTION, PIXELS, PER_MILLE, QWEN25, QWEN3]
each_spec = pytest.mark.parametrize("spec", SPECS, ids=["fraction", "pixels", "per mille", "qwen2.5", "qwen3"])


def units(spec: FrameSpec, width: int, height: int) -> tuple[float, float]:
    """Size of the image in units of the frame, computed from the frame's definition."""
    if spec.frame is Frame.PIXELS:
        return width, height
    if spec.frame is Frame.RESIZED_PIXELS:
        return smart_resize(width, height, spec.factor, spec.min_pixels, spec.max_pixels)
    return (1000, 1000) if spec.frame is Frame.PER_MILLE else (1, 1)


@each_spec
@given(box=boxes(), size=sizes)
def test_round_trip_to_half_a_unit(spec: FrameSpec, box: Box, size: tuple[int, int]) -> None:
    assume(max(size) <= 200 * min(size))
    sx, sy = units(spec, *size)
    back = from_frame(to_frame(box, spec, *size), spec, *size)
    for axis, scale in ((0, sx), (1, sy)):
        # A side shorter than a unit is kept a unit wide, so its ends may move by a whole one.
        tolerance = 0.5 if (box[axis + 2] - box[axis]) * scale >= 1 else 1.0
        tolerance = 0.0 if spec.frame is Frame.FRACTION else tolerance
        assert abs(back[axis] - box[axis]) * scale <= tolerance + 1e-6
        assert abs(back[axis + 2] - box[axis + 2]) * scale <= tolerance + 1e-6


@each_spec
@given(data=st.data(), size=sizes)
def test_numbers_of_a_frame_come_back_as_written(spec: FrameSpec, data: st.DataObject, size: tuple[int, int]) -> None:
    assume(max(size) <= 200 * min(size))
    if spec.frame is Frame.FRACTION:
        box = data.draw(boxes())
        assert from_frame(box, spec, *size) == box == to_frame(box, spec, *size)
        return
    sx, sy = (int(s) for s in units(spec, *size))
    x1, y1 = data.draw(st.integers(0, sx - 1)), data.draw(st.integers(0, sy - 1))
    written = (x1, y1, data.draw(st.integers(x1 + 1, sx)), data.draw(st.integers(y1 + 1, sy)))
    assert to_frame(from_frame(written, spec, *size), spec, *size) == written


@pytest.mark.parametrize(
    ("size", "factor", "least", "most", "resized"),
    [
        # Qwen2.5-VL, by hand: round(w / 28) * 28 where the limits do not bind.
        ((1000, 750), 28, 3136, 1_003_520, (1008, 756)),
        ((224, 224), 28, 3136, 1_003_520, (224, 224)),
        ((2048, 1365), 28, 3136, 12_845_056, (2044, 1372)),
        # 1920 x 1080 is over 1280 * 28 * 28: beta = sqrt(2073600 / 1003520) = 1.43747; 47 and 26 whole factors.
        ((1920, 1080), 28, 3136, 1_003_520, (1316, 728)),
        # 28 x 28 is under 56 * 56: beta = 2.
        ((28, 28), 28, 3136, 1_003_520, (56, 56)),
        # One side rounds to nothing: beta = sqrt(3136 / 1000) = 1.7709 -> ceil(6.3) and ceil(0.63) factors.
        ((100, 10), 28, 3136, 1_003_520, (196, 28)),
        ((1, 1), 28, 3136, 1_003_520, (56, 56)),
        # Just at a limit nothing is resized further.
        ((70, 40), 28, 28, 1568, (56, 28)),
        ((70, 40), 28, 1568, 1_003_520, (56, 28)),
        # Half a factor rounds to the even number, as Python and the processors do: 42 / 28 = 1.5, 70 / 28 = 2.5.
        ((42, 70), 28, 28, 1_003_520, (56, 56)),
        # Qwen3-VL: factor 32, 256 * 256 to 4096 * 4096 pixels.
        ((640, 480), 32, 65_536, 16_777_216, (640, 480)),
        ((1000, 750), 32, 65_536, 16_777_216, (992, 736)),
        ((100, 100), 32, 65_536, 16_777_216, (256, 256)),
        # 200 : 1 is the last ratio allowed; beta = sqrt(1000 * 200000 / 1003520) = 14.117.
        ((200_000, 1000), 28, 3136, 1_003_520, (14_140, 56)),
    ],
)
def test_smart_resize_by_hand(
    size: tuple[int, int], factor: int, least: int, most: int, resized: tuple[int, int]
) -> None:
    assert smart_resize(*size, factor, least, most) == resized
    assert smart_resize(*size[::-1], factor, least, most) == resized[::-1]


@given(size=sizes, spec=st.sampled_from([QWEN25, QWEN3]))
@example(size=(6000, 30), spec=QWEN25)
def test_smart_resize_keeps_to_its_limits(size: tuple[int, int], spec: FrameSpec) -> None:
    assume(max(size) <= 200 * min(size))
    w, h = smart_resize(*size, spec.factor, spec.min_pixels, spec.max_pixels)
    assert w % spec.factor == h % spec.factor == 0
    assert spec.min_pixels <= w * h <= spec.max_pixels


@pytest.mark.parametrize("size", [(201, 1), (1, 201), (0, 5), (5, -1)])
def test_an_image_that_no_processor_resizes_has_no_such_frame(size: tuple[int, int]) -> None:
    with pytest.raises(BoxError):
        to_frame(WHOLE, QWEN25, *size)
    with pytest.raises(BoxError):
        from_frame((0, 0, 1, 1), QWEN25, *size)


@given(first=boxes(1e-3), second=boxes(1e-3), third=boxes(1e-3))
def test_crops_of_crops_resolve(first: Box, second: Box, third: Box) -> None:
    """Along each path the result is one affine map after the other, inside of the outer crop."""
    inner = resolve(third, resolve(second, first))
    other = resolve(resolve(third, second), first)
    assert inner == pytest.approx(other, abs=1e-12)
    assert intersection(inner, first) == pytest.approx(inner.area, rel=1e-6)
    assert inner.area == pytest.approx(first.area * second.area * third.area, rel=1e-6)


def test_a_quarter_of_a_quarter() -> None:
    lower_right = Box(0.5, 0.5, 1, 1)
    assert resolve(lower_right, lower_right) == (0.75, 0.75, 1, 1)
    assert resolve(Box(0, 0.5, 0.5, 1), Box(0.2, 0.4, 0.6, 0.8)) == pytest.approx((0.2, 0.6, 0.4, 0.8))


@given(box=boxes())
def test_the_whole_image_changes_nothing(box: Box) -> None:
    assert resolve(box, WHOLE) == box
    assert resolve(WHOLE, box) == pytest.approx(box, abs=1e-15)


def test_a_crop_of_nothing_is_not_a_box() -> None:
    speck = Box.checked(0.5, 0.5, 0.5 + 1e-15, 1)
    with pytest.raises(BoxError, match="no area"):
        resolve(Box(0.25, 0, 0.25 + 1e-9, 1), speck)


@pytest.mark.parametrize(
    "values",
    [
        (math.nan, 0, 1, 1),
        (0, 0, math.inf, 1),
        (0, -math.inf, 1, 1),
        (10**400, 0, 1, 1),
        (0, 0, 1, -(10**400)),
        (0, 0, 0, 0),
        (1, 1, 0, 0),
        (0, 0, 1e308, 1e308),
        (-9, 0, 1, 1),
        (5e-324, 0, 5e-324, 1),
        (),
        (0, 0, 1),
        (0, 0, 1, 1, 1),
        ("0", "0", "1", "1"),
        (None, 0, 1, 1),
        ([0], 0, 1, 1),
    ],
)
@each_spec
def test_hostile_numbers_are_box_errors(spec: FrameSpec, values: Sequence[Any]) -> None:
    with pytest.raises(BoxError) as error:
        from_frame(values, spec, 640, 480)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


def fours(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[list[float]]:
    return st.lists(numbers, min_size=4, max_size=4)


@each_spec
@given(
    values=fours(st.floats() | st.integers())
    | fours(st.floats(-0.1, 1.1) | st.integers(-10, 1100)).map(
        lambda v: [*map(min, v[:2], v[2:]), *map(max, v[:2], v[2:])]
    ),
    size=st.tuples(st.integers(30, 3000), st.integers(30, 3000)),
)
def test_any_four_numbers_are_a_box_or_an_error(spec: FrameSpec, values: list[float], size: tuple[int, int]) -> None:
    try:
        box = from_frame(values, spec, *size)
    except BoxError:
        return
    assert 0 <= box.x1 < box.x2 <= 1
    assert 0 <= box.y1 < box.y2 <= 1


def test_a_small_overshoot_is_clipped_and_a_large_one_is_not() -> None:
    assert from_frame((-2, 0, 1003, 1000), PER_MILLE, 10, 10) == WHOLE
    with pytest.raises(BoxError, match="outside the image"):
        from_frame((0, 0, 1006, 1000), PER_MILLE, 10, 10)
    with pytest.raises(BoxError, match="outside the image"):
        from_frame((0, 0, 1003, 1000), PER_MILLE, 10, 10, slack=0)


def test_an_overshoot_of_just_the_slack_is_clipped() -> None:
    assert from_frame((-0.25, 0, 1.25, 1), FRACTION, 10, 10, slack=0.25) == WHOLE
    for outside in ((-0.26, 0, 1, 1), (0, 0, 1.26, 1)):
        with pytest.raises(BoxError, match="outside the image"):
            from_frame(outside, FRACTION, 10, 10, slack=0.25)


def test_the_plain_frame_is_that_of_qwen25() -> None:
    assert QWEN25 == (Frame.RESIZED_PIXELS, 28, 56 * 56, 1280 * 28 * 28)
    assert shown_size(QWEN25, 4000, 1000) == (1988, 476)
    assert shown_size(PIXELS, 4000, 1000) == (4000, 1000)


@pytest.mark.parametrize(
    ("box", "written"),
    [
        (Box(0.5, 0.2, 0.5 + 1e-12, 0.4), (320, 96, 321, 192)),
        (Box(0.0, 0.2, 1e-12, 0.4), (0, 96, 1, 192)),
        (Box(1 - 1e-12, 0.2, 1, 0.4), (639, 96, 640, 192)),
        (Box(0.5 + 1e-3, 0.2, 0.5 + 1.1e-3, 0.4), (320, 96, 321, 192)),
        (Box(0.25, 0.5, 0.75, 0.5 + 1e-12), (160, 240, 480, 241)),
        (Box(0.25, 1 - 1e-12, 0.75, 1), (160, 479, 480, 480)),
    ],
)
def test_a_side_never_rounds_away(box: Box, written: tuple[int, int, int, int]) -> None:
    assert to_frame(box, PIXELS, 640, 480) == written


def test_a_side_between_two_whole_numbers_stays_there() -> None:
    edge = Box(0.3, 0, math.nextafter(0.3, 1), 1)
    assert to_frame(edge, PER_MILLE, 10, 10) == (300, 0, 301, 1000)
    assert to_frame(Box(math.nextafter(1, 0), 0, 1, 1), PER_MILLE, 10, 10) == (999, 0, 1000, 1000)


def test_the_middle_of_a_box() -> None:
    assert Box(0.1, 0.2, 0.5, 1.0).centre == pytest.approx((0.3, 0.6))


def test_two_boxes_are_of_one_place_from_a_quarter_of_the_smaller_on() -> None:
    large = Box(0, 0, 0.5, 0.5)
    assert same_place(large, Box(0.25, 0.25, 0.75, 0.75))
    assert same_place(Box(0.25, 0.25, 0.75, 0.75), large)
    assert not same_place(large, Box(0.25, 0.2578125, 0.75, 0.7578125))
    assert same_place(large, Box(0.4375, 0, 0.6875, 0.125)), "a quarter of the smaller, little of the larger"
    assert not same_place(large, Box(0.4453125, 0, 0.6953125, 0.125))
    assert not same_place(large, Box(0.5, 0, 1, 0.5))


def test_numbers_are_never_guessed_to_be_of_another_frame() -> None:
    with pytest.raises(BoxError, match=r"frame fraction, limit 1\)"):
        from_frame((100, 100, 200, 200), FRACTION, 640, 480)
    with pytest.raises(BoxError, match="frame pixels, limit 640 x 480"):
        from_frame((0, 0, 1000, 1000), PIXELS, 640, 480)


@pytest.mark.parametrize("values", [(0, 0, 1, 1.5), (math.nan, 0, 1, 1), (0.5, 0, 0.5, 1), (0, 0.9, 1, 0.1)])
def test_checked_refuses(values: tuple[float, float, float, float]) -> None:
    with pytest.raises(BoxError):
        Box.checked(*values)


@given(size=st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)), data=st.data())
def test_a_box_of_whole_pixels_covers_those_pixels(size: tuple[int, int], data: st.DataObject) -> None:
    width, height = size
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    rect = (left, top, data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height)))
    assert pixel_rect(from_frame(rect, PIXELS, *size), *size) == rect


@given(box=boxes(1e-12), size=sizes)
@example(box=Box(1 - 1e-13, 1 - 1e-13, 1, 1), size=(30, 7))
@example(box=Box(0, 0, 1e-13, 1e-13), size=(30, 7))
def test_pixels_cover_the_box_and_stay_inside(box: Box, size: tuple[int, int]) -> None:
    left, top, right, bottom = pixel_rect(box, *size)
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert left <= box.x1 * size[0] + 1e-6
    assert right >= box.x2 * size[0] - 1e-6
    assert (right - left) <= (box.x2 - box.x1) * size[0] + 2
    assert top <= box.y1 * size[1] + 1e-6
    assert bottom >= box.y2 * size[1] - 1e-6
    assert (bottom - top) <= (box.y2 - box.y1) * size[1] + 2


@given(a=boxes(), b=boxes())
def test_overlap_is_symmetric_and_bounded(a: Box, b: Box) -> None:
    assert iou(a, b) == iou(b, a)
    assert 0 <= iou(a, b) <= 1 + 1e-9
    assert iou(a, a) == pytest.approx(1)
    assert intersection(a, b) <= min(a.area, b.area) + 1e-15


def test_overlap_by_hand() -> None:
    assert iou(Box(0, 0, 0.5, 1), Box(0.25, 0, 0.75, 1)) == pytest.approx(1 / 3)
    assert iou(Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)) == 0
    assert iou(Box(0, 0, 1e-200, 1e-200), Box(0, 0, 1e-200, 1e-200)) == 0


@given(box=boxes(), share=st.floats(0, 5))
def test_padding_grows_and_stays_inside(box: Box, share: float) -> None:
    grown = pad(box, share)
    assert Box.checked(*grown) == grown
    assert grown.x1 <= box.x1 < box.x2 <= grown.x2
    assert grown.y1 <= box.y1 < box.y2 <= grown.y2


def test_padding_by_hand() -> None:
    assert pad(Box(0.4, 0.4, 0.6, 0.5), 0.5) == pytest.approx((0.3, 0.35, 0.7, 0.55))
    assert pad(Box(0.0, 0.4, 0.6, 0.9), 0.5) == pytest.approx((0, 0.15, 0.9, 1))
