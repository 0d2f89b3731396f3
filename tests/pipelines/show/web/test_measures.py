import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.pipelines.show.web.measures import Rate, difference
from gog.transforms.label.complexity import wilson


def test_a_rate_has_the_interval_of_its_seeds() -> None:
    rate = Rate.of(30, 120, seeds=40)
    assert (rate.part, rate.whole, rate.value) == (30, 120, 0.25)
    assert (rate.low, rate.high) == wilson(10, 40)
    alone = Rate.of(30, 120)
    assert (alone.low, alone.high) == wilson(30, 120)
    assert rate.low < alone.low < alone.high < rate.high


@pytest.mark.parametrize(("part", "whole"), [(0, 0), (3, 2), (-1, 2)])
def test_there_is_no_share_of_what_does_not_divide(part: int, whole: int) -> None:
    assert Rate.of(part, whole).value is None
    assert difference(Rate.of(part, whole), Rate.of(1, 2)) is None


def test_the_difference_is_newcombes() -> None:
    # Newcombe 1998, table II: 56 of 70 less 48 of 80 is 0.2, by method 10 from 0.0524 to 0.3339.
    by = difference(Rate.of(48, 80), Rate.of(56, 70))
    assert by
    assert by.value == pytest.approx(0.2)
    assert [by.low, by.high] == pytest.approx([0.0524, 0.3339], abs=1e-4)
    assert by.clear


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_a_difference_turns_with_its_sides(n: int, m: int, data: st.DataObject) -> None:
    one, two = Rate.of(data.draw(st.integers(0, n)), n), Rate.of(data.draw(st.integers(0, m)), m)
    by, back = difference(one, two), difference(two, one)
    assert by
    assert back
    assert by.low <= by.value <= by.high
    assert (back.value, back.low, back.high) == pytest.approx((-by.value, -by.high, -by.low))
    assert by.clear == back.clear
