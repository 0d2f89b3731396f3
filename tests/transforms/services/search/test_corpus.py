"""The corpus: the right page first, a snippet that says it, scores between 0 and 1."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gog.schemas import FailureClass, Hit
from gog.transforms.atlas.facts import countries
from gog.transforms.atlas.questions import ATTRIBUTES, ask_fact, facts_of
from gog.transforms.atlas.world import atlas_world
from gog.transforms.services.protocols import ServiceError, TextSearch
from gog.transforms.services.search.corpus import SNIPPET, Corpus, build_corpus
from gog.transforms.services.search.excerpts import query_words
from gog.transforms.services.search.index_folder import IndexFolderError

PAGES = [
    ("https://a", "Bread", "Bread is baked in an oven.\n\nThe oldest bread is 14,000 years old."),
    ("https://b", "Ovens", "An oven is hot. Dr. Smith owns one. It bakes bread."),
    ("https://c", "Café", "Crème brûlée is served at the café in Łódź."),
    ("https://d", "東京", "東京は日本の首都です。人口は多い。"),
]


def find(corpus: TextSearch, query: str, k: int = 5) -> tuple[Hit, ...]:
    return asyncio.run(corpus.search(query, k))


@pytest.fixture(scope="session")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.open(atlas_world(tmp_path_factory.mktemp("cache")) / "corpus")


@pytest.fixture
def small(tmp_path: Path) -> Corpus:
    assert build_corpus(PAGES, tmp_path / "c").pages == 4
    return Corpus.open(tmp_path / "c")


def test_round_trip(small: Corpus) -> None:
    hits = find(small, "How old is the oldest bread?")
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert (hits[0].url, hits[0].title) == ("https://a", "Bread")
    assert "14,000 years" in hits[0].snippet
    assert [hit.score for hit in hits] == sorted((hit.score or 0 for hit in hits), reverse=True)
    assert small.id.startswith("corpus:c@")


@pytest.mark.parametrize("query", ["creme brulee", "CRÈME BRÛLÉE", "lodz", "Łódź cafe"])
def test_accents_and_case_do_not_matter(small: Corpus, query: str) -> None:
    assert find(small, query)[0].url == "https://c"


def test_scripts_without_spaces(small: Corpus) -> None:
    assert find(small, "日本の首都")[0].url == "https://d"


@pytest.mark.parametrize("query", ["", "   ", "?!…", "\x00\ud800", "zzzz", "the of is", "<tool_call>"])
def test_odd_queries_find_nothing(small: Corpus, query: str) -> None:
    assert all(hit.score is not None and 0 < hit.score <= 1 for hit in find(small, query))


def test_a_query_of_common_words_alone_still_searches(small: Corpus) -> None:
    assert query_words("what is it") == ["what", "is", "it"]
    assert find(small, "is an")[0].score is not None


def test_unknown_words_lower_the_score(small: Corpus) -> None:
    known, strange = find(small, "oldest bread")[0], find(small, "oldest bread of Xanadu and Shangrila")[0]
    assert known.url == strange.url
    assert (known.score or 0) > (strange.score or 0) > 0


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.integers(-2, 300))
def test_no_query_breaks_it(atlas: Corpus, query: str, k: int) -> None:
    hits = find(atlas, query, k)
    assert len(hits) <= max(0, k)
    assert len({hit.url for hit in hits}) == len(hits)
    assert all(hit.score is not None and 0 < hit.score <= 1 and len(hit.snippet) <= SNIPPET for hit in hits)


def test_enormous_queries(atlas: Corpus) -> None:
    assert find(atlas, "Kenya " * 200_000, 1)[0].title == "Kenya"


def test_every_fact_that_is_asked_is_found(atlas: Corpus) -> None:
    import random

    rng = random.Random(0)
    for country in countries():
        for fact in facts_of(country):
            if fact == "landlocked":
                hit = find(atlas, f"Is {country.name} landlocked?", 1)[0]
                assert ("is not landlocked" in hit.snippet) != country.landlocked
            else:
                hit = find(atlas, f"{ATTRIBUTES[fact]} of {country.name}", 1)[0]
                answers = ask_fact(rng, "", country, fact).answers
                assert any(answer in hit.snippet for answer in answers), (country.name, fact, hit.snippet)
            assert hit.url == country.page


def test_an_alias_finds_the_country(atlas: Corpus) -> None:
    for alias, title in (("Cote d'Ivoire", "Ivory Coast"), ("Turkey", "Türkiye"), ("Swaziland", "Eswatini")):
        assert find(atlas, f"capital of {alias}")[0].title == title


def test_the_id_names_what_is_in_it(tmp_path: Path) -> None:
    ids = []
    for folder, pages in (("a", PAGES), ("b", PAGES), ("c", PAGES[:2])):
        build_corpus(pages, tmp_path / folder, name="same")
        ids.append(Corpus.open(tmp_path / folder).id)
    assert ids[0] == ids[1] != ids[2]


def test_bad_pages_are_left_out_and_reported(tmp_path: Path) -> None:
    given_pages = [
        ("https://a", "A", "word " * 400_000),
        ("", "B", "words"),
        ("https://c", "", "!!!"),
        ("https://d", "Title", ""),
    ]
    report = build_corpus([*given_pages, ("https://e", "E", "bad \ud800 text\x00")], tmp_path / "c")
    assert report.pages == 3
    assert report.skipped == (("page 1", "no address"), ("https://c", "no words"))
    assert find(Corpus.open(tmp_path / "c"), "title")[0].url == "https://d"


def test_an_empty_corpus_finds_nothing(tmp_path: Path) -> None:
    assert build_corpus([], tmp_path / "c").passages == 0
    assert find(Corpus.open(tmp_path / "c"), "anything") == ()


def test_folders_that_are_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(IndexFolderError, match="gog index build"):
        Corpus.open(tmp_path / "none")
    build_corpus(PAGES, tmp_path / "c")
    np.save(tmp_path / "c" / "rows.npy", np.zeros((1, 2), np.int64))
    with pytest.raises(IndexFolderError, match="damaged"):
        Corpus.open(tmp_path / "c")


def test_damaged_passages_fail_with_their_class(tmp_path: Path) -> None:
    build_corpus(PAGES, tmp_path / "c")
    corpus = Corpus.open(tmp_path / "c")
    text = tmp_path / "c" / "passages.jsonl"
    text.write_bytes(b"x" * text.stat().st_size)
    with pytest.raises(ServiceError) as error:
        find(corpus, "bread")
    assert error.value.failure is FailureClass.SERVER


def test_long_pages_are_cut_into_passages_and_found_once(tmp_path: Path) -> None:
    filler = "\n\n".join(f"Paragraph {n} is about nothing much at all." for n in range(200))
    build_corpus([("https://long", "Long", f"{filler}\n\nThe treasure is under the oak.\n\n{filler}")], tmp_path / "c")
    corpus = Corpus.open(tmp_path / "c")
    assert len(corpus) > 5
    (hit,) = find(corpus, "where is the treasure paragraph")
    assert "under the oak" in hit.snippet


def test_a_snippet_shows_what_stands_beside_the_sentence_that_was_asked_for(tmp_path: Path) -> None:
    text = "Cats sleep. The old tower is tall. It was finished in 1894. Visitors pay nothing. " + "Dogs bark. " * 60
    build_corpus([("https://t", "Sights", text)], tmp_path / "c")
    (hit,) = find(Corpus.open(tmp_path / "c"), "tower")
    assert hit.snippet.startswith("Cats sleep. The old tower is tall. It was finished in 1894. Visitors pay nothing.")
    assert SNIPPET - 20 < len(hit.snippet) <= SNIPPET


def test_no_pickle_in_the_folder(tmp_path: Path) -> None:
    build_corpus(PAGES, tmp_path / "c")
    assert sorted(path.suffix for path in (tmp_path / "c").iterdir()) == [".json", ".json", ".jsonl", *[".npy"] * 7]
    assert json.loads((tmp_path / "c" / "index.json").read_text())["kind"] == "corpus"
