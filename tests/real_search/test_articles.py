"""What an encoder that was trained finds beside words, through indexes that `gog index build` made."""

from dataclasses import dataclass

import pytest
from real_search.articles import HELD_OUT, NAMED, articles, questions, written
from real_search.asking import Places, among, index_build, of_articles
from real_search.environment import HOME, TEXT_ENCODERS

pytestmark = [pytest.mark.search, pytest.mark.timeout(7200)]


@dataclass(frozen=True)
class Expected:
    """At least so many among the first five, some less than were counted when this was written."""

    unnamed: int
    """Of 294."""
    named: int
    """Of 300."""


EXPECTED = {"": Expected(200, 294), "E5-small-v2": Expected(250, 296)}


@pytest.fixture(scope="session", params=sorted(EXPECTED), ids=["words", "encoder"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Places, Expected]:
    """By words alone, and with an encoder beside them."""
    pages, folder = articles(HOME), tmp_path_factory.mktemp("articles")
    chosen = ("--text-encoder", TEXT_ENCODERS[request.param]) if request.param else ()
    index = index_build(folder / "index", "--texts", written(pages, folder / "articles.jsonl"), *chosen)
    return of_articles(index, questions(HOME, pages)), EXPECTED[request.param]


def test_without_its_name_an_article_is_among_the_first_five(found: tuple[Places, Expected]) -> None:
    places, expected = found[0][HELD_OUT], found[1].unnamed
    assert len(places) == 294
    assert among(places, 5) >= expected


def test_by_its_name_an_article_is_still_found(found: tuple[Places, Expected]) -> None:
    places, expected = found[0][NAMED], found[1].named
    assert len(places) == 300
    assert among(places, 5) >= expected
