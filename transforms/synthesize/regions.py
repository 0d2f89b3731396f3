"""Regions: what the sources proposed, merged into a few boxes worth a gaze."""

import math
from collections.abc import Mapping, Sequence

from gog.schemas import Box, BoxError, Region, content_id
from gog.schemas.boxes import iou
from gog.transforms.duplicates.hashes import hamming
from gog.transforms.services.protocols import Detection

MAX_LABEL = 200


def merge_regions(
    seed_id: str,
    detections: Mapping[str, Sequence[Detection]],
    *,
    iou_limit: float = 0.5,
    limit: int = 8,
    min_side: float = 0.02,
    max_area: float = 0.9,
    on_image: int = 0,
) -> tuple[Region, ...]:
    """Non-maximum suppression over all sources (id to its detections) together: at most `limit` regions, best first.

    They are of one picture, that of the question whose number is `on_image`.

    A detection overlapping a better one by more than `iou_limit` is dropped, and so is one whose side is under
    `min_side` or whose area is over `max_area` of the image (that is the glance's), and one that is no box or has no
    finite score. Ties go by source, then box, then label, so that the order of the input does not matter.
    """
    ranked = sorted(
        (-detection.score, source, detection.box, detection.label[:MAX_LABEL])
        for source, found in detections.items()
        for detection in found
        if _sound(detection, min_side, max_area)
    )
    kept: list[Region] = []
    for score, source, box, label in ranked:
        if len(kept) >= limit:
            break
        if any(iou(box, region.box) > iou_limit for region in kept):
            continue
        identity = [seed_id, list(box), label, source]
        kept.append(
            Region(
                region_id=content_id("region", [*identity, on_image] if on_image else identity),
                seed_id=seed_id,
                box=box,
                on_image=on_image,
                label=label,
                score=-score,
                source=source,
            )
        )
    return tuple(kept)


def _sound(detection: Detection, min_side: float, max_area: float) -> bool:
    try:
        box = Box.checked(*detection.box)
    except BoxError:
        return False
    side = min(box.x2 - box.x1, box.y2 - box.y1)
    return math.isfinite(detection.score) and side >= min_side and box.area <= max_area


def drop_twins(regions: Sequence[Region], hashes: Mapping[str, str | int], *, distance: int = 4) -> tuple[Region, ...]:
    """The regions without near-identical crops: of two whose hashes differ by at most `distance` bits, the better.

    `hashes` holds the 64-bit perceptual hash (16 hex digits, or a number) of each region's crop by region id; a
    region without one stays. The order of the input is kept; equal scores go by region id.
    """
    kept: dict[str, int] = {}
    dropped = set()
    for region in sorted(regions, key=lambda region: (-region.score, region.region_id)):
        value = hashes.get(region.region_id)
        if value is None:
            continue
        bits = int(value, 16) if isinstance(value, str) else value
        if any(hamming(bits, other) <= distance for other in kept.values()):
            dropped.add(region.region_id)
        else:
            kept[region.region_id] = bits
    return tuple(region for region in regions if region.region_id not in dropped)
