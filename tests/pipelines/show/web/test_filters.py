"""What a list is asked for comes from a URL, and goes into one unchanged."""

import re
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from gog.pipelines.show.web.filters import FACETS, REVIEWS, SORTS, Filter

NAMES = ["q", "review", "seed", "sort", "down", "page", "nonsense", *(facet.name for facet in FACETS)]
queries = st.dictionaries(st.sampled_from(NAMES), st.text(max_size=12) | st.sampled_from([*REVIEWS, *SORTS, "1", "-"]))


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
    known |= {"coalesce", "list_contains", "deciders", "false", "state", "unreviewed", "len", "0"}
    assert set(re.findall(r"\w+", where)) <= known


def test_unknown_keys_and_values_are_as_if_they_were_not() -> None:
    assert Filter.of({"sort": "1; DROP TABLE listed", "review": "x", "colour": "red"}) == Filter()
    assert Filter.of({"q": "x" * 9999}).text == "x" * 200


def test_a_column_sorts_down_when_it_is_chosen_again() -> None:
    once = Filter.of({"sort": "turns", "q": "flag"})
    assert once.sorted_by("turns") == "?q=flag&sort=turns&down=1"
    assert Filter.of({"sort": "turns", "down": "1"}).sorted_by("turns") == "?sort=turns"
    assert once.sorted_by("seed") == "?q=flag"
