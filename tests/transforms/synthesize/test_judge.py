"""The judge through the door: what is asked anew, what stops a run, and how a judge is tried."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import ScriptedPolicy, Told, said, services
from verifying import closed_world_judge

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ChatReply, ChatRequest, ServiceError
from gog.transforms.services.store.records import Mode
from gog.transforms.synthesize.judge import MOST_UNREAD, judge_call, majority, try_judge
from gog.transforms.synthesize.services import Services
from gog.transforms.verify.judge import JudgeQuestion, JudgeReply, Ruling

RIGHT, WRONG, MUTE = said('{"verdict": "correct"}'), said('{"verdict": "wrong"}'), said("That is hard to say.")
DOWN = ServiceError(FailureClass.AUTH, "no key")


def question(number: int = 0) -> JudgeQuestion:
    return JudgeQuestion("answer", "What is its capital?", ("Nairobi",), f"Answer {number}")


def ask(world: Services, *questions: JudgeQuestion) -> list[JudgeReply | ServiceError]:
    """The replies, or why there is none, one after another."""

    async def each() -> list[JudgeReply | ServiceError]:
        judge, replies = world.ask_judge(), list[JudgeReply | ServiceError]()
        for one in questions:
            try:
                replies.append(await judge(one))
            except ServiceError as error:
                replies.append(error)
        return replies

    return asyncio.run(each())


def process(folder: Path, told: Told, *questions: JudgeQuestion, mode: Mode = Mode.RECORD) -> tuple[list[str], int]:
    """What a process over the store is told of the questions, and how many calls its judge gets."""
    judge = ScriptedPolicy(lambda _: told, id="judge:1")
    with services(folder, judge=judge, mode=mode) as (world, _):
        replies = ask(world, *questions)
    return [str(one.failure if isinstance(one, ServiceError) else one.ruling) for one in replies], len(judge.requests)


@pytest.mark.parametrize(
    ("ill", "words"),
    [
        (MUTE, "unknown"),
        (ChatReply(RIGHT, "length"), "unknown"),
        (ServiceError(FailureClass.NOT_FOUND), "not_found"),
        (ServiceError(FailureClass.REFUSED), "refused"),
    ],
)
def test_what_an_earlier_process_got_no_verdict_of_is_asked_anew_once(tmp_path: Path, ill: Told, words: str) -> None:
    assert process(tmp_path, ill, question(), question()) == ([words] * 2, 1)
    assert process(tmp_path, ill, question(), question()) == ([words] * 2, 1), "still ill"
    assert process(tmp_path, RIGHT, mode=Mode.REPLAY) == ([], 0)
    assert process(tmp_path, RIGHT, question(), mode=Mode.REPLAY) == ([words], 0), "a replay asks nobody"
    assert process(tmp_path, RIGHT, question(), question()) == (["yes"] * 2, 1)
    assert process(tmp_path, MUTE, question()) == (["yes"], 0), "a verdict is kept"
    assert process(tmp_path, MUTE, question(), mode=Mode.REPLAY) == (["yes"], 0)


def test_what_passes_is_asked_again_as_it_was(tmp_path: Path) -> None:
    assert process(tmp_path, ServiceError(FailureClass.AUTH), question()) == (["auth"], 1)
    assert process(tmp_path, RIGHT, question()) == (["yes"], 1)


def test_failures_in_a_row_stop_the_run_as_replies_without_a_verdict_do(tmp_path: Path) -> None:
    judge = ScriptedPolicy(lambda _: DOWN, id="judge:1")
    with services(tmp_path, judge=judge) as (world, _):
        replies = ask(world, *map(question, range(MOST_UNREAD + 2)))
    failures = [reply.failure for reply in replies if isinstance(reply, ServiceError)]
    assert failures == [FailureClass.AUTH] * MOST_UNREAD + [FailureClass.JUDGE_ILL] * 2


def test_many_replies_in_a_row_without_a_verdict_stop_all_that_goes_through_the_door(tmp_path: Path) -> None:
    judge, teacher = ScriptedPolicy(lambda _: MUTE, id="judge:1"), ScriptedPolicy(lambda _: RIGHT)
    with services(tmp_path, teacher, judge=judge) as (world, _):
        replies = ask(world, *map(question, range(MOST_UNREAD + 3)))
        assert all(isinstance(reply, JudgeReply) for reply in replies[:MOST_UNREAD])
        assert len(judge.requests) == MOST_UNREAD
        for error in replies[MOST_UNREAD:]:
            assert isinstance(error, ServiceError)
            assert error.failure is FailureClass.JUDGE_ILL
            assert "the judge judge:1 gave 20 replies in a row without a verdict: 'That is hard to say.'" in str(error)
        with pytest.raises(ServiceError, match="judge_ill"):
            asyncio.run(world.gateway.chat(teacher, ChatRequest(()), "episode"))
        assert teacher.requests == []
        world.begin()
        assert isinstance(ask(world, question(99))[0], JudgeReply), "the next run gives it another chance"


def test_a_verdict_in_between_and_the_same_question_do_not_count(tmp_path: Path) -> None:
    script: list[Told] = [*[MUTE] * (MOST_UNREAD - 1), RIGHT, *[MUTE] * (MOST_UNREAD - 1), RIGHT]
    with services(tmp_path, judge=ScriptedPolicy(script, id="judge:1")) as (world, _):
        replies = ask(world, *map(question, range(len(script))))
    assert not any(isinstance(reply, ServiceError) for reply in replies)
    with services(tmp_path, judge=ScriptedPolicy(lambda _: MUTE, id="judge:1"), mode=Mode.RECORD) as (world, _):
        replies = ask(world, *[question()] * (2 * MOST_UNREAD))
    assert not any(isinstance(reply, ServiceError) for reply in replies)


def test_a_judge_is_tried_with_a_right_and_a_wrong_answer() -> None:
    async def always(reply: JudgeReply) -> str:
        async def judge(question: JudgeQuestion) -> JudgeReply:
            return reply

        return await try_judge(judge)

    assert asyncio.run(try_judge(closed_world_judge)) == ""
    assert "Berlin" in asyncio.run(always(JudgeReply(Ruling.YES, "yes")))
    assert "Paris" in asyncio.run(always(JudgeReply(Ruling.NO, "no")))
    assert "nothing that can be read ('???')" in asyncio.run(always(JudgeReply(Ruling.UNKNOWN, "???")))


def panel(folder: Path, *told: Told, mode: Mode = Mode.RECORD) -> tuple[JudgeReply | ServiceError, list[int]]:
    """What a panel whose members say this rules, and how often each was asked."""
    members = [ScriptedPolicy(lambda _, one=one: one, id=f"judge:{n}") for n, one in enumerate(told)]  # type: ignore[misc]
    with services(folder, judge=members[0], mode=mode) as (world, _):
        (reply,) = ask(replace(world, panel=tuple(members[1:])), question())
    return reply, [len(member.requests) for member in members]


@pytest.mark.parametrize(
    ("told", "ruling"),
    [
        ((RIGHT, RIGHT, WRONG), "yes"),
        ((WRONG, RIGHT, WRONG), "no"),
        ((RIGHT, WRONG), "unknown"),
        ((RIGHT, WRONG, MUTE), "unknown"),
        ((RIGHT, RIGHT, WRONG, WRONG, DOWN), "unknown"),
        ((RIGHT, MUTE, DOWN), "yes"),
        ((WRONG, WRONG, ServiceError(FailureClass.TIMEOUT)), "no"),
        ((MUTE, MUTE, DOWN), "unknown"),
    ],
)
def test_most_of_a_panel_that_can_be_read_decide(tmp_path: Path, told: tuple[Told, ...], ruling: str) -> None:
    reply, asked = panel(tmp_path, *told)
    assert isinstance(reply, JudgeReply)
    assert (reply.ruling.value, len(reply.votes)) == (ruling, len(told))
    assert [vote.judge for vote in reply.votes] == [f"judge:{n}" for n in range(len(told))]
    assert all(number >= 1 for number in asked)
    said_so = {RIGHT: Ruling.YES, WRONG: Ruling.NO}
    expected = [
        Ruling.UNKNOWN if isinstance(one, ServiceError | ChatReply) else said_so.get(one, Ruling.UNKNOWN)
        for one in told
    ]
    assert [vote.ruling for vote in reply.votes] == expected
    assert reply.readable == (set(expected) != {Ruling.UNKNOWN}), "a tie is no illness"


def test_a_panel_that_fails_whole_fails_and_one_that_is_stopped_is_stopped(tmp_path: Path) -> None:
    reply, _ = panel(tmp_path, DOWN, DOWN)
    assert isinstance(reply, ServiceError)
    assert reply.failure is FailureClass.AUTH
    panel(tmp_path / "half", RIGHT)
    reply, _ = panel(tmp_path / "half", RIGHT, RIGHT, mode=Mode.REPLAY)
    assert isinstance(reply, ServiceError), "a replay does not decide without a member that the run had"
    assert reply.failure is FailureClass.STORE_MISS


def test_each_member_is_kept_under_its_own_name(tmp_path: Path) -> None:
    assert panel(tmp_path, RIGHT)[1] == [1]
    assert panel(tmp_path, WRONG, RIGHT, RIGHT)[1] == [0, 1, 1], "the judge alone had said it"
    reply, asked = panel(tmp_path, WRONG, WRONG, WRONG, WRONG)
    assert isinstance(reply, JudgeReply)
    assert (reply.ruling, asked) == (Ruling.YES, [0, 0, 0, 1])


def test_a_member_that_is_ill_stops_the_run_while_the_others_are_well(tmp_path: Path) -> None:
    well, ill = ScriptedPolicy(lambda _: RIGHT, id="judge:1"), ScriptedPolicy(lambda _: MUTE, id="judge:2")
    with services(tmp_path, judge=well) as (world, _):
        replies = ask(replace(world, panel=(ill,)), *map(question, range(MOST_UNREAD + 1)))
    assert all(isinstance(reply, JudgeReply) and reply.ruling is Ruling.YES for reply in replies[:MOST_UNREAD])
    assert isinstance(replies[-1], ServiceError)
    assert "the judge judge:2 gave 20 replies" in str(replies[-1])


def test_of_a_panel_each_member_is_tried(tmp_path: Path) -> None:
    well = ScriptedPolicy(lambda request: RIGHT if request.messages[0].text.count("Paris") > 1 else WRONG, id="judge:1")
    with services(tmp_path, judge=well) as (world, _):
        assert asyncio.run(try_judge(world.ask_judge())) == ""
        mute = replace(world, panel=(ScriptedPolicy(lambda _: MUTE, id="judge:2"),))
        assert "judge:2 says nothing that can be read" in asyncio.run(try_judge(judge_call(mute.judges)))
        down = replace(world, panel=(ScriptedPolicy(lambda _: DOWN, id="judge:3"),))
        assert "judge:3 says nothing that can be read ('failed: auth" in asyncio.run(try_judge(judge_call(down.judges)))


def test_a_majority_is_more_than_half_of_those_who_say_something() -> None:
    assert majority(["a", "b", None, "a"]) == "a"
    assert majority(["a", "b", "c", "a"]) is None
    assert majority([None, None]) is None
