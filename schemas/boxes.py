"""Boxes and the frames they are written in.

One canonical form: `x1, y1, x2, y2` as fractions of the image they are drawn on, EXIF-corrected, origin at the
top left. Every other frame is a named conversion at the border (see `Frame`).
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Self


class BoxError(ValueError):
    """The four numbers are not a box (not finite, outside the image, without area), or the image has no such frame."""


class Frame(StrEnum):
    """How a model or a detector writes coordinates.

    `resized_pixels` are absolute pixels after the model's smart resize (Qwen2.5-VL, factor 28);
    `per_mille` is 0-1000 of the image (Qwen3-VL).
    """

    FRACTION = "fraction"
    PIXELS = "pixels"
    PER_MILLE = "per_mille"
    RESIZED_PIXELS = "resized_pixels"


class Box(NamedTuple):
    """A box in fractions of its image: `0 <= x1 < x2 <= 1` and `0 <= y1 < y2 <= 1`."""

    x1: float
    y1: float
    x2: float
    y2: float

    @classmethod
    def checked(cls, x1: float, y1: float, x2: float, y2: float) -> Self:
        """The box, or `BoxError` when the numbers are not one."""
        if not all(math.isfinite(v) for v in (x1, y1, x2, y2)):
            raise BoxError("a box needs four finite numbers")
        if min(x1, y1) < 0 or max(x2, y2) > 1:
            raise BoxError(f"the box {x1:g}, {y1:g}, {x2:g}, {y2:g} reaches outside the image")
        if not (x1 < x2 and y1 < y2):
            raise BoxError(f"the box {x1:g}, {y1:g}, {x2:g}, {y2:g} has no area (x1 < x2 and y1 < y2)")
        return cls(float(x1), float(y1), float(x2), float(y2))

    @property
    def area(self) -> float:
        """Share of the image that the box covers, 0 to 1."""
        return (self.x2 - self.x1) * (self.y2 - self.y1)

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box, in fractions of the image."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2


WHOLE = Box(0.0, 0.0, 1.0, 1.0)


class FrameSpec(NamedTuple):
    """A frame with what it needs: factor and pixel limits matter to `resized_pixels` alone."""

    frame: Frame
    factor: int = 28
    min_pixels: int = 56 * 56
    max_pixels: int = 14 * 14 * 4 * 1280


def smart_resize(width: int, height: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Size (width, height) to which the Qwen-VL image processors resize: multiples of `factor` within the limits.

    Source: the published Qwen2-VL image processor (transformers, `smart_resize`). Raises `BoxError` on an
    aspect ratio above 200, where the processors refuse too.
    """
    if min(width, height) < 1:
        raise BoxError(f"an image of {width}x{height} pixels cannot be resized")
    if max(width, height) / min(width, height) > 200:
        raise BoxError(f"an aspect ratio above 200 is not supported: {width}x{height}")
    w, h = round(width / factor) * factor, round(height / factor) * factor
    if w * h > max_pixels:
        beta = math.sqrt(width * height / max_pixels)
        w = max(factor, math.floor(width / beta / factor) * factor)
        h = max(factor, math.floor(height / beta / factor) * factor)
    elif w * h < min_pixels:
        beta = math.sqrt(min_pixels / (width * height))
        w, h = math.ceil(width * beta / factor) * factor, math.ceil(height * beta / factor) * factor
    return w, h


def shown_size(spec: FrameSpec, width: int, height: int) -> tuple[int, int]:
    """Size (width, height) that a model is told of an image: in `resized_pixels` the one that its boxes refer to."""
    if spec.frame is not Frame.RESIZED_PIXELS:
        return width, height
    return smart_resize(width, height, spec.factor, spec.min_pixels, spec.max_pixels)


def frame_size(spec: FrameSpec, width: int, height: int) -> tuple[float, float]:
    """Units of the frame across the width and the height of an image."""
    match spec.frame:
        case Frame.FRACTION:
            return 1.0, 1.0
        case Frame.PER_MILLE:
            return 1000.0, 1000.0
        case Frame.PIXELS:
            return float(width), float(height)
        case Frame.RESIZED_PIXELS:
            w, h = shown_size(spec, width, height)
            return float(w), float(h)


