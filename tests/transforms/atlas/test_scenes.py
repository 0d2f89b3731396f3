"""Scenes: exact boxes, clear references, determinism, and what each kind promises."""

import io
from itertools import combinations, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gog.schemas import Box, Seed
from gog.schemas.boxes import iou, pixel_rect
from gog.transforms.atlas.facts import by_code, flag, partitions
from gog.transforms.atlas.questions import facts_of
from gog.transforms.atlas.references import clear, guess
from gog.transforms.atlas.rows import AtlasRow, atlas_row, atlas_rows
from gog.transforms.atlas.scenes import KINDS, Kind, Scene, compose_scene

SEVERAL: tuple[Kind, ...] = ("gaze", "hop", "trap")
scenes = st.builds(compose_scene, st.sampled_from(KINDS), st.integers(0, 10**9), st.integers(0, 10**9))
some = settings(max_examples=25, deadline=None)


def difference(scene: Scene, code: str, box: Box) -> float:
    """Mean difference (0 to 255) of a flag and what the scene shows in a box, brightness set aside."""
    crop = scene.image.crop(pixel_rect(box, *scene.image.size)).resize((8, 6), Image.Resampling.BOX)
    seen = np.asarray(crop, np.float32)
    known = np.asarray(flag(code).resize((8, 6), Image.Resampling.BOX), np.float32)
    gain = (seen * known).sum() / (known * known).sum()
    return float(np.abs(seen - gain * known).mean())


@some
@given(scenes)
def test_boxes_hold_the_flags_they_say(scene: Scene) -> None:
    width, height = scene.image.size
    for code, box in scene.boxes:
        assert Box.checked(*box) == box
        exact = difference(scene, code, box)
        assert exact < 40
        x, y = 0.12 * (box.x2 - box.x1), 0.12 * (box.y2 - box.y1)
        moved = Box(box.x1 - x, box.y1 - y, box.x2 - x, box.y2 - y)
        if moved.x1 > 0 and moved.y1 > 0:
            assert difference(scene, code, moved) > exact
    assert min(width, height) >= 768
    assert scene.image.mode == "RGB"


@some
@given(scenes)
def test_nothing_overlaps(scene: Scene) -> None:
    placed = [box for _, box in scene.boxes] + list(scene.decoys)
    assert all(iou(a, b) == 0 for a, b in combinations(placed, 2))


@some
@given(scenes)
def test_one_partition_a_scene_and_no_twins_in_it(scene: Scene) -> None:
    shown = [by_code()[code] for code, _ in scene.boxes]
    assert {country.partition for country in shown} == {scene.partition}
    assert scene.partition in partitions()
    codes = {country.code for country in shown}
    assert len(codes) == len(shown)
    assert not any(codes & set(country.twins) for country in shown)


@settings(max_examples=60, deadline=None)
@given(st.builds(compose_scene, st.sampled_from(SEVERAL), st.integers(0, 10**9), st.integers(0, 10**9)))
def test_references_are_never_ambiguous(scene: Scene) -> None:
    boxes = [box for _, box in scene.boxes]
    assert 3 <= len(boxes) <= 6
    assert clear(scene.reference, boxes) == scene.target_index
    assert scene.target_index is not None
    target = by_code()[scene.boxes[scene.target_index][0]]
    assert (scene.entity, scene.gold_page) == (target.name, f"atlas://country/{target.code}")
    if scene.fact:
        assert scene.fact in facts_of(target)
    else:
        assert scene.answers[0] == target.name


def test_counts_count_flags_and_not_decoys() -> None:
    found = [compose_scene("direct", 4, index) for index in range(25)]
    assert any(scene.decoys for scene in found)
    assert len({scene.answers for scene in found}) > 3
    for scene in found:
        assert scene.answers[0] == str(len(scene.boxes))
        assert (scene.entity, scene.target_index, scene.reference) == (None, None, "")


def test_a_glance_fills_the_picture() -> None:
    for index in range(10):
        scene = compose_scene("glance", 4, index)
        (_, box), *others = scene.boxes
        assert not others
        assert box.area > 0.35


def test_small_flags_are_small() -> None:
    for kind in SEVERAL:
        for index in range(8):
            scene = compose_scene(kind, 4, index)
            widths = [(box.x2 - box.x1) * scene.image.width for _, box in scene.boxes]
            assert all(85 <= width <= 250 for width in widths)


def test_hops_ask_for_facts() -> None:
    facts = {compose_scene("hop", 4, index).fact for index in range(40)}
    assert "" not in facts
    assert {"capital", "currency", "language", "subregion"} <= facts


def test_traps_mislead() -> None:
    found = [compose_scene("trap", 4, index) for index in range(30)]
    misled = 0
    for scene in found:
        (code, target), (other, near) = scene.boxes[:2]
        assert scene.target_index == 0
        assert other in by_code()[code].lookalikes
        assert near.area > target.area
        boxes = [box for _, box in scene.boxes]
        misled += bool(scene.decoys) and guess(scene.reference, [*boxes, scene.decoys[0]]) == len(boxes)
    assert 15 <= misled < 30


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_is_decided_by_seed_and_index_alone(kind: Kind) -> None:
    one, other = compose_scene(kind, 7, 3), compose_scene(kind, 7, 3)
    assert one.image.tobytes() == other.image.tobytes()
    assert (one.asked, one.boxes, one.decoys) == (other.asked, other.boxes, other.decoys)
    assert compose_scene(kind, 7, 4).image.tobytes() != one.image.tobytes()
    assert compose_scene(kind, 8, 3).image.tobytes() != one.image.tobytes()


def test_held_out_scenes_come_from_held_out_partitions() -> None:
    found = {compose_scene(kind, 1, index, held_out=True).partition for kind in KINDS for index in range(4)}
    assert found == set(partitions(held_out=True))


def test_more_rows_do_not_change_earlier_ones() -> None:
    few, many = list(atlas_rows(3, 11)), list(atlas_rows(6, 11))
    assert few == many[:3]
    assert many[5] == atlas_row(11, 5)
    assert len({row.id for row in many}) == len({row.image for row in many}) == 6


def test_rows_are_lazy() -> None:
    assert len(list(islice(atlas_rows(10**9, 1), 2))) == 2


def test_the_mix_can_be_set() -> None:
    assert {row.category for row in atlas_rows(6, 2, kinds={"glance": 1, "direct": 0})} == {"glance"}
    assert {row.category for row in atlas_rows(40, 2)} == set(KINDS)


def seed_of(row: AtlasRow) -> Seed:
    with Image.open(io.BytesIO(row.image)) as image:
        width, height = image.size
        assert image.format == "JPEG"
    return Seed(
        seed_id=row.id,
        dataset="atlas",
        question=row.question,
        answers=row.answers,
        answer_type=row.answer_type,
        answer_unit=row.answer_unit,
        answer_low=row.answer_low,
        answer_high=row.answer_high,
        image_sha256="0" * 64,
        width=width,
        height=height,
        image_phash="0" * 16,
        entity=row.entity,
        gold_page=row.gold_page,
        category=row.category,
        licence=row.licence,
        source_url=row.source_url,
        split_hint=row.split_hint,
        extra=row.extra,
    )


def test_rows_fit_the_seed_record_and_keep_the_boxes_to_themselves() -> None:
    for row in atlas_rows(12, 5, held_out=True):
        seed = seed_of(row)
        assert set(seed.extra) == {"kind", "reference", "fact"}
        assert seed.split_hint in {"partition-8", "partition-9"}
        assert "held-out" in seed.seed_id
