"""What YOLO-style models read and write: letterboxed pictures in, boxes on the letterbox out. Pure numpy.

Source: the letterbox and the heads of the published YOLOv5, v8, v11 and v10 / v26 (end to end) exports.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gog.schemas import Box, BoxError
from gog.transforms.services.protocols import Detection

Floats = NDArray[np.float32]

GREY: Final = 114
"""Of the letterbox's borders, as in training."""
_END_TO_END: Final = 6
_LEAST_CANDIDATES: Final = 64
_CANDIDATES: Final = 3000


class HeadError(ValueError):
    """The model's output has no shape that is known."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a picture of `width` x `height` pixels lies on the model's canvas: scaled, then moved right and down."""

    width: int
    height: int
    scale: float
    left: int
    top: int

    def box(self, x1: float, y1: float, x2: float, y2: float) -> Box:
        """A box on the canvas, in its pixels, as fractions of the picture. `BoxError` when none of it is on it."""
        xs = [(x - self.left) / (self.scale * self.width) for x in (x1, x2)]
        ys = [(y - self.top) / (self.scale * self.height) for y in (y1, y2)]
        (x1, x2), (y1, y2) = ([min(1.0, max(0.0, value)) for value in pair] for pair in (xs, ys))
        return Box.checked(x1, y1, x2, y2)


def letterbox(image: Image.Image, width: int, height: int) -> tuple[Floats, Letterbox]:
    """The picture (RGB) in the middle of a grey canvas, as (3, height, width) from 0 to 1."""
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas = np.full((height, width, 3), GREY, np.uint8)
    shrunk = image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)
    canvas[top : top + size[1], left : left + size[0]] = np.asarray(shrunk)
    # The true scale of both sides together: each is rounded to whole pixels.
    placed = Letterbox(image.width, image.height, scale, left, top)
    return canvas.transpose(2, 0, 1).astype(np.float32) / np.float32(255), placed


def read_head(output: NDArray[Any], labels: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Boxes (n, 4) as x1 y1 x2 y2 in canvas pixels, scores (n) and label numbers (n) of one picture's output.

    Told apart by shape, with `labels` the number of labels: end to end (n, 6), v5 (n, 5 + labels, with an
    objectness), v8 and v11 (4 + labels, n). Raises `HeadError`.
    """
    if output.ndim != 2:
        raise HeadError(f"the output has shape {output.shape}; expected two dimensions a picture")
    output = np.nan_to_num(output.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    rows, columns = output.shape
    if columns == _END_TO_END and rows != 4 + labels:
        return output[:, :4], output[:, 4], output[:, 5].astype(np.int64)
    if rows == 4 + labels:
        output = output.T
        scores = output[:, 4:]
    elif columns == 4 + labels:
        scores = output[:, 4:]
    elif columns == 5 + labels:
        scores = output[:, 5:] * output[:, 4:5]
    else:
        raise HeadError(f"the output has shape {output.shape}, which fits no YOLO head with {labels} labels")
    centre, half = output[:, :2], output[:, 2:4] / np.float32(2)
    best = scores.argmax(1) if len(scores) else np.zeros(0, np.int64)
    boxes: Floats = np.concatenate((centre - half, centre + half), 1).astype(np.float32, copy=False)
    return boxes, scores[np.arange(len(best)), best], best


def detections(
    output: NDArray[Any], names: list[str], placed: Letterbox, confidence: float, iou: float, limit: int
) -> tuple[Detection, ...]:
    """One picture's output as detections, best first, overlaps of one label suppressed. Raises `HeadError`."""
    boxes, scores, labels = read_head(output, len(names))
    likely = np.flatnonzero((scores >= confidence) & (scores > 0) & (labels >= 0) & (labels < len(names)))
    order = likely[np.argsort(-scores[likely], kind="stable")][:_CANDIDATES]
    kept = suppress(boxes[order], labels[order], iou, max(_LEAST_CANDIDATES, 2 * limit))
    found = []
    for index in order[kept]:
        try:
            box = placed.box(*(float(value) for value in boxes[index]))
        except BoxError:
            continue
        found.append(Detection(box, names[labels[index]], round(min(1.0, float(scores[index])), 4)))
    return tuple(found[:limit])


def suppress(boxes: Floats, labels: NDArray[np.int64], iou: float, limit: int) -> NDArray[np.int64]:
    """Indices of the boxes (best first) that stay: none overlaps a better one of its label by more than `iou`."""
    areas = (boxes[:, 2] - boxes[:, 0]).clip(0) * (boxes[:, 3] - boxes[:, 1]).clip(0)
    left = np.arange(len(boxes))
    kept: list[int] = []
    while len(left) and len(kept) < limit:
        first, rest = left[0], left[1:]
        kept.append(int(first))
        low = np.maximum(boxes[first, :2], boxes[rest, :2])
        high = np.minimum(boxes[first, 2:], boxes[rest, 2:])
        shared = (high - low).clip(0).prod(1)
        union = np.maximum(areas[first] + areas[rest] - shared, 1e-9)
        left = rest[(shared / union <= iou) | (labels[rest] != labels[first])]
    return np.array(kept, np.int64)
