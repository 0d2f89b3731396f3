"""The focus of a plan is known by the entity, by the judge or by a title that is the answer; else there is none."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fakes import MemoryImages, ScriptedPolicy, Told, hit, said, seed_of, services

from gog.schemas import Box, Evidence, FailureClass, Hit, Region
from gog.transforms.services.protocols import ServiceError
from gog.transforms.synthesize.focus import find_focus, parse_look, place_words
from gog.transforms.synthesize.look import Looked
from gog.transforms.verify.grounding import leading, literal

TOP_LEFT, TOP_RIGHT, BOTTOM = Box(0.0, 0.0, 0.4, 0.4), Box(0.6, 0.0, 1.0, 0.4), Box(0.1, 0.6, 0.9, 1.0)
UNSURE = "searches may have found 'Kenya', none of them clearly"


def look(box: Box | None, *hits: Hit, entity: str | None = "Kenya") -> Looked:
    """A search of a place that found so much."""
    region = None if box is None else Region(region_id=str(box), seed_id="s", box=box, score=0.5, source="d")
    evidence = Evidence(evidence_id=str(box), tool="gaze" if box else "image_search", hits=hits, provider="p")
    titled = entity is not None and literal([entity], "\n".join(one.title for one in leading(hits)))
    return Looked(region, evidence, titled, titled, False)


def find(folder: Path, looked: list[Looked], judge: list[Told] | None = None, **seed: Any) -> tuple[Looked | None, str]:
    """The focus among the searches, and what the judge was asked."""
    policy = ScriptedPolicy(judge or [], id="judge:1")
    with services(folder, judge=policy) as (door, images):
        assert isinstance(images, MemoryImages)
        focus, why = asyncio.run(find_focus(door, seed_of(images, **seed), looked))
    return focus, (policy.requests[0].messages[0].text if focus is not None and policy.requests else why)


SURE = look(TOP_RIGHT, hit("Flag of Kenya", score=0.9), hit("Flag of Malawi", score=0.6))
OTHER = look(TOP_LEFT, hit("Flag of Malawi", score=0.95))


def test_the_entity_in_a_title_is_the_focus_whatever_scores_better(tmp_path: Path) -> None:
    assert find(tmp_path, [look(None), OTHER, SURE]) == (SURE, "")


def test_a_snippet_that_mentions_the_entity_is_no_focus(tmp_path: Path) -> None:
    near = look(TOP_LEFT, hit("Flag of Malawi", "A neighbour of Kenya's neighbour.", score=0.95))
    assert find(tmp_path, [near]) == (None, "no search named 'Kenya' in the title of a leading hit")


@pytest.mark.parametrize(
    "rival",
    [
        look(TOP_LEFT, hit("Kenya", score=0.85)),
        look(TOP_LEFT, hit("Kenya", score=0.93), hit("Malawi", score=0.9)),
        look(Box(0.1, 0.1, 0.15, 0.3), hit("Kenya", score=0.99)),
    ],
    ids=["as good", "look-alike", "tiny"],
)
def test_several_places_that_may_be_it_are_for_the_judge(tmp_path: Path, rival: Looked) -> None:
    looked = [SURE, rival]
    assert find(tmp_path / "1", looked, [said("no idea")]) == (None, f"2 {UNSURE}")
    focus, asked = find(tmp_path / "2", looked, [said('{"look": 1}')])
    assert focus is SURE
    assert "1. top right (60 to 100% from the left, 0 to 40% from the top): Flag of Kenya" in asked


def test_two_crops_of_one_place_are_one(tmp_path: Path) -> None:
    closer = look(Box(0.65, 0.05, 0.95, 0.4), hit("Kenya", score=0.88))
    assert find(tmp_path, [closer, SURE, look(None, hit("Kenya", score=0.3))]) == (SURE, "")


def test_without_an_entity_the_judge_says_which(tmp_path: Path) -> None:
    looked = [look(None, hit("A wall", score=0.4), entity=None), OTHER, look(BOTTOM), SURE]
    focus, asked = find(tmp_path, looked, [said('```json\n{"look": 3}\n```')], entity=None)
    assert focus is SURE
    assert "1. the whole image: A wall" in asked
    assert "bottom" not in asked.partition("---")[2]


def test_a_search_that_found_nothing_clear_is_no_focus_though_the_judge_names_it(tmp_path: Path) -> None:
    blurred = look(TOP_LEFT, hit("Malawi", score=0.14), hit("Kenya", score=0.13), entity=None)
    why = find(tmp_path, [blurred], [said('{"look": 1}')], entity=None)
    assert why == (None, "the search that the judge named found nothing that stands out")


def test_a_judge_that_saw_none_is_believed(tmp_path: Path) -> None:
    looked = [look(TOP_LEFT, hit("Nairobi", score=0.9))]
    found = find(tmp_path, looked, [said('{"look": null}')], entity=None)
    assert found == (None, "the judge saw none that looked at what is asked about")


@pytest.mark.parametrize("told", [said("I cannot help with that."), ServiceError(FailureClass.BAD_REQUEST, "no")])
def test_where_the_judge_cannot_say_a_title_that_is_the_answer_does(tmp_path: Path, told: Told) -> None:
    answered = look(TOP_LEFT, hit("Nairobi - Wikipedia", score=0.9))
    other = look(TOP_RIGHT, hit("Things to do in Nairobi", score=0.9))
    assert find(tmp_path / "1", [other, answered], [told], entity=None)[0] is answered
    twice = [answered, look(BOTTOM, hit("Nairobi", score=0.95))]
    focus, why = find(tmp_path / "2", twice, [told], entity=None)
    assert focus is None
    assert "give the seeds an `entity`" in why


def test_nothing_found_is_no_focus_and_no_call(tmp_path: Path) -> None:
    assert find(tmp_path, [look(None), look(TOP_LEFT)], entity=None) == (None, "no search found anything")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ('{"look": 2}', 2),
        ('{"look": "2"}', 2),
        ('<think>{"look": 1}</think>It is {"look": 3}.', 3),
        ('{"look": null}', 0),
        ('{"look": 0}', None),
        ('{"look": 4}', None),
        ('{"look": true}', None),
        ('{"look": 1.0}', None),
        ('{"verdict": "correct"}', None),
        ('{"look": 1} or {"look": 2}', None),
        ("2", None),
        ("[" * 100_000, None),
        ("{" * 100_000 + "}", None),
        ("", None),
    ],
)
def test_only_a_number_of_a_search_is_read(text: str, number: int | None) -> None:
    assert parse_look(text, 3) == number


@pytest.mark.parametrize(
    ("box", "words"),
    [(None, "the whole image"), (Box(0.4, 0.4, 0.6, 0.6), "centre ("), (Box(0.4, 0.7, 0.6, 0.9), "bottom centre (")],
)
def test_places_in_words(box: Box | None, words: str) -> None:
    assert place_words(box).startswith(words)
