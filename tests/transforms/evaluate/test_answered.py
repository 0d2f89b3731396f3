"""One item answered: who settles its scores, and what is left to try again."""

from dataclasses import replace
from typing import Any

import pytest
from evaluating import NO, STOP, YES, Judge, answered_by, broken, episode
from fakes import MemoryImages, picture
from hypothesis import given
from hypothesis import strategies as st
from scoring import make_item

from gog.schemas import AnswerType, FailureClass
from gog.transforms.evaluate.answered import Answered, asked_of, stopped, with_image
from gog.transforms.evaluate.protocols.scores import Grade
from gog.transforms.services.protocols import ServiceError

DOWN = ServiceError(FailureClass.OVERLOADED, "busy")


def test_an_exact_match_asks_nobody() -> None:
    judge = Judge(NO)
    row = answered_by(episode("kenya."), judge)
    assert judge.asked == []
    assert (row.official.grade, row.judged.grade, row.ruled) == (Grade.CORRECT,) * 3
    assert row.opinion is Grade.UNKNOWN
    assert row.settled()


@pytest.mark.parametrize(("reply", "grade"), [(YES, Grade.CORRECT), (NO, Grade.INCORRECT)])
def test_what_no_match_settles_is_the_judges(reply: str, grade: Grade) -> None:
    judge = Judge(reply)
    row = answered_by(episode("the land of lions"), judge)
    assert len(judge.asked) == 1, "FVQA's own protocol is the judge's: one question for both"
    assert (row.official, row.judged.grade, row.opinion) == (row.judged, grade, grade)
    assert (row.judged.judge, row.judged.method) == ("judge:1", "judge")


def test_a_benchmark_with_a_grader_of_its_own_asks_twice() -> None:
    judge = Judge(NO, "C")
    row = answered_by(episode("no idea at all"), judge, make_item(benchmark="livevqa", image=b"p"))
    assert len(judge.asked) == 2
    assert (row.judged.grade, row.official.grade) == (Grade.INCORRECT, Grade.NOT_ATTEMPTED)


@pytest.mark.parametrize("trouble", [DOWN, "I would rather not say."])
def test_a_judge_that_fails_leaves_it_unknown_and_unsettled(trouble: str | ServiceError) -> None:
    row = answered_by(episode("the land of lions"), Judge(trouble))
    assert (row.official.grade, row.judged.grade) == (Grade.UNKNOWN, Grade.UNKNOWN)
    assert (row.failure, row.prediction) == ("", "the land of lions")
    assert not row.settled()
    assert not stopped(row)


@pytest.mark.parametrize("by_policy", [True, False])
def test_a_stop_is_no_answer(by_policy: bool) -> None:
    attempt = broken("budget.reached", "max_calls") if by_policy else episode("the land of lions")
    row = answered_by(attempt, Judge(STOP))
    assert stopped(row)
    assert row.failure == "budget.reached"
    assert "max_calls" in row.detail
    assert not row.settled()


@pytest.mark.parametrize("reason", ["search.failed", "teacher.timeout", "teacher.refused", "teacher.failed"])
def test_what_the_outside_breaks_is_unknown_and_asks_no_judge(reason: str) -> None:
    judge = Judge(YES)
    row = answered_by(broken(reason, "x" * 5000), judge)
    assert judge.asked == []
    assert (row.official.grade, row.judged.grade, row.ruled, row.prediction) == (*[Grade.UNKNOWN] * 3, "")
    assert (row.failure, row.course, row.settled()) == (reason, None, False)
    assert len(row.detail) <= 2000


@pytest.mark.parametrize(
    ("benchmark", "grade"),
    [
        *((name, Grade.INCORRECT) for name in ("fvqa", "infoseek", "mmsearch", "dynvqa", "atlas")),
        *((name, Grade.NOT_ATTEMPTED) for name in ("simplevqa", "livevqa")),
    ],
)
def test_an_episode_without_an_answer_is_the_models_doing(benchmark: str, grade: Grade) -> None:
    judge = Judge(YES)
    row = answered_by(episode(None), judge, make_item(benchmark=benchmark, image=b"p"), judge_all=True)
    assert judge.asked == []
    assert (row.prediction, row.failure) == ("", "")
    assert (row.official.grade, row.judged.grade) == (grade, Grade.INCORRECT)
    assert row.settled(judge_all=True)
    assert row.course is not None
    assert not row.course.answered


def test_with_judge_all_the_judge_says_its_opinion_and_the_score_stays_the_protocols() -> None:
    judge = Judge(NO)
    row = answered_by(episode("Kenya"), judge, judge_all=True)
    assert len(judge.asked) == 1
    assert (row.judged.grade, row.judged.method, row.opinion) == (Grade.CORRECT, "match", Grade.INCORRECT)
    silent = answered_by(episode("Kenya"), Judge(DOWN), judge_all=True)
    assert silent.judged.grade is Grade.CORRECT
    assert silent.settled()
    assert not silent.settled(judge_all=True), "its opinion is still wanted"


hostile = st.text(st.characters(codec="utf-8"), max_size=200) | st.sampled_from(
    ["\x1b[2J\x00\r\n", "a" * 200_000, "<answer>x</answer>", "\u2028\u202e", '"}\n{"', "[red]"]
)


@given(hostile)
def test_whatever_was_answered_is_kept_in_one_line(prediction: str) -> None:
    row = answered_by(episode(prediction), Judge(NO))
    line = row.model_dump_json()
    assert not {"\n", "\r", "\x1b", "\x00"} & set(line)
    assert Answered.model_validate_json(line) == row


@pytest.mark.parametrize(
    "changes",
    [
        {"question": "Where?"},
        {"answers": ("Kenya", "KE")},
        {"version": "v2"},
        {"image": b"another"},
        {"answer_type": AnswerType.NUMBER, "answer_low": 1.0, "answer_high": 2.0},
    ],
)
def test_a_kept_answer_is_of_the_very_same_item(changes: dict[str, Any]) -> None:
    item = make_item(image=b"picture")
    assert asked_of(replace(item, **changes)) != asked_of(item)
    assert asked_of(replace(item, category="other")) == asked_of(item)


def test_the_seed_of_an_item_shows_its_picture() -> None:
    images, item = MemoryImages(), make_item("Nairobi", image=picture(), image_suffix="png", entity="Kenya")
    seed = with_image(item, images.put)
    assert images.read(seed.image_sha256) == picture()
    assert (seed.width, seed.height, seed.entity, seed.answers) == (640, 480, "Kenya", ("Nairobi",))
    other = with_image(replace(item, item_id="another"), images.put)
    assert other.seed_id != seed.seed_id
