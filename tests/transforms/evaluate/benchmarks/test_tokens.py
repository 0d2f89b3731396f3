"""The protocols that count tokens: MMSearch's F1 and DynVQA's recall."""

import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import make_item

from gog.transforms.evaluate.benchmarks import dynvqa, mmsearch
from gog.transforms.evaluate.protocols.scores import Grade, ProtocolError
from gog.transforms.evaluate.protocols.text import squad, token_f1
from gog.transforms.evaluate.protocols.treebank import words


def f1(prediction: str, *answers: str) -> float | None:
    return mmsearch.score(make_item(*answers, benchmark="mmsearch"), prediction).value


def recall(prediction: str, *answers: str) -> float | None:
    return dynvqa.score(make_item(*answers, benchmark="dynvqa"), prediction).value


def test_squad_normalisation() -> None:
    assert squad("  The Quick, brown FOX! ") == "quick brown fox"
    assert squad("A theatre; an ANT's") == "theatre ants"
    assert squad("the, a. AN!") == ""


def test_f1_of_tokens() -> None:
    assert f1("Lionel Messi", "Lionel Messi") == 1
    # 2 of 4 said, 2 of 2 wanted.
    assert f1("It was Lionel Messi", "Lionel Messi") == pytest.approx(2 / 3)
    # A token counts as often as both have it: 1 of 2 said, 1 of 1 wanted.
    assert f1("four four", "four") == pytest.approx(2 / 3)
    assert f1("Kenya", "Uganda") == 0
    assert f1("", "Uganda") == 0


def test_f1_takes_the_best_accepted_answer() -> None:
    assert f1("July 4, 2024", "4 July", "July 4 2024") == 1


def test_token_scores_carry_a_grade() -> None:
    item = make_item("Lionel Messi", benchmark="mmsearch", category="news")
    grades = [mmsearch.score(item, said).grade for said in ("Messi, Lionel", "Messi", "Pelé")]
    assert grades == [Grade.CORRECT, Grade.PARTIAL, Grade.INCORRECT]
    assert mmsearch.score(item, "x").groups == ("news",)


@given(st.text(), st.text())
def test_f1_is_symmetric_and_within_bounds(one: str, other: str) -> None:
    assert token_f1(one, other) == pytest.approx(token_f1(other, one))
    assert 0 <= token_f1(one, other) <= 1
    assert token_f1(one, one) == 1


def test_recall_of_tokens() -> None:
    assert recall("Lionel Messi", "Lionel Messi") == 1
    assert recall("It was Messi", "Lionel Messi") == 0.5
    assert recall("Kenya", "Lionel Messi") == 0
    assert recall("", "Lionel Messi") == 0
    assert recall("Kenya and Uganda", "Tanzania", "Uganda") == 1


def test_recall_has_no_precision() -> None:
    assert recall("Messi Pelé Maradona Zidane", "Messi") == 1


@pytest.mark.parametrize(
    ("prediction", "normal"),
    [
        ("The two cats", "2 cats"),
        ("none of an apple", "0 of apple"),
        ("dont", "don't"),
        ("yalld've couldntve", "yalld've couldntve"),
        ("y'alld've couldn'tve twas", "y'all'd've couldn't've 'twas"),
        ("U.S. is 3.5", "us is 3.5"),
        ("well-known (really)", "well known really"),
        ("well-known - really", "wellknown really"),
        ("1,000 well-known", "1000 wellknown"),
        ("a\nb\tc", "b c"),
    ],
)
def test_predictions_are_normalised_as_the_vqa_evaluation_does(prediction: str, normal: str) -> None:
    assert dynvqa.normalised(prediction) == normal


def test_at_most_32_full_stops_go() -> None:
    assert dynvqa.normalised(". x" * 40).count(".") == 8


def test_only_the_prediction_is_normalised() -> None:
    """As published: the very same text is not a whole match, for the answer keeps its full stop."""
    assert recall("St. Louis", "St. Louis") == 0.5
    assert recall("3", "three") == 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("they don't cannot", ["they", "do", "n't", "can", "not"]),
        ("the dog's $3.88 (or 3,36)", ["the", "dog", "'s", "$", "3.88", "(", "or", "3,36", ")"]),
        ('we\'re "here" u.s.', ["we", "'re", "``", "here", "''", "u.s", "."]),
        ("'twas '90s -- wanna go", ["'", "twas", "'", "90s", "--", "wan", "na", "go"]),
        ("a...b, c; d", ["a", "...", "b", ",", "c", ";", "d"]),
        ("new york. it", ["new", "york.", "it"]),
        ("", []),
    ],
)
def test_words_are_the_treebanks(text: str, wanted: list[str]) -> None:
    assert words(text) == wanted


@given(st.text())
def test_words_hold_no_space(text: str) -> None:
    assert all(word and not any(char.isspace() for char in word) for word in words(text))


def test_items_without_english_answers_are_a_group() -> None:
    item = make_item("没有", benchmark="dynvqa", flags=("chinese_answers_only",))
    assert dynvqa.score(item, "none").groups == ("chinese_answers_only",)


@pytest.fixture
def fresh_cutter() -> object:
    dynvqa._jieba.cache_clear()
    yield
    dynvqa._jieba.cache_clear()


@pytest.mark.usefixtures("fresh_cutter")
def test_chinese_is_cut_by_jieba(monkeypatch: pytest.MonkeyPatch) -> None:
    cutter = types.ModuleType("jieba")
    monkeypatch.setattr(cutter, "cut", lambda text: [text[:2], text[2:4], *text[4:]], raising=False)
    monkeypatch.setattr(cutter, "setLogLevel", lambda level: None, raising=False)
    monkeypatch.setitem(sys.modules, "jieba", cutter)
    item = make_item("北京大学。", benchmark="dynvqa", language="zh")
    assert dynvqa.score(item, "北京大学").value == 1
    assert dynvqa.score(item, "北京天安").value == 0.5


@pytest.mark.usefixtures("fresh_cutter")
def test_chinese_without_jieba_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jieba", None)
    item = make_item("北京", benchmark="dynvqa", language="zh")
    with pytest.raises(ProtocolError, match="pip install jieba"):
        dynvqa.score(item, "北京")
