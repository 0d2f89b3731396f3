import asyncio
from collections.abc import Sequence

import pytest
from verifying import Turn, make_evidence, make_seed, make_trajectory

from gog.schemas import REASONS, Behaviour, FailureClass, Method, Outcome, Seed, Trajectory, Verdict
from gog.transforms.services.protocols import ServiceError
from gog.transforms.verify.judge import JudgeCall, JudgeQuestion, JudgeReply, Ruling
from gog.transforms.verify.verdict import settle, verdict

FOUND = make_evidence("e1", "Flag of Kenya")
OTHER = make_evidence("e2", "Flag of Malawi")
EMPTY = make_evidence("e3")
EVIDENCE = {item.evidence_id: item for item in (FOUND, OTHER, EMPTY)}
SEED = make_seed("Kenya", entity="Kenya")
GAZED = make_trajectory([Turn("Look.", "gaze", FOUND), Turn("Kenya")])


class Judge:
    """Says what it was told to, in turn, and keeps the questions; a failure class is raised."""

    def __init__(self, *said: Ruling | FailureClass) -> None:
        self.said = list(said)
        self.asked: list[JudgeQuestion] = []

    async def __call__(self, question: JudgeQuestion) -> JudgeReply:
        self.asked.append(question)
        said = self.said.pop(0)
        if isinstance(said, FailureClass):
            raise ServiceError(said)
        return JudgeReply(said, f"raw {said}", "judge-1")


def _verdict(
    trajectory: Trajectory, judge: JudgeCall | None, *, seed: Seed = SEED, pass_rate: float | None = 0.0
) -> Verdict:
    found = asyncio.run(verdict(trajectory, seed, EVIDENCE, pass_rate, judge))
    assert set(found.reasons) <= set(REASONS)
    assert (found.trajectory_id, found.seed_id) == (trajectory.trajectory_id, seed.seed_id)
    return found


def _kinds(judge: Judge) -> Sequence[str]:
    return [question.kind for question in judge.asked]


def test_right_by_rule_and_grounded_by_the_judge_is_verified() -> None:
    judge = Judge(Ruling.YES)
    found = _verdict(GAZED, judge)
    assert found.reasons == ()
    assert (found.outcome, found.method, found.score) == (Outcome.CORRECT, Method.EXACT, 1.0)
    assert (found.grounded, found.literal, found.leaked, found.gaze_useful) == (True, True, False, True)
    assert (found.judge, found.judge_reply) == ("judge-1", "raw yes")
    assert _kinds(judge) == ["grounding"]
    assert "Flag of Kenya" in judge.asked[0].evidence


def test_what_no_rule_settles_is_judged_twice() -> None:
    judge = Judge(Ruling.YES, Ruling.YES)
    found = _verdict(GAZED.model_copy(update={"answer": "The land around Nairobi"}), judge)
    assert (found.outcome, found.method, found.reasons) == (Outcome.CORRECT, Method.JUDGE, ())
    assert _kinds(judge) == ["answer", "grounding"]


def test_a_wrong_answer_leaves_and_is_asked_about_once() -> None:
    judge = Judge(Ruling.NO)
    found = _verdict(GAZED.model_copy(update={"answer": "Malawi"}), judge)
    assert (found.outcome, found.method, found.score) == (Outcome.WRONG, Method.JUDGE, 0.0)
    assert found.reasons == ("verify.wrong",)
    assert found.grounded is None
    assert _kinds(judge) == ["answer"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Ruling.UNKNOWN, "verify.unknown"),
        (FailureClass.TIMEOUT, "verify.unknown"),
        (FailureClass.REFUSED, "verify.unknown"),
        (FailureClass.BUDGET, "budget.reached"),
        (FailureClass.STORE_MISS, "store.miss"),
    ],
)
def test_a_judge_that_fails_never_makes_an_answer_wrong(said: Ruling | FailureClass, reason: str) -> None:
    about_answer = _verdict(GAZED.model_copy(update={"answer": "Malawi"}), Judge(said))
    assert (about_answer.outcome, about_answer.method, about_answer.reasons) == (
        Outcome.UNKNOWN,
        Method.NONE,
        (reason,),
    )
    about_grounding = _verdict(GAZED, Judge(said))
    assert (about_grounding.outcome, about_grounding.grounded, about_grounding.reasons) == (
        Outcome.CORRECT,
        None,
        (reason,),
    )
    assert asyncio.run(settle("Malawi", SEED, Judge(said))) == (Outcome.UNKNOWN, Method.NONE, reason)


def test_without_a_judge_what_no_rule_settles_is_unknown() -> None:
    assert _verdict(GAZED.model_copy(update={"answer": "Malawi"}), None).reasons == ("verify.unknown",)
    assert asyncio.run(settle("It is Kenya.", SEED, None)) == (Outcome.CORRECT, Method.EXACT, "")


