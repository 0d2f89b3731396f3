"""What hostile text of 100 kB costs: no rule of answers takes more than 50 ms of it; the search for leaks is linear."""

import time
from collections.abc import Callable

import pytest
from verifying import Turn, make_seed, make_trajectory

from gog.schemas import AnswerType
from gog.transforms.episode.reflection import reflection_of
from gog.transforms.verify.leaks import leaks
from gog.transforms.verify.rules import check
from gog.transforms.verify.suspicions import suspicions

SIZE = 100_000
SHAPES = [
    *("1", "1,", "1.", "-", "*", '"', "'", "( ", "1 ", "a b ", "one ", "and ", "$", "1/", "^2", "″", "1e9", "“"),
    *("é", "\u0301", "百万", "二十", "zwei ", "evidence: ", "region ", "[1, 2, "),
]


def of_rules(text: str) -> None:
    for kind in AnswerType:
        for answer in (text, text[:1000], text[:300]):
            check(answer, make_seed("12 km", text[:500], kind=kind))


def of_leaks(text: str) -> None:
    trajectory, seed = make_trajectory([Turn(text, "gaze"), Turn("Kenya")]), make_seed("Kenya", "United Kingdom")
    leaks(trajectory, seed)
    suspicions(trajectory, seed)


@pytest.mark.parametrize("look", [of_rules, reflection_of], ids=lambda look: look.__name__)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_of_text_costs_much(shape: str, look: Callable[[str], object]) -> None:
    text = (shape * (SIZE // len(shape) + 1))[:SIZE]
    calls = 12 if look is of_rules else 1
    assert seconds(look, text) < 0.05 * calls


@pytest.mark.parametrize("shape", SHAPES)
def test_the_search_for_leaks_is_linear(shape: str) -> None:
    text = (shape * (SIZE // len(shape) + 1))[:SIZE]
    assert seconds(of_leaks, text) < 10 * seconds(of_leaks, text[: SIZE // 4]) + 0.5


def seconds(look: Callable[[str], object], text: str) -> float:
    began = time.process_time()
    look(text)
    return time.process_time() - began
