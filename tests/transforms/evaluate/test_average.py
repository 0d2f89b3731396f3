"""The average over benchmarks, and what the paper's are made of."""

import pytest
from scoring import make_score

from gog.transforms.evaluate.average import average
from gog.transforms.evaluate.protocols.scores import Grade, Score
from gog.transforms.evaluate.published import published


def scores(right: int, wrong: int, unknown: int = 0) -> list[Score]:
    grades = [Grade.CORRECT] * right + [Grade.INCORRECT] * wrong + [Grade.UNKNOWN] * unknown
    return [make_score(number, grade) for number, grade in enumerate(grades)]


def test_each_benchmark_counts_the_same_whatever_its_size() -> None:
    found = average({"fvqa": scores(900, 100), "dynvqa": scores(1, 9, unknown=5)})
    assert found.value == pytest.approx(0.5)
    assert found.benchmarks == ("dynvqa", "fvqa")
    assert found.low is not None
    assert found.high is not None
    assert 0.35 < found.low < 0.5 < found.high < 0.65
    # Half of the small one's interval (0 to 0.3), the large one's hardly counts.
    assert 0.12 < found.high - found.low < 0.22


def test_equal_scores_have_equal_intervals_in_any_order() -> None:
    one = {"fvqa": scores(5, 5), "dynvqa": scores(3, 7)}
    other = {"dynvqa": scores(3, 7)[::-1], "fvqa": scores(5, 5)[::-1]}
    assert average(one) == average(other)


def test_a_benchmark_that_nobody_settled_has_no_average() -> None:
    assert average({"fvqa": scores(5, 5), "dynvqa": scores(0, 0, unknown=3)}).value is None
    assert average({}).value is None


def test_the_papers_averages_are_the_means_of_its_rows() -> None:
    printed = [20.31, 23.84, 30.68, 22.31, 41.70, 44.36, 46.99, 36.91, 43.28, 50.17, 53.22, 56.88]
    names = list(published()[0].accuracy)
    assert len(names) == 6
    assert len({(row.model, row.paradigm) for row in published()}) == len(published())
    for row, mean in zip(published(), printed, strict=True):
        # One row of the paper does not add up: what it prints is 0.66 more than the mean of its six numbers.
        odd = (row.model, row.paradigm) == ("Qwen3-VL-8B-Thinking", "full-search")
        assert row.average(names) == pytest.approx(mean - 0.66 * odd, abs=0.011), row
        assert row.average(["fvqa"]) == row.accuracy["fvqa"]
        assert row.average([*names, "atlas"]) is None