def to_frame(box: Box, spec: FrameSpec, width: int, height: int) -> tuple[float, float, float, float]:
    """The box in another frame, for an image of `width` x `height` pixels.

    Frames other than `fraction` are rounded to whole units, the way models read and write them; a side never
    rounds away to nothing.
    """
    sx, sy = frame_size(spec, width, height)
    if spec.frame is Frame.FRACTION:
        return box.x1, box.y1, box.x2, box.y2
    x1, x2 = _rounded(box.x1 * sx, box.x2 * sx, sx)
    y1, y2 = _rounded(box.y1 * sy, box.y2 * sy, sy)
    return x1, y1, x2, y2


def _rounded(low: float, high: float, size: float) -> tuple[int, int]:
    a, b = round(low), round(high)
    if a == b:
        a, b = math.floor(low), math.ceil(high)
    if a == b:
        a, b = (a, a + 1) if a < size else (a - 1, a)
    return a, b


def from_frame(values: Sequence[float], spec: FrameSpec, width: int, height: int, *, slack: float = 0.005) -> Box:
    """The canonical box of four numbers in a frame.

    Numbers that reach at most `slack` of the image outside of it are clipped: models overshoot by a unit or two.
    Raises `BoxError` on anything else that is not a box; nothing is guessed from the size of the numbers.
    """
    if len(values) != 4:
        raise BoxError(f"a box has four numbers, these are {len(values)}")
    sx, sy = frame_size(spec, width, height)
    try:
        raw = (values[0] / sx, values[1] / sy, values[2] / sx, values[3] / sy)
    except (TypeError, OverflowError) as error:
        raise BoxError("a box needs four finite numbers") from error
    if not all(math.isfinite(v) and -slack <= v <= 1 + slack for v in raw):
        limit = "1" if spec.frame is Frame.FRACTION else f"{sx:g} x {sy:g}"
        raise BoxError(f"the box {list(values)} reaches outside the image (frame {spec.frame}, limit {limit})")
    x1, y1, x2, y2 = (min(1.0, max(0.0, v)) for v in raw)
    return Box.checked(x1, y1, x2, y2)


def intersection(a: Box, b: Box) -> float:
    """Area that two boxes share, as a share of the image."""
    w = min(a.x2, b.x2) - max(a.x1, b.x1)
    h = min(a.y2, b.y2) - max(a.y1, b.y1)
    return max(0.0, w) * max(0.0, h)


def iou(a: Box, b: Box) -> float:
    """Intersection over union, 0 to 1."""
    shared = intersection(a, b)
    union = a.area + b.area - shared
    return shared / union if union > 0 else 0.0


def same_place(a: Box, b: Box) -> bool:
    """Whether two boxes are of one place: they share a quarter of the smaller one."""
    return intersection(a, b) >= min(a.area, b.area) / 4


def resolve(box: Box, parent: Box) -> Box:
    """A box drawn on a crop, as a box on the image that the crop was cut from.

    Raises `BoxError` when it is too small there to be told from nothing.
    """
    w, h = parent.x2 - parent.x1, parent.y2 - parent.y1
    x1, y1 = parent.x1 + box.x1 * w, parent.y1 + box.y1 * h
    x2, y2 = parent.x1 + box.x2 * w, parent.y1 + box.y2 * h
    return Box.checked(x1, y1, min(1.0, x2), min(1.0, y2))


def pad(box: Box, share: float) -> Box:
    """The box grown by `share` of its own width and height on each side, clipped to the image."""
    dx, dy = (box.x2 - box.x1) * share, (box.y2 - box.y1) * share
    return Box(max(0.0, box.x1 - dx), max(0.0, box.y1 - dy), min(1.0, box.x2 + dx), min(1.0, box.y2 + dy))


def pixel_rect(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Whole pixels (left, top, right, bottom; right and bottom exclusive) that cover the box, at least one each way."""
    # A billionth of a pixel of slack, so that a pixel's edge that is 2.9999999999999996 in floats stays 3.
    left, top = math.floor(box.x1 * width + 1e-9), math.floor(box.y1 * height + 1e-9)
    left, top = min(width - 1, left), min(height - 1, top)
    right, bottom = math.ceil(box.x2 * width - 1e-9), math.ceil(box.y2 * height - 1e-9)
    return left, top, min(width, max(left + 1, right)), min(height, max(top + 1, bottom))
