import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Outcome
from gog.transforms.verify.numbers import compare, parse, within
from gog.transforms.verify.units import UNITS


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("12", 12, ""),
        ("about 12 flags", 12, "flags"),
        ("1,234,567.5", 1234567.5, ""),
        ("12,34,567", 1234567, ""),
        ("1.234.567,5", 1234567.5, ""),
        ("1 234 567", 1234567, ""),
        ("1'234'567", 1234567, ""),
        ("3,5", 3.5, ""),
        ("1.2 million", 1_200_000, ""),
        ("$1.2 million", 1_200_000, "$"),
        ("US$ 5 billion", 5e9, "$"),
        ("€ 1.234,50", 1234.5, "€"),
        ("5k", 5000, ""),
        ("3万", 30_000, ""),
        ("1.2e6", 1_200_000, ""),
        ("1.2 × 10⁶ km", 1_200_000, "km"),
        ("−5 °C", -5, "°c"),
        ("100 km²", 100, "km2"),
        ("12 square kilometres", 12, "km2"),
        ("60 km/h", 60, "km/h"),
        ("60 kilometres per hour", 60, "km/h"),
        ("45 per cent", 45, "percent"),
        ("twelve", 12, ""),
        ("a dozen", 12, ""),
        ("twelve (12)", 12, ""),
        ("½", 0.5, ""),
        ("3/4", 0.75, ""),
        ("none", 0, ""),
        ("٣٤", 34, ""),
        ("共12个", 12, "个"),
        ("007", 7, ""),
    ],
)
def test_one_number_is_read(text: str, value: float, unit: str) -> None:
    found = parse(text)
    assert found is not None
    assert found.low == found.high == pytest.approx(value)
    assert found.unit == unit


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("10-12", 10, 12),
        ("10–12 km", 10, 12),
        ("10 to 12 km", 10, 12),
        ("between 10 and 12", 10, 12),
        ("-3 to -1", -3, -1),
    ],
)
def test_a_range_is_read(text: str, low: float, high: float) -> None:
    found = parse(text)
    assert found is not None
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "many",
            "12 or 13",
            "5 and 6",
            "not 12",
            "more than 12",
            "up to 12",
            "12 or so, maybe 13",
            "1,2,3",
            "1.2.3",
        ),
        *(
            "12:30",
            "2020-03-12",
            "the 1990s",
            "covid19",
            "3½",
            "12±1",
            "1e999",
            "9" * 5000,
            "1/0",
            "the one on the left",
        ),
        *("!!!", "𝔘𝔫𝔨", "3 red, 4 blue, 5 green", "it could be any number of things that I cannot see here but 12"),
    ],
)
def test_what_is_no_single_number_is_not_read(text: str) -> None:
    assert parse(text) is None


@given(st.text(max_size=400))
def test_any_text_is_read_or_not_without_trouble(text: str) -> None:
    found = parse(text)
    assert found is None or (math.isfinite(found.low) and found.low <= found.high)


@given(st.text(alphabet="0123456789.,-–/ e×^km%$", max_size=60))
def test_any_mess_of_digits_is_read_or_not_without_trouble(text: str) -> None:
    found = parse(text)
    assert found is None or (math.isfinite(found.low) and found.low <= found.high)


@given(st.integers(-(10**12), 10**12))
def test_whole_numbers_are_equal_to_themselves_in_any_writing(value: int) -> None:
    plain, grouped = parse(str(value)), parse(f"{value:,}")
    assert plain is not None
    assert grouped is not None
    assert compare(grouped, plain) is Outcome.CORRECT


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_of_two_years_or_counts_only_the_same_is_right(one: int, other: int) -> None:
    said, gold = parse(str(one)), parse(str(other))
    assert said is not None
    assert gold is not None
    if one == other:
        assert compare(said, gold) is Outcome.CORRECT
    elif max(one, other) < 1000 or (one % 10 and other % 10):
        assert compare(said, gold) is Outcome.WRONG
    else:
        assert compare(said, gold) is not Outcome.CORRECT or abs(one - other) <= 0.005 * max(one, other)


@pytest.mark.parametrize(
    ("said", "gold", "outcome"),
    [
        ("8,849 m", "8848.86 m", Outcome.CORRECT),
        ("29,032 ft", "8848.86 m", Outcome.CORRECT),
        ("8.849 km", "8848.86 m", Outcome.CORRECT),
        ("8.9 km", "8848.86 m", Outcome.WRONG),
        ("9 km", "8848.86 m", Outcome.UNKNOWN),
        ("8.8 km", "8848.86 m", Outcome.UNKNOWN),
        ("1.2 million", "1234567", Outcome.UNKNOWN),
        ("1.23 million", "1234567", Outcome.CORRECT),
        ("1,230,000", "1234567", Outcome.CORRECT),
        ("1.3 million", "1234567", Outcome.WRONG),
        ("10", "12", Outcome.WRONG),
        ("1995", "1994", Outcome.WRONG),
        ("212 °F", "100 °C", Outcome.CORRECT),
        ("45", "45%", Outcome.CORRECT),
        ("0.45", "45%", Outcome.WRONG),
        ("$5 million", "5 million dollars", Outcome.CORRECT),
        ("5 kg", "5 m", Outcome.UNKNOWN),
        ("12 rooms", "12 floors", Outcome.UNKNOWN),
        ("12 m", "12 floors", Outcome.UNKNOWN),
        ("12th", "12", Outcome.UNKNOWN),
        ("13th", "12", Outcome.WRONG),
        ("4/5", "4", Outcome.UNKNOWN),
        ("0.333", "1/3", Outcome.CORRECT),
        ("12-14", "13", Outcome.UNKNOWN),
        ("14-16", "13", Outcome.WRONG),
    ],
)
def test_equal_means_to_the_precision_that_is_written(said: str, gold: str, outcome: Outcome) -> None:
    answer, wanted = parse(said), parse(gold)
    assert answer is not None
    assert wanted is not None
    assert compare(answer, wanted) is outcome


@given(st.floats(-1e9, 1e9), st.floats(0, 1e6), st.floats(-1e9, 1e9))
def test_a_range_is_met_inside_and_missed_outside(low: float, width: float, value: float) -> None:
    said = parse(f"{value:.6f}")
    assert said is not None
    outcome = within(said, low, low + width)
    slack = 1e-8 * max(1.0, abs(low), abs(low + width))
    if low + slack <= said.low <= low + width - slack:
        assert outcome is Outcome.CORRECT
    if said.low < low - slack or said.low > low + width + slack:
        assert outcome is Outcome.WRONG


def test_every_unit_is_written_as_answers_are_folded() -> None:
    assert all(name == name.lower() and unit.factor > 0 for name, unit in UNITS.items())
