"""How a question points at one flag of several: a closed list of references, and when each is unambiguous.

A reference is offered only when every sensible reading of it names the same flag: by centres and by edges, with
real margins. Positions are fractions of the picture, origin at the top left.

    leftmost, rightmost, topmost, bottommost         an end of the row or column
    second/third from the left/right/top/bottom      the n-th from an end, all of it well apart
    largest, smallest                                by area, at least 1.35 times (or at most 1/1.35) of any other
    top left, top right, bottom left, bottom right   the only flag of that quarter
    centre                                           the flag in the middle, all others far from it
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from gog.schemas import Box

END_MARGIN = 0.075
"""Least distance between centres, along the axis, of the flag that is meant and the next ones."""
EDGE_MARGIN = 0.045
AREA_RATIO = 1.35

ENDS = {
    "leftmost": (0, 1),
    "rightmost": (0, -1),
    "topmost": (1, 1),
    "bottommost": (1, -1),
}
FROM = {"left": (0, 1), "right": (0, -1), "top": (1, 1), "bottom": (1, -1)}
ORDINALS = {"second": 1, "third": 2}
CORNERS = {
    "top left": (0.0, 0.0),
    "top right": (1.0, 0.0),
    "bottom left": (0.0, 1.0),
    "bottom right": (1.0, 1.0),
}
SIZES = ("largest", "smallest")
REFERENCES = (
    *ENDS,
    *(f"{nth} from the {side}" for nth in ORDINALS for side in FROM),
    *SIZES,
    *CORNERS,
    "centre",
)


def guess(reference: str, boxes: Sequence[Box]) -> int:
    """Index of the box that the reference points at by centres and areas alone, whether that is clear or not."""
    order = sorted(range(len(boxes)), key=_key(reference, boxes))
    place = ORDINALS.get(reference.split()[0], 0) if " from the " in reference else 0
    return order[min(place, len(order) - 1)]


def _key(reference: str, boxes: Sequence[Box]) -> Callable[[int], float]:
    if reference in SIZES:
        sign = -1 if reference == "largest" else 1
        return lambda i: sign * boxes[i].area
    if reference in CORNERS or reference == "centre":
        x, y = CORNERS.get(reference, (0.5, 0.5))
        return lambda i: (boxes[i].centre[0] - x) ** 2 + (boxes[i].centre[1] - y) ** 2
    axis, sign = _axis(reference)
    return lambda i: sign * boxes[i].centre[axis]


def _axis(reference: str) -> tuple[int, int]:
    return ENDS[reference] if reference in ENDS else FROM[reference.rsplit(" ", 1)[1]]


def clear(reference: str, boxes: Sequence[Box]) -> int | None:
    """Index of the flag that the reference names beyond doubt, or None."""
    if len(boxes) < 2:
        return None
    if reference in SIZES:
        return _clear_size(reference, boxes)
    if reference in CORNERS:
        return _clear_corner(reference, boxes)
    if reference == "centre":
        return _clear_centre(boxes)
    return _clear_place(reference, boxes)


def _clear_place(reference: str, boxes: Sequence[Box]) -> int | None:
    axis, sign = _axis(reference)
    place = ORDINALS.get(reference.split()[0], 0) if " from the " in reference else 0
    if len(boxes) < place + 2:
        return None
    order = sorted(range(len(boxes)), key=lambda i: sign * boxes[i].centre[axis])
    for i, j in pairwise(order[: place + 2]):
        near, far = (axis, axis + 2) if sign > 0 else (axis + 2, axis)
        gaps = (
            sign * (boxes[j].centre[axis] - boxes[i].centre[axis]) - END_MARGIN,
            min(sign * (boxes[k][near] - boxes[i][near]) for k in order[order.index(j) :]) - EDGE_MARGIN,
            min(sign * (boxes[k][far] - boxes[i][far]) for k in order[order.index(j) :]) - EDGE_MARGIN,
        )
        if min(gaps) < 0:
            return None
    return order[place]


def _clear_size(reference: str, boxes: Sequence[Box]) -> int | None:
    areas = sorted((box.area, i) for i, box in enumerate(boxes))
    if reference == "largest":
        (second, _), (first, index) = areas[-2:]
        return index if first >= AREA_RATIO * second else None
    (first, index), (second, _) = areas[:2]
    return index if second >= AREA_RATIO * first else None


def _clear_corner(reference: str, boxes: Sequence[Box]) -> int | None:
    x, y = CORNERS[reference]
    away = [(abs(box.centre[0] - x), abs(box.centre[1] - y)) for box in boxes]
    inside = [i for i, (dx, dy) in enumerate(away) if dx < 0.55 and dy < 0.55]
    if len(inside) != 1 or max(away[inside[0]]) > 0.4:
        return None
    return inside[0]


def _clear_centre(boxes: Sequence[Box]) -> int | None:
    away = [max(abs(box.centre[0] - 0.5), abs(box.centre[1] - 0.5)) for box in boxes]
    inside = [i for i, gap in enumerate(away) if gap < 0.25]
    return inside[0] if len(inside) == 1 and away[inside[0]] < 0.12 else None


def clear_references(boxes: Sequence[Box]) -> list[tuple[str, int]]:
    """Every reference that is clear for these flags, with the index of its flag."""
    candidates = ((reference, clear(reference, boxes)) for reference in REFERENCES)
    return [(reference, index) for reference, index in candidates if index is not None]
