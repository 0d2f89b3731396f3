import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Outcome
from gog.transforms.verify.dates import PartialDate, compare_dates, parse_dates

FORMS = [
    *("%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%A, %d %B %Y", "%d %b %Y", "%b %d %Y", "+%Y-%m-%dT00:00:00Z", "%Y/%m/%d"),
    "%Y年%m月%d日",
]


@given(st.dates(datetime.date(1000, 1, 1), datetime.date(2100, 1, 1)), st.sampled_from(FORMS))
def test_every_writing_of_a_date_is_read(date: datetime.date, form: str) -> None:
    assert parse_dates(date.strftime(form)) == (PartialDate(date.year, date.month, date.day),)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("12th of March, 2020", PartialDate(2020, 3, 12)),
        ("March 2020", PartialDate(2020, 3)),
        ("in 1994.", PartialDate(1994)),
        ("the year 1994", PartialDate(1994)),
        ("44 BC", PartialDate(-44)),
        ("AD 79", PartialDate(79)),
        ("sept 5", PartialDate(None, 9, 5)),
        ("2020-03", PartialDate(2020, 3)),
    ],
)
def test_part_of_a_date_is_read_as_far_as_it_goes(text: str, date: PartialDate) -> None:
    assert parse_dates(text) == (date,)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1990s", "31 Feb 2020", "2020-13-01", "2019 or 2020", "Mayor", "0", "1914-1918", "soon", "1914–1918"),
        *("x" * 1000, "March 12, 2020 or so"),
    ],
)
def test_what_is_no_single_date_is_not_read(text: str) -> None:
    assert parse_dates(text) == ()


def test_a_date_that_can_be_read_two_ways_keeps_both() -> None:
    assert parse_dates("03/04/2020") == (PartialDate(2020, 3, 4), PartialDate(2020, 4, 3))
    assert parse_dates("25/04/2020") == (PartialDate(2020, 4, 25),)


def test_a_year_of_two_digits_may_be_of_any_century() -> None:
    readings = parse_dates("5 May 98")
    assert PartialDate(1998, 5, 5) in readings
    assert PartialDate(98, 5, 5) in readings
    assert len({date.year for date in readings}) == 21
    assert parse_dates("5 May 98 AD") == (PartialDate(98, 5, 5),)


@given(st.text(max_size=80))
def test_any_text_is_read_or_not_without_trouble(text: str) -> None:
    assert len(parse_dates(text)) <= 21


def test_a_year_accepts_its_dates_and_a_date_only_itself() -> None:
    day, year = PartialDate(2020, 3, 12), PartialDate(2020)
    assert compare_dates(day, year) is Outcome.CORRECT
    assert compare_dates(year, day) is Outcome.UNKNOWN
    assert compare_dates(PartialDate(2019), day) is Outcome.WRONG
    assert compare_dates(PartialDate(2020, 4), day) is Outcome.WRONG
    assert compare_dates(day, day) is Outcome.CORRECT
