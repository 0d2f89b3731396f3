"""What a list is asked for comes from a URL, and goes into one unchanged."""

import re
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.pipelines.show.web.filters import FACETS, REVIEWS, SORTS, Filter, FilterError


def filters() -> st.SearchStrategy[dict[str, str]]:
    """Queries that a page of ours could send."""
    words = {facet.name: st.text(max_size=12) | st.just("-") for facet in FACETS}
    words |= {"q": st.text(max_size=12), "seed": st.text(max_size=12), "page": st.text(max_size=3)}
    words |= {"review": st.sampled_from(["", *REVIEWS]), "sort": st.sampled_from(["", *SORTS])}
    words |= {"down": st.sampled_from(["", "1"]), "sample": st.sampled_from(["", "1", "200"])}
    return st.fixed_dictionaries({}, optional=words)


queries = filters()


@given(queries)
def test_a_filter_survives_its_own_address(query: dict[str, str]) -> None:
    wanted = Filter.of(query)
    assert Filter.of(dict(parse_qsl(wanted.query().removeprefix("?"), keep_blank_values=True))) == wanted


@given(queries)
def test_what_is_asked_for_is_never_part_of_the_sql(query: dict[str, str]) -> None:
    where, values = Filter.of(query).where("ana")
    assert where.count("?") == len(values)
    known = {facet.name for facet in FACETS} | {facet.name + "s" for facet in FACETS}
    known |= {"true", "AND", "OR", "NOT", "contains", "words", "starts_with", "l", "r", "trajectory_id", "seed_id"}
    known |= {"IN", "SELECT", "place", "FROM", "listed", "WHERE", "ORDER", "BY", "dice", "LIMIT", "1", "200"}
    known |= {"coalesce", "list_contains", "deciders", "false", "state", "unreviewed", "len", "0"}
    assert set(re.findall(r"\w+", where)) <= known


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"sort": "1; DROP TABLE listed"}, "sort is one of seed"),
        ({"review": "x"}, "review is one of todo"),
        ({"colour": "red"}, "nothing to filter by called 'colour'"),
        ({"sample": "many"}, "sample is a number"),
        ({"sample": "0"}, "sample is a number"),
        ({"sample": "000000000000001"}, "sample is a number"),
    ],
)
def test_what_is_unknown_is_refused(query: dict[str, str], words: str) -> None:
    with pytest.raises(FilterError, match=words):
        Filter.of(query)


def test_a_text_is_cut() -> None:
    assert Filter.of({"q": "x" * 9999}).text == "x" * 200
