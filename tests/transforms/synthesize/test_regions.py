import math
import random

from hypothesis import given
from hypothesis import strategies as st
from strategies import boxes

from gog.schemas import WHOLE, Box, Region
from gog.schemas.boxes import iou
from gog.transforms.services.protocols import Detection
from gog.transforms.synthesize.regions import drop_twins, merge_regions

detections = st.builds(
    Detection,
    boxes(),
    st.sampled_from(["flag", "logo", ""]),
    st.sampled_from([0.1, 0.5, 0.9]) | st.floats(allow_nan=True, allow_infinity=True),
)
sources = st.dictionaries(st.sampled_from(["segments", "teacher", "yolo"]), st.lists(detections, max_size=12))


@given(sources, st.randoms(use_true_random=False))
def test_regions_do_not_overlap_come_best_first_and_do_not_depend_on_order(
    found: dict[str, list[Detection]], order: random.Random
) -> None:
    regions = merge_regions("seed-1", found, limit=5)
    assert len(regions) <= 5
    assert [region.score for region in regions] == sorted((region.score for region in regions), reverse=True)
    for number, region in enumerate(regions):
        assert math.isfinite(region.score)
        assert all(iou(region.box, other.box) <= 0.5 for other in regions[:number])
    shuffled = {name: order.sample(found[name], len(found[name])) for name in sorted(found, reverse=True)}
    assert merge_regions("seed-1", shuffled, limit=5) == regions


@given(sources)
def test_every_sound_detection_is_kept_or_overlaps_a_better_one(found: dict[str, list[Detection]]) -> None:
    regions = merge_regions("seed-1", found, limit=1000, min_side=0, max_area=1)
    for source in found.values():
        for detection in source:
            if math.isfinite(detection.score):
                assert any(
                    region.score >= detection.score
                    and (region.box == detection.box or iou(region.box, detection.box) > 0.5)
                    for region in regions
                )


def test_the_better_score_wins_over_sources() -> None:
    box, near = Box(0.1, 0.1, 0.3, 0.3), Box(0.1, 0.1, 0.31, 0.3)
    regions = merge_regions("s", {"a": [Detection(box, "x", 0.4)], "b": [Detection(near, "y", 0.6)]})
    assert [(region.source, region.label, region.box) for region in regions] == [("b", "y", near)]


def test_what_is_no_region_is_left_out() -> None:
    bad = [
        Detection(Box(0.5, 0.5, 0.5, 0.9), "no area", 1.0),
        Detection(Box(-0.5, 0.0, 0.5, 0.9), "outside", 1.0),
        Detection(Box(0.0, 0.0, math.nan, 0.9), "nan", 1.0),
        Detection(Box(0.1, 0.1, 0.11, 0.9), "thin", 1.0),
        Detection(WHOLE, "everything", 1.0),
        Detection(Box(0.1, 0.1, 0.3, 0.3), "no score", math.nan),
    ]
    assert merge_regions("s", {"a": bad}) == ()
    assert merge_regions("s", {}) == ()
    assert merge_regions("s", {"a": [Detection(Box(0.1, 0.1, 0.3, 0.3), "x", 1.0)]}, limit=0) == ()


def test_ids_tell_seeds_and_boxes_apart_and_stay() -> None:
    found = {"a": [Detection(Box(0.1, 0.1, 0.3, 0.3), "x", 0.4), Detection(Box(0.5, 0.5, 0.8, 0.8), "x", 0.4)]}
    ids = [region.region_id for seed in ("s", "t") for region in merge_regions(seed, found)]
    assert len(set(ids)) == 4
    assert merge_regions("s", found) == merge_regions("s", found)


def _region(name: str, score: float) -> Region:
    return Region(region_id=name, seed_id="s", box=Box(0.1, 0.1, 0.2, 0.2), score=score, source="a")


def test_of_twins_the_better_stays_in_its_place() -> None:
    regions = (_region("low", 0.2), _region("high", 0.9), _region("other", 0.1), _region("unhashed", 0.1))
    hashes = {"low": "000000000000000f", "high": "0000000000000000", "other": "ffffffffffffffff"}
    assert [region.region_id for region in drop_twins(regions, hashes)] == ["high", "other", "unhashed"]
    assert drop_twins(regions, hashes, distance=3) == regions
    assert drop_twins(regions, {name: int(value, 16) for name, value in hashes.items()}) == drop_twins(regions, hashes)


def test_equal_twins_go_by_id() -> None:
    regions = (_region("b", 0.5), _region("a", 0.5))
    assert [region.region_id for region in drop_twins(regions, {"a": 7, "b": 7})] == ["a"]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=12))
def test_no_twins_are_left_and_none_is_dropped_for_nothing(values: list[int]) -> None:
    regions = tuple(_region(f"r{number}", number / 100) for number in range(len(values)))
    hashes = {region.region_id: value for region, value in zip(regions, values, strict=True)}
    kept = {region.region_id for region in drop_twins(regions, hashes, distance=16)}
    for region in regions:
        twins = {other for other in kept if (hashes[other] ^ hashes[region.region_id]).bit_count() <= 16}
        assert twins
        assert region.region_id not in kept or twins == {region.region_id}
