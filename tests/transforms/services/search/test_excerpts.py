"""Excerpts: the passage around what was asked for, from the beginning of a sentence, within its room."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.services.search.excerpts import excerpt, passages, sentences, words

TEXT = [
    f"Sentence {n} is of {thing}."
    for n, thing in enumerate(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"])
]


def test_neighbours_fill_the_room_from_both_sides() -> None:
    assert excerpt(TEXT, {"delta": 1.0}, 90) == " ".join(TEXT[2:5])
    assert excerpt(TEXT, {"alpha": 1.0}, 90) == " ".join(TEXT[:3])
    assert excerpt(TEXT, {"theta": 1.0}, 90) == " ".join(TEXT[5:])
    assert excerpt(TEXT, {"delta": 1.0}, 5000) == " ".join(TEXT)


def test_a_short_excerpt_is_one_passage_and_a_long_one_several() -> None:
    far = ["Alpha is first.", *["Nothing is said here about anything at all."] * 60, "Omega is last."]
    weights = {"alpha": 2.0, "omega": 1.0}
    assert "…" not in excerpt(far, weights, 320)
    assert excerpt(far, weights, 320).startswith("Alpha is first. Nothing")
    long = excerpt(far, weights, 1000)
    assert long.startswith("Alpha is first.")
    assert long.endswith("Omega is last.")
    assert long.count("…") == 1


def test_a_passage_does_not_begin_with_the_rest_of_a_sentence() -> None:
    text = ["Cars are many.", "Binaries are stripped by calling", "strip --all", "on each of them.", "They are small."]
    assert excerpt(text, {"each": 1.0}, 80).startswith("Binaries are stripped by calling strip --all on each of them.")


def test_a_sentence_that_is_too_long_is_cut_with_a_mark() -> None:
    long = "x" * 50 + " " + "word " * 300 + "needle " + "word " * 300
    kept = excerpt([long], {"needle": 1.0}, 200)
    assert kept.startswith("… word")
    assert "needle" in kept
    assert len(kept) <= 200
    assert excerpt([], {"a": 1.0}, 200) == ""


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("See e.g. Linux. It is free.", 2),
        ("Dr. Smith of St. Paul met J. Doe. They spoke.", 2),
        ("Wrapped\nlines are lines", 2),
        ("東京は首都です。人口は多い。", 2),
        ("It costs 3.50 Euro, i.e. Much! Really?", 2),
    ],
)
def test_sentences(text: str, count: int) -> None:
    assert len(sentences(text)) == count


@given(st.lists(st.text(min_size=1, max_size=60).filter(str.strip), max_size=30), st.integers(20, 1500))
def test_an_excerpt_fits_and_is_of_the_text(text: list[str], limit: int) -> None:
    kept = excerpt(text, dict.fromkeys(words(" ".join(text))[:5], 1.0), limit)
    assert len(kept) <= limit
    assert kept or not text


@pytest.mark.parametrize("part", ["a\n", "A. ", " ", "x", ". ", "a b "])
def test_no_text_of_100_kb_costs_much(part: str) -> None:
    text = part * (100_000 // len(part))
    begun = time.process_time()
    excerpt(sentences(text), {"a": 1.0, "b": 2.0}, 1000)
    assert time.process_time() - begun < 1


@given(st.text(max_size=2000), st.integers(20, 200))
def test_passages_keep_every_word(text: str, size: int) -> None:
    parts = list(passages(text, size))
    assert all(part.strip() for part in parts)
    assert "".join("".join(part.split()) for part in parts) == "".join(text.split())


def test_words_fold() -> None:
    assert words("Côte d’Ivoire’s N'Djamena, São_Tomé 41,284!") == [
        "cote",
        "divoires",
        "ndjamena",
        "sao",
        "tome",
        "41",
        "284",
    ]


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_plain_letters_are_folded_as_all_others(text: str) -> None:
    assert [*words(text), "e"] == words(f"{text} é")
