"""`segments:`, the embedded detector: connected regions that stand out from a smooth background. No weights.

The picture is shrunk, a smooth background (a quadratic surface a channel) is fitted to it robustly, and what differs
from the background is grouped into connected regions. A region scores by how rectangular and how large it is.
"""

import asyncio
import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gog.schemas import Box, FailureClass
from gog.schemas.boxes import iou
from gog.transforms.image_store import ImageStore, open_image
from gog.transforms.images import ImageError
from gog.transforms.services.protocols import Detection, ServiceError
from gog.transforms.services.provider import Provider

SIDE = 320
"""Pixels of the longer side of the shrunk picture."""
LEVELS = (4.0, 9.0)
"""Thresholds, in units of the background's noise; a region found at several counts once."""
LEAST_SIDE, MOST_AREA = 0.018, 0.92
"""Regions narrower than the first (share of the longer side) or larger than the second (share of the area) are none."""
LIMIT = 24

REMEMBERED = 512
_DIGITS = 3
"""Of the background's coefficients, which are shares of 255."""

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


def find_segments(image: Image.Image) -> tuple[Detection, ...]:
    """Regions that stand out, best first; the label is always "thing". Deterministic; a blank picture has none."""
    colours = _shrunk(image)
    height, width = colours.shape[:2]
    if min(height, width) < 8:
        return ()
    gap, noise = _difference(colours)
    found: list[Detection] = []
    for level in LEVELS:
        found += _regions(gap > level * noise, width, height)
    found.sort(key=lambda d: (-d.score, d.box))
    kept: list[Detection] = []
    for one in found:
        if all(iou(one.box, other.box) < 0.6 for other in kept):
            kept.append(one)
    return tuple(kept[:LIMIT])


def _shrunk(image: Image.Image) -> Floats:
    """Opponent colours (lightness, red-green, blue-yellow), shape (height, width, 3), of the picture at `SIDE`."""
    scale = SIDE / max(image.size)
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        rgb = rgb.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.5)
    values = np.asarray(rgb, np.float32)
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    return np.stack(((red + green + blue) / 3, (red - green) * 0.7, (red + green - 2 * blue) * 0.4), -1)


