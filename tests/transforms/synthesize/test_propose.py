"""Proposing regions: sources that fail leave the others; what is no box is left out."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fakes import HALF_LEFT, HALF_RIGHT, FakeDetector, MemoryImages, ScriptedPolicy, Told, said, seed_of, services
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Box, FailureClass, FurtherImage
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.trajectory import images_of
from gog.transforms.services.protocols import Detection, ServiceError
from gog.transforms.synthesize.propose import Proposed, ProposeSettings, parse_regions, phrases_of, propose_regions

SETTINGS = EpisodeSettings()
SMALL = Box(0.1, 0.1, 0.3, 0.4)


def run(
    folder: Path, found: Any, *, told: Told | None = None, settings: ProposeSettings | None = None
) -> tuple[Proposed, ScriptedPolicy, FakeDetector | None]:
    """Propose regions of a seed."""
    policy = ScriptedPolicy([told] * 3 if told else [])
    detector = None if found is None else FakeDetector(found)
    settings = settings or ProposeSettings(teacher=told is not None, twin_distance=0)
    with services(folder, policy, detector=detector) as (world, images):
        made = asyncio.run(propose_regions(world, seed_of(images), settings, SETTINGS))
    return made, policy, detector


def listed(*boxes: Any) -> Told:
    """A teacher's list."""
    return said(json.dumps({"regions": [{"bbox_2d": box, "label": "flag", "score": 0.8} for box in boxes]}))


def test_regions_of_both_sources(tmp_path: Path) -> None:
    made, policy, detector = run(tmp_path, (Detection(HALF_LEFT, "left", 0.9),), told=listed([500, 0, 1000, 1000]))
    assert {(region.box, region.source) for region in made.regions} == {
        (HALF_LEFT, "fake-detector:1"),
        (HALF_RIGHT, "script:1"),
    }
    assert made.failed == ()
    assert detector is not None
    assert "flag" in detector.phrases[0]
    assert "nairobi" not in policy.heard.lower()
    assert "kenya" not in policy.heard.lower()


def test_regions_of_each_picture_of_a_question(tmp_path: Path) -> None:
    detector = FakeDetector((Detection(SMALL, "flag", 0.9),))
    with services(tmp_path, detector=detector) as (world, images):
        seed = seed_of(images)
        twice = FurtherImage(sha256=seed.image_sha256, width=40, height=30, phash=seed.image_phash)
        seed = seed.model_copy(update={"further_images": (twice,)})
        made = asyncio.run(propose_regions(world, seed, ProposeSettings(), SETTINGS))
    assert [(region.on_image, region.box) for region in made.regions] == [(0, SMALL), (1, SMALL)]
    assert len({region.region_id for region in made.regions}) == 2


def test_a_failing_source_leaves_the_other(tmp_path: Path) -> None:
    no = ServiceError(FailureClass.BAD_REQUEST, "no")
    made, _, _ = run(tmp_path / "a", no, told=listed([500, 0, 1000, 1000]))
    assert ([region.box for region in made.regions], made.failed) == ([HALF_RIGHT], ("fake-detector:1",))
    made, _, _ = run(tmp_path / "b", (Detection(HALF_LEFT, "", 0.9),), told=no)
    assert ([region.box for region in made.regions], made.failed) == ([HALF_LEFT], ("script:1",))
    made, _, _ = run(tmp_path / "c", no, told=no)
    assert (made.regions, made.failed) == ((), ("fake-detector:1", "script:1"))


def test_no_source_no_regions(tmp_path: Path) -> None:
    made, policy, _ = run(tmp_path, None)
    assert made == Proposed(())
    assert policy.requests == []


def test_no_more_than_the_limit_best_first(tmp_path: Path) -> None:
    many = tuple(Detection(Box(n / 10, 0, n / 10 + 0.09, 0.2 + n / 20), str(n), n / 10) for n in range(10))
    made, _, _ = run(tmp_path, many, settings=ProposeSettings(limit=3, twin_distance=0))
    assert [region.label for region in made.regions] == ["9", "8", "7"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "{",
        "}{",
        "{" * 100_000,
        '{"regions": ' + "[" * 100_000,
        '{"regions": 5}',
        '{"regions": [5, null, "x", [], {}]}',
        '{"regions": [{"bbox_2d": null}]}',
        '{"regions": [{"bbox_2d": [1, 2, 3]}]}',
        '{"regions": [{"bbox_2d": ["a", 2, 3, 4]}]}',
        '{"regions": [{"bbox_2d": [NaN, 0, 500, 500]}]}',
        '{"regions": [{"bbox_2d": [0, 0, ' + "9" * 400 + ", 500]}]}",
        '{"regions": [{"bbox_2d": [500, 0, 100, 500]}]}',
        '{"regions": [{"bbox_2d": [0, 0, 500, 500], "score": "high"}]}',
        '{"regions": [{"bbox_2d": [0, 0, 500, 500], "score": ' + "9" * 400 + "}]}",
        "[1, 2]",
    ],
)
def test_what_is_no_region_is_left_out(tmp_path: Path, text: str) -> None:
    with services(tmp_path) as (_, images):
        assert parse_regions(text, images_of(seed_of(images))[0], SETTINGS) == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"regions": [{"bbox_2d": [100, 100, 300, 400], "label": "x", "score": 2}]}',
        'Sure:\n```json\n{"regions": [{"bbox_2d": [100, 100, 300, 400], "label": "x", "score": 1}]}\n```',
        '<think>{"regions": []} or {</think>'
        '{"regions": [{"bbox_2d": [100, 100, 300, 400], "label": "x", "score": 1}, 7]}',
    ],
)
def test_regions_are_found_in_chatter(tmp_path: Path, text: str) -> None:
    with services(tmp_path) as (_, images):
        assert parse_regions(text, images_of(seed_of(images))[0], SETTINGS) == (Detection(SMALL, "x", 1.0),)


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.fixed_dictionaries({}, optional={"regions": inner, "bbox_2d": inner, "score": inner, "label": inner})
    ),
    max_leaves=12,
)


_REGION: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"bbox_2d": st.lists(st.integers(-10, 1010) | st.floats(-10, 1010), min_size=4, max_size=4) | _JSON},
    optional={"score": st.floats() | _JSON, "label": st.text() | _JSON},
)


@given(_JSON | st.lists(_REGION, max_size=5))
def test_any_reply_is_read(value: Any) -> None:
    for found in parse_regions(json.dumps({"regions": value}), images_of(seed_of(MemoryImages()))[0], SETTINGS):
        assert 0 <= found.score <= 1
        assert Box.checked(*found.box) == found.box
        found.label.encode()


@pytest.mark.parametrize(
    ("question", "phrases"),
    [
        ("What is the capital of the country of this flag?", ("capital", "country", "flag")),
        ("Is it?", ()),
        ("Flag, flag and FLAG", ("flag",)),
        ("", ()),
    ],
)
def test_phrases_are_the_words_with_content(question: str, phrases: tuple[str, ...]) -> None:
    assert phrases_of(question) == phrases
