"""Questions as the planner understands them, and which thing in a picture they mean."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Box
from gog.transforms.atlas.facts import by_code
from gog.transforms.atlas.planner.eyes import Spot
from gog.transforms.atlas.planner.reading import Want, read
from gog.transforms.atlas.planner.scene import candidates, covers, ranked
from gog.transforms.atlas.questions import ATTRIBUTES, ask_count, ask_fact, ask_name
from gog.transforms.atlas.references import REFERENCES, guess


@pytest.mark.parametrize("reference", REFERENCES)
def test_every_reference_of_the_world_picks_the_box_that_it_means(reference: str) -> None:
    for number in range(30):
        rng = random.Random(number)
        boxes = []
        for _ in range(rng.randint(3, 6)):
            x, y, w = rng.uniform(0, 0.8), rng.uniform(0, 0.8), rng.uniform(0.05, 0.2)
            boxes.append(Box(x, y, x + w, y + w))
        question = read(ask_name(rng, reference, by_code()["KEN"]).question)
        assert question.want is Want.NAME
        spots = [Spot.unseen(box, 1.3) for box in boxes]
        assert ranked(spots, question.reference)[0].box == boxes[guess(reference, boxes)], question.text
        assert len(ranked(spots, question.reference)) == len(spots)


@pytest.mark.parametrize("fact", [*ATTRIBUTES, "landlocked"])
@pytest.mark.parametrize("reference", ["", "largest", "second from the top", "top left"])
def test_every_fact_of_the_world(fact: str, reference: str) -> None:
    for number in range(4):
        question = read(ask_fact(random.Random(number), reference, by_code()["KEN"], fact).question)
        assert (question.want, question.fact) == (Want.FACT, fact)
        assert question.reference.whole is (reference == "")


def test_counts() -> None:
    assert {read(ask_count(random.Random(n), 3).question).want for n in range(20)} == {Want.COUNT}


@pytest.mark.parametrize(
    "text", ["", "Who is the man on the left?", "¿Qué es esto?", "How many people died?", "flagship of the fleet"]
)
def test_other_questions_are_not_pretended_to_be_understood(text: str) -> None:
    assert read(text).want is Want.OTHER


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert read(text).want in Want
    assert read(f"the flag {text}").reference.said


def test_hints_of_a_flags_shape_are_candidates_where_the_eyes_saw_nothing() -> None:
    from gog.transforms.atlas.planner.eyes import Sight

    seen = Spot(Box(0.1, 0.1, 0.3, 0.3), 1.33, 0.9, 90.0, 0.0, ())
    sight = Sight(1024, 768, (seen,), ())
    hints = [Box(0.1, 0.1, 0.3, 0.31), Box(0.6, 0.6, 0.8, 0.8), Box(0.0, 0.9, 1.0, 0.95)]
    assert [spot.box for spot in candidates(sight, hints)] == [seen.box, hints[1]]


@given(st.floats(0.02, 0.3), st.floats(0.0, 0.5), st.floats(0.0, 0.5))
def test_a_gaze_covers_itself_and_not_what_lies_apart(side: float, x: float, y: float) -> None:
    box = Box(x, y, x + side, y + side)
    assert covers(box, box)
    assert not covers(box, Box(0.85, 0.85, 0.95, 0.95))
