"""Replies made into hits: any JSON, bounded texts, failures by class."""

import re
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values
from websites import failure, run, site

from gog.schemas import FailureClass, Hit
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.search.results import SNIPPET, TITLE, URL, Names, ask, found_in, hits_in, shortened

NAMES = Names(url="link", title="title", snippet="snippet", score="score", thumbnail="image.src")

strings = st.text(max_size=50) | st.sampled_from(
    ["https://a.example/", "http://b.example/x", "javascript:alert(1)", ""]
)
rows = st.fixed_dictionaries(
    {},
    optional={
        "link": strings | json_values,
        "title": strings | json_values,
        "snippet": strings | json_values,
        "score": st.floats() | st.integers() | json_values,
        "image": st.fixed_dictionaries({"src": strings | json_values}) | json_values,
    },
)


@given(st.lists(rows | json_values, max_size=8), st.integers(0, 10))
def test_any_rows_are_hits(given_rows: list[Any], top_k: int) -> None:
    found = found_in(given_rows, NAMES, top_k)
    assert len(found) <= top_k
    assert [one.hit.rank for one in found] == list(range(1, len(found) + 1))
    assert len({one.hit.url for one in found}) == len(found)
    for one in found:
        assert one.hit.url.startswith(("http://", "https://"))
        assert (one.hit.title + one.hit.snippet + one.hit.url).isprintable()
        assert one.hit.score is None or 0 <= one.hit.score <= 1
        assert Hit.model_validate_json(one.hit.model_dump_json()) == one.hit


@given(json_values.filter(lambda value: not isinstance(value, list)))
def test_no_list_is_malformed(value: Any) -> None:
    with pytest.raises(ServiceError) as caught:
        hits_in(value, NAMES, 5)
    assert caught.value.failure is FailureClass.MALFORMED


def test_texts_are_bounded_and_plain() -> None:
    row = {
        "link": " https://a.example/\u202e ",
        "title": "<strong>Chad</strong> &amp; Niger\x00\n&lt;b&gt;" + "x" * 1_000_000,
        "snippet": "a<br/>b\u200bc " + "y " * 1_000_000,
        "score": 0.5,
        "image": {"src": "https://t.example/1.jpg"},
    }
    (found,) = found_in([row], NAMES, 5)
    assert found.hit.url == "https://a.example/"
    assert found.hit.title.startswith("Chad & Niger <b>x")
    assert (len(found.hit.title), len(found.hit.snippet)) == (TITLE, SNIPPET)
    assert found.hit.score == 0.5
    assert found.thumbnail == "https://t.example/1.jpg"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "ftp://a/", "//a.example/", "", 7, None, "https://" + "a" * URL]
)
def test_rows_without_a_web_address_are_left_out(url: object) -> None:
    kept = {"link": "https://a.example/", "title": "kept"}
    assert [h.title for h in hits_in([{"link": url, "title": "x"}, kept, kept], NAMES, 5)] == ["kept"]
    assert hits_in([{"link": url}, kept], NAMES, 5)[0].rank == 1


@pytest.mark.parametrize(
    "score", [True, float("nan"), float("inf"), -0.1, 1.1, 10**400, "0.5", None, [1]], ids=lambda score: str(score)[:8]
)
def test_what_is_no_score(score: object) -> None:
    assert hits_in([{"link": "https://a.example/", "score": score}], NAMES, 5)[0].score is None


def test_queries_are_shortened_to_what_a_provider_takes() -> None:
    assert shortened(" what\nis\x00 it ", 100, 10) == "what is it"
    assert shortened("a b c d", 100, 2) == "a b"
    assert len(shortened("word " * 1000, 400, 1000)) <= 400


async def refused(status: int, body: str, spent: str) -> None:
    async with site({"/": web.Response(status=status, text=body)}) as base:
        await ask("GET", base, spent=re.compile(spent), secrets=("planted",))


def test_a_used_up_account_is_no_bad_request() -> None:
    error = failure(refused(400, '{"message":"Not enough credits for planted"}', "enough credits"))
    assert error.failure is FailureClass.AUTH
    assert not error.failure.permanent
    assert "planted" not in error.detail
    assert failure(refused(400, "bad query", "enough credits")).failure is FailureClass.BAD_REQUEST


@pytest.mark.parametrize("body", ["[]", "null", "7", '"x"', "<html>", ""])
def test_replies_that_are_no_object(body: str) -> None:
    async def go() -> None:
        async with site({"/": web.Response(text=body)}) as base:
            await ask("GET", base, spent=re.compile("(?!)"))

    assert failure(go()).failure is FailureClass.MALFORMED


def test_an_object_is_given_back() -> None:
    async def go() -> Any:
        async with site({"/": web.Response(text='{"a": [1]}')}) as base:
            return await ask("GET", base, spent=re.compile("(?!)"))

    assert run(go()) == {"a": [1]}