def _difference(colours: Floats) -> tuple[Floats, float]:
    """Distance of every pixel from the background, and the background's noise."""
    height, width = colours.shape[:2]
    step = max(1, min(height, width) // 48)
    y, x = np.mgrid[0:height:step, 0:width:step].astype(np.float64)
    points = colours[::step, ::step].reshape(-1, 3).astype(np.float64)
    terms = _terms(x.ravel() / width, y.ravel() / height)
    on_border = np.minimum(np.minimum(x, width - 1 - x) / width, np.minimum(y, height - 1 - y) / height).ravel()
    weights = np.where(on_border < 0.06, 1.0, 0.05)
    for _ in range(5):
        weighted = terms * weights
        solved = np.linalg.solve(weighted @ terms.T + 1e-3 * np.eye(6), weighted @ points)
        # In which order a machine adds moves the last digits alone, and these go.
        surface = np.round(solved, _DIGITS)
        gap = _distance(points, terms, surface)
        spread = max(2.0, float(np.median(gap)))
        squares = (gap / (1.5 * spread)) ** 2
        weights = 1 / (1 + squares * squares)
    noise = min(16.0, max(2.0, float(np.median(gap[gap < 4 * spread]))))
    return _distance(colours.reshape(-1, 3), _whole(width, height), surface).reshape(height, width), noise


def _distance(colours: Floats, terms: Floats, surface: Floats) -> Floats:
    """Of each colour (n, 3) from the surface (6, 3) there: one term after the other, alike on every machine."""
    square = np.zeros(len(colours), colours.dtype)
    for channel, shares in zip(colours.T, surface.T.astype(colours.dtype), strict=True):
        flat = channel - shares[0]
        for term, share in zip(terms[1:], shares[1:], strict=True):
            flat -= term * share
        square += flat * flat
    root: Floats = np.sqrt(square)
    return root


@lru_cache(maxsize=16)
def _whole(width: int, height: int) -> Floats:
    """Terms of every pixel; pictures come in few sizes. Shared: never change it."""
    x, y = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    return _terms(x.ravel(), y.ravel()).astype(np.float32)


def _terms(x: Floats, y: Floats) -> Floats:
    """Shape (6, n)."""
    return np.stack((np.ones_like(x), x, y, x * x, x * y, y * y))


def _regions(mask: Mask, width: int, height: int) -> list[Detection]:
    """Connected parts of the mask as boxes, as they are and with thin bridges cut."""
    closed = _spread(_spread(mask, 1), -1)
    return [region for times in (1, 3) for region in _labelled(_spread(_spread(closed, -times), times), width, height)]


def _spread(mask: Mask, times: int) -> Mask:
    """The mask grown (or, below 0, shrunk) by so many pixels each way; what is outside the picture counts as unset."""
    grown = np.pad(mask, abs(times))
    for _ in range(abs(times)):
        for axis in (0, 1):
            ahead, behind = np.roll(grown, 1, axis), np.roll(grown, -1, axis)
            grown = grown | ahead | behind if times > 0 else grown & ahead & behind
    edge = abs(times)
    return grown[edge:-edge, edge:-edge]


def _labelled(mask: Mask, width: int, height: int) -> list[Detection]:
    from scipy import ndimage  # takes a third of a second: loaded where a picture is looked at

    labels, _ = ndimage.label(mask)
    found = []
    least = LEAST_SIDE * max(width, height)
    for index, area in enumerate(ndimage.find_objects(labels), 1):
        if area is None:
            continue
        rows, columns = area
        w, h = columns.stop - columns.start, rows.stop - rows.start
        if min(w, h) < least or w * h > MOST_AREA * width * height:
            continue
        inside = labels[area] == index
        box = Box(columns.start / width, rows.start / height, columns.stop / width, rows.stop / height)
        found.append(Detection(box, "thing", round(_score(inside, box.area), 4)))
    return found


def _score(inside: Mask, area: float) -> float:
    """0 to 1: how well the region fills its box and the box's sides; strips and specks score less."""
    sides = [inside[:2].any(0), inside[-2:].any(0), inside[:, :2].any(1), inside[:, -2:].any(1)]
    filled = float(np.mean([side.mean() for side in sides]))
    solid = float(inside.mean())
    strip = min(1.0, 2.5 * min(inside.shape) / max(inside.shape))
    return float((0.6 * filled + 0.4 * solid) * min(strip, math.sqrt(math.sqrt(area / 0.01))))


@lru_cache(maxsize=REMEMBERED)
def segments_of(images: ImageStore, sha256: str) -> tuple[Detection, ...]:
    """`find_segments` of a stored picture; the process remembers the latest. Raises what `open_image` does."""
    return find_segments(open_image(images, sha256))


class Segments:
    """`find_segments` over an image store, as a `Detector`."""

    id = "segments:2"

    def __init__(self, images: ImageStore) -> None:
        """`images` holds the pictures by hash."""
        self._images = images

    async def detect(self, image_sha256: str, phrases: tuple[str, ...]) -> tuple[Detection, ...]:
        """Regions of the picture; `phrases` change nothing. `ServiceError` when it cannot be read."""
        try:
            return await asyncio.to_thread(segments_of, self._images, image_sha256)
        except KeyError:
            raise ServiceError(FailureClass.NOT_FOUND, f"no image {image_sha256[:12]}") from None
        except ImageError as error:
            raise ServiceError(FailureClass.BAD_REQUEST, str(error)) from None


DETECTOR = Provider(
    name="segments",
    example="segments:",
    embedded=True,
    fits=lambda opening: True,
    open=lambda opening: Segments(opening.images),
)
