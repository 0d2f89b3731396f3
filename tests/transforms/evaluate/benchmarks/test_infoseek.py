"""InfoSeek's scorer, by what its paper and script say."""

import pytest
from scoring import make_item, make_number

from gog.schemas import AnswerType
from gog.transforms.evaluate.benchmarks.infoseek import numbers, score
from gog.transforms.evaluate.protocols.scores import Grade, ProtocolError


def right(item: object, prediction: str) -> bool:
    return score(item, prediction).grade is Grade.CORRECT  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prediction", "correct"),
    [
        ("Baikal", True),
        ("the  baikal.", True),
        ("Lake Baikal", True),
        ("BAIKAL (lake)", False),
        ("", False),
        ("Lake", False),
    ],
)
def test_names_match_exactly_after_normalisation(prediction: str, correct: bool) -> None:
    assert right(make_item("Lake Baikal", "Baikal", benchmark="infoseek"), prediction) is correct


def test_a_time_is_right_by_its_accepted_answers_alone() -> None:
    item = make_item("1935", "1934", "1936", benchmark="infoseek", answer_type=AnswerType.DATE)
    assert right(item, "1936")
    assert not right(item, "1937")
    assert not right(item, "in 1936")


@pytest.mark.parametrize(
    ("prediction", "correct"),
    [
        ("10", True),
        ("10 km", True),
        ("9", True),
        ("11", True),
        ("11.01", False),
        ("9-10", True),
        ("9 - 10.5 km", True),
        ("about 9.5, or 10", True),
        ("1.0e1", True),
        ("ten", False),
        ("", False),
        ("-10", False),
    ],
)
def test_a_number_is_right_inside_the_range(prediction: str, correct: bool) -> None:
    assert right(make_number(9.0, 11.0, "10"), prediction) is correct


@pytest.mark.parametrize(
    ("prediction", "correct"),
    [("8-12", True), ("7-11", True), ("6-11", False), ("0-100", False), ("11-15", False)],
)
def test_a_range_is_right_from_half_overlap_on(prediction: str, correct: bool) -> None:
    """Of 9 to 11: 8-12 overlaps in 2 of 4, 7-11 in 2 of 4, 6-11 in 2 of 5."""
    assert right(make_number(9.0, 11.0, "10"), prediction) is correct


def test_thousands_and_falling_ranges_are_read_as_the_script_reads_them() -> None:
    assert numbers("1,234,567 people") == 1_234_567
    assert numbers("20-10") == 20
    assert numbers("from 10 to 20 to 30") == (10, 20)
    assert numbers("3²-4") == (3, 4)
    assert numbers(".5") == 5
    assert numbers("-.5") == -0.5
    assert numbers("nothing") == (0, 0)


def test_an_answer_without_a_number_counts_as_zero() -> None:
    assert right(make_number(-1.0, 1.0, "0"), "no idea")
    assert not right(make_number(1.0, 2.0, "1"), "no idea")


def test_a_single_accepted_number_has_ten_percent_to_both_sides() -> None:
    item = make_number(None, None, "-50")
    assert right(item, "-45")
    assert right(item, "-55")
    assert not right(item, "-44")


def test_a_numerical_item_without_a_number_is_an_error_that_names_it() -> None:
    with pytest.raises(ProtocolError, match="item-0"):
        score(make_number(None, None, "many"), "3")


def test_groups_are_the_unseen_split_and_the_type() -> None:
    assert score(make_item(benchmark="infoseek", unseen="entity"), "x").groups == ("unseen_entity", "string")
    assert score(make_number(1, 2, "1"), "x").groups == ("numerical",)
