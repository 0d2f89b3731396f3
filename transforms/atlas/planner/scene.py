"""Which of the things in a picture a reference means."""

from collections.abc import Sequence

from gog.schemas import Box
from gog.schemas.boxes import intersection, iou
from gog.transforms.atlas.planner.eyes import Sight, Spot
from gog.transforms.atlas.planner.reading import Reference


def candidates(sight: Sight, hints: Sequence[Box]) -> list[Spot]:
    """What may be a flag: spots of a flag's shape, and hinted boxes of that shape that no such spot covers.

    Without any, everything that stands out is a candidate.
    """
    spots = [spot for spot in sight.spots if spot.like_flag]
    for box in hints:
        shape = (box.x2 - box.x1) * sight.width / max(1e-6, (box.y2 - box.y1) * sight.height)
        if 1.1 < shape < 1.75 and box.x2 - box.x1 > 0.06 and not any(_same(box, s.box) for s in sight.spots):
            spots.append(Spot.unseen(box, shape))
    spots = _without_parts(spots)
    if spots:
        return spots
    rest = [Spot.unseen(box, 1.0) for box in hints if not any(_same(box, s.box) for s in sight.spots)]
    return [*(spot for spot in sight.spots if spot.box.area > 0.002), *rest]


def _same(a: Box, b: Box) -> bool:
    return iou(a, b) > 0.4


def _without_parts(spots: Sequence[Spot]) -> list[Spot]:
    """Spots that do not lie within a larger one."""
    return [
        spot
        for spot in spots
        if not any(
            other.box.area > spot.box.area and intersection(spot.box, other.box) > 0.8 * spot.box.area
            for other in spots
        )
    ]


def ranked(spots: Sequence[Spot], reference: Reference) -> list[Spot]:
    """The spots, the one that the reference means first, then those that could be mistaken for it."""
    if reference.order:
        ordered = sorted(spots, key=lambda s: _along(s, reference.order))
        if not ordered:
            return []
        at = min(reference.rank, len(ordered)) - 1
        near = sorted(range(len(ordered)), key=lambda i: (abs(i - at), i))
        return [ordered[i] for i in near]
    if reference.whole:
        return sorted(spots, key=lambda s: (-s.box.area * s.clear, s.box))
    return sorted(spots, key=lambda s: (_misfit(s.box, reference), s.box))


def _along(spot: Spot, order: str) -> tuple[float, Box]:
    x, y = spot.box.centre
    key = {"left": x, "right": -x, "top": y, "bottom": -y, "large": -spot.box.area, "small": spot.box.area}[order]
    return key, spot.box


def _misfit(box: Box, reference: Reference) -> float:
    gaps = [(c - p) ** 2 for c, p in zip(box.centre, reference.point, strict=True) if p is not None]
    return sum(gaps)


def covers(box: Box, spot: Box) -> bool:
    """Whether a gaze at `box` was a gaze at the spot."""
    return iou(box, spot) > 0.35 or intersection(box, spot) > 0.7 * min(box.area, spot.area) > 0.3 * max(
        box.area, spot.area
    )