def test_ungrounded_by_the_judge_though_the_words_are_there() -> None:
    found = _verdict(GAZED, Judge(Ruling.NO))
    assert (found.grounded, found.literal, found.reasons) == (False, True, ("verify.ungrounded",))


def test_literal_absence_alone_is_no_reason() -> None:
    trajectory = make_trajectory([Turn("Look.", "gaze", OTHER), Turn("Kenya")])
    found = _verdict(trajectory, Judge(Ruling.YES))
    assert (found.grounded, found.literal, found.gaze_useful, found.reasons) == (True, False, False, ())


def test_a_search_that_found_nothing_grounds_nothing_and_costs_no_question() -> None:
    judge = Judge()
    found = _verdict(make_trajectory([Turn("Look.", "gaze", EMPTY), Turn("Kenya")]), judge, pass_rate=1.0)
    assert (found.grounded, found.reasons, judge.asked) == (False, ("verify.ungrounded",), [])


@pytest.mark.parametrize(
    ("pass_rate", "grounded", "reasons"),
    [(0.5, None, ()), (1.0, None, ()), (0.49, False, ("verify.ungrounded",)), (None, None, ("verify.unknown",))],
)
def test_without_a_search_the_pass_rate_without_tools_decides(
    pass_rate: float | None, grounded: bool | None, reasons: tuple[str, ...]
) -> None:
    direct = make_trajectory([Turn("Kenya")], behaviour=Behaviour.DIRECT)
    found = _verdict(direct, None, pass_rate=pass_rate)
    assert (found.grounded, found.reasons) == (grounded, reasons)


def test_a_leak_leaves_even_when_the_answer_is_right_and_beside_a_wrong_one() -> None:
    leaky = make_trajectory([Turn("Region 2 it is.", "gaze", FOUND), Turn("Kenya")])
    found = _verdict(leaky, Judge())
    assert (found.outcome, found.leaked, found.reasons) == (Outcome.CORRECT, True, ("verify.leaked",))
    both = _verdict(leaky.model_copy(update={"answer": "Malawi"}), Judge(Ruling.NO))
    assert both.reasons == ("verify.wrong", "verify.leaked")


def test_no_answer_is_wrong_without_a_question() -> None:
    found = _verdict(GAZED.model_copy(update={"answer": None}), Judge())
    assert (found.outcome, found.reasons, found.literal) == (Outcome.WRONG, ("verify.wrong",), False)


def test_a_huge_answer_is_cut_before_it_is_judged() -> None:
    judge = Judge(Ruling.NO)
    _verdict(GAZED.model_copy(update={"answer": "Malawi " * 10_000}), judge)
    assert len(judge.asked[0].candidate) == 2000


def test_what_each_judge_of_a_panel_said_is_kept() -> None:
    async def panel(question: JudgeQuestion) -> JudgeReply:
        votes = (
            JudgeReply(Ruling.YES, "yes", "a"),
            JudgeReply(Ruling.NO, "n" * 5000, "b"),
            JudgeReply(Ruling.YES, "", "c"),
        )
        return JudgeReply(Ruling.YES, "all", "a, b, c", votes)

    found = _verdict(GAZED.model_copy(update={"answer": "The land around Nairobi"}), panel)
    assert (found.outcome, found.judge) == (Outcome.CORRECT, "a, b, c")
    said = [(vote.about, vote.judge, vote.says, len(vote.reply)) for vote in found.votes]
    assert said == [
        (about, *vote)
        for about in ("answer", "grounding")
        for vote in (("a", "yes", 3), ("b", "no", 2000), ("c", "yes", 0))
    ]
    assert _verdict(GAZED, Judge(Ruling.YES)).votes == (), "a judge alone is named beside its reply"


@pytest.mark.parametrize(
    ("said", "leaked", "reasons"),
    [
        (Ruling.NO, False, ()),
        (Ruling.YES, True, ("verify.leaked",)),
        (Ruling.UNKNOWN, None, ("verify.unknown",)),
        (FailureClass.TIMEOUT, None, ("verify.unknown",)),
        (FailureClass.BUDGET, None, ("budget.reached",)),
    ],
)
def test_what_may_be_a_leak_is_for_the_judge(
    said: Ruling | FailureClass, leaked: bool | None, reasons: tuple[str, ...]
) -> None:
    doubtful = make_trajectory([Turn("The Kenyan flag, I look.", "gaze", FOUND), Turn("Kenya")])
    judge = Judge(said, Ruling.YES)
    found = _verdict(doubtful, judge)
    assert (found.outcome, found.leaked, found.reasons) == (Outcome.CORRECT, leaked, reasons)
    assert _kinds(judge) == (["leak"] if reasons else ["leak", "grounding"])
    assert "Kenyan flag" in judge.asked[0].evidence
    wrong = Judge(Ruling.NO)
    other = _verdict(doubtful.model_copy(update={"answer": "Malawi"}), wrong)
    assert (other.leaked, other.reasons, _kinds(wrong)) == (None, ("verify.wrong",), ["answer"])
