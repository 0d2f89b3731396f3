"""Boxes come back to the picture they were found on, whatever the letterbox and the head."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gog.schemas import Box
from gog.schemas.boxes import iou
from gog.transforms.services.detectors.yolo_head import (
    HeadError,
    detections,
    letterbox,
    read_head,
    suppress,
)

NAMES = ["clock", "flag", "person"]
sizes = st.integers(1, 300)


@given(sizes, sizes, st.sampled_from([(320, 320), (640, 384)]), st.tuples(*[st.floats(0.05, 0.9)] * 4))
def test_a_box_goes_through_the_letterbox_and_back(
    width: int, height: int, canvas: tuple[int, int], drawn: tuple[float, ...]
) -> None:
    _, placed = letterbox(Image.new("RGB", (width, height)), *canvas)
    x1, x2 = sorted(drawn[:2])
    y1, y2 = sorted(drawn[2:])
    on_canvas = (
        x1 * width * placed.scale + placed.left,
        y1 * height * placed.scale + placed.top,
        (x2 + 0.05) * width * placed.scale + placed.left,
        (y2 + 0.05) * height * placed.scale + placed.top,
    )
    assert placed.box(*on_canvas) == pytest.approx((x1, y1, x2 + 0.05, y2 + 0.05), abs=1e-6)


def test_the_letterbox_keeps_the_shape_and_greys_the_rest() -> None:
    array, placed = letterbox(Image.new("RGB", (200, 100), (255, 0, 0)), 64, 64)
    assert array.shape == (3, 64, 64)
    assert (placed.left, placed.top) == (0, 16)
    assert array[:, 0, 0] == pytest.approx([114 / 255] * 3)
    assert array[:, 32, 32] == pytest.approx([1, 0, 0])


def head(kind: str, boxes: list[tuple[float, float, float, float]], scores: list[float], labels: list[int]) -> object:
    """An output of that kind with those boxes (x1 y1 x2 y2 on the canvas)."""
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    if kind == "end_to_end":
        return np.column_stack((corners, scores, labels)).astype(np.float32)
    centres = np.column_stack(((corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]))
    classes = np.zeros((len(boxes), len(NAMES)), np.float32)
    classes[np.arange(len(boxes)), labels] = scores
    if kind == "v5":
        return np.column_stack((centres, np.full(len(boxes), 0.5), classes * 2)).astype(np.float32)
    both = np.column_stack((centres, classes)).astype(np.float32)
    return both.T if kind == "v8" else both


@pytest.mark.parametrize("kind", ["v8", "v8 transposed", "v5", "end_to_end"])
def test_every_head_gives_the_same_detections(kind: str) -> None:
    _, placed = letterbox(Image.new("RGB", (400, 200)), 64, 64)
    boxes = [(0.0, 16.0, 32.0, 48.0), (1.0, 16.0, 33.0, 48.0), (40.0, 20.0, 60.0, 40.0), (1, 17, 30, 47)] + [
        (0.0, 0.0, 1.0, 1.0)
    ] * 12
    scores = [0.9, 0.8, 0.5, 0.45] + [0.01] * 12
    labels = [1, 1, 0, 2] + [0] * 12
    found = detections(head(kind, boxes, scores, labels), NAMES, placed, 0.25, 0.7, 10)  # type: ignore[arg-type]
    assert [(one.label, one.score) for one in found] == [("flag", 0.9), ("clock", 0.5), ("person", 0.45)]
    assert iou(found[0].box, Box(0.0, 0.0, 0.5, 1.0)) > 0.99


def test_an_unknown_head_is_an_error_that_names_its_shape() -> None:
    with pytest.raises(HeadError, match="17"):
        read_head(np.zeros((17, 11), np.float32), 3)
    with pytest.raises(HeadError, match="two dimensions"):
        read_head(np.zeros((1, 7, 4), np.float32), 3)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(7, 40), (40, 7), (40, 8), (40, 6)]))
def test_noise_gives_boxes_inside_the_picture(seed: int, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(seed).normal(0, 100, shape)
    noise[0, 0], noise[-1, -1] = np.nan, np.inf
    _, placed = letterbox(Image.new("RGB", (300, 50)), 64, 64)
    found = detections(noise, NAMES, placed, 0.25, 0.7, 5)
    assert len(found) <= 5
    assert all(Box.checked(*one.box) == one.box and 0 <= one.score <= 1 for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.floats(0.1, 0.9))
def test_suppression_is_that_of_the_definition(seed: int, count: int, limit: float) -> None:
    drawn = np.random.default_rng(seed)
    low = drawn.random((count, 2)) * 50
    boxes = np.concatenate((low, low + 1 + drawn.random((count, 2)) * 50), 1).astype(np.float32)
    labels = drawn.integers(0, 2, count)
    as_boxes = [Box(*(float(v) / 200 for v in box)) for box in boxes]
    kept: list[int] = []
    for i in range(count):
        overlaps = [iou(as_boxes[i], as_boxes[j]) for j in kept if labels[i] == labels[j]]
        if all(overlap <= limit for overlap in overlaps):
            kept.append(i)
    assert suppress(boxes, labels, limit, 100).tolist() == kept
