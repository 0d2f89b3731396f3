"""What rules can do with a question is what `check` does with its answers."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verifying import make_seed

from gog.schemas import AnswerType, Outcome
from gog.transforms.verify.rules import check
from gog.transforms.verify.settles import Settles, settles

NUMBER, DATE, NAME, YES_NO = AnswerType.NUMBER, AnswerType.DATE, AnswerType.STRING, AnswerType.YES_NO


@pytest.mark.parametrize(
    ("answers", "kind", "wanted"),
    [
        (["5"], NUMBER, Settles.BOTH),
        (["8,849 m", "29,032 ft"], NUMBER, Settles.BOTH),
        (["47%"], NUMBER, Settles.BOTH),
        (["-40 °C"], NUMBER, Settles.BOTH),
        (["between 3 and 5 km"], NUMBER, Settles.BOTH),
        (["7777777777"], NUMBER, Settles.BOTH),
        (["about 300"], NUMBER, Settles.CONFIRMS),
        (["5 of the twelve"], NUMBER, Settles.CONFIRMS),
        (["5", "a handful"], NUMBER, Settles.CONFIRMS),
        (["12 May 1998"], DATE, Settles.BOTH),
        (["1 January 9999"], DATE, Settles.BOTH),
        (["5 May"], DATE, Settles.BOTH),
        (["1998"], DATE, Settles.BOTH),
        (["the spring after the war"], DATE, Settles.CONFIRMS),
        (["yes"], YES_NO, Settles.BOTH),
        (["いいえ"], YES_NO, Settles.BOTH),
        (["it depends"], YES_NO, Settles.CONFIRMS),
        (["yes", "no"], YES_NO, Settles.CONFIRMS),
        (["Kenya"], NAME, Settles.CONFIRMS),
        (["1998"], NAME, Settles.CONFIRMS),
        (["Kenya " * 300], NAME, Settles.NOTHING),
        (["x" * 1001, "5"], NUMBER, Settles.CONFIRMS),
    ],
)
def test_by_the_accepted_forms(answers: Sequence[str], kind: AnswerType, wanted: Settles) -> None:
    assert settles(make_seed(*answers, kind=kind)) is wanted


def test_a_range_of_the_source_is_read() -> None:
    assert settles(make_seed("about 5", kind=NUMBER, low=4, high=6)) is Settles.BOTH
    assert settles(make_seed("5", kind=NUMBER, unit="m", low=4, high=6)) is Settles.BOTH
    assert settles(make_seed("the sixties", kind=DATE, low=1960, high=1969)) is Settles.BOTH


WORDS = st.sampled_from(
    ["5", "12 km", "12.5 kg", "about 40", "1998", "5 May 1998", "yes", "no", "Kenya", "5 or 6", "?"]
)


@given(st.lists(WORDS | st.text(min_size=1, max_size=12), min_size=1, max_size=3), st.sampled_from(AnswerType), WORDS)
def test_nothing_is_settled_further_than_said(answers: list[str], kind: AnswerType, answer: str) -> None:
    gold = make_seed(*answers, kind=kind)
    outcome, can = check(answer, gold)[0], settles(gold)
    if outcome is Outcome.WRONG and answer != "?":  # which abstains
        assert can is Settles.BOTH
    if outcome is Outcome.CORRECT:
        assert can is not Settles.NOTHING


def test_run_cards_hold_these_words() -> None:
    assert [*Settles] == ["both", "confirms", "nothing"]
