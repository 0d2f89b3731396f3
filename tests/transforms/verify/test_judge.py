import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import AnswerType
from gog.transforms.verify.judge import JudgeQuestion, Ruling, closed_world_judge, parse_reply

YES, NO, UNKNOWN = Ruling.YES, Ruling.NO, Ruling.UNKNOWN


@pytest.mark.parametrize(
    ("reply", "ruling"),
    [
        ('{"verdict": "correct"}', YES),
        ('{"verdict": "wrong"}', NO),
        ('{"verdict": "incorrect", "why": "another country"}', NO),
        ('{"Verdict": "CORRECT."}', YES),
        ('{"correct": true}', YES),
        ('{"is_correct": false}', NO),
        ('{"verdict": 1}', YES),
        ('```json\n{"verdict": "correct"}\n```', YES),
        ('Sure! Here you go:\n{"verdict": "wrong"}\nHope that helps.', NO),
        ('<think>Could be {"verdict": "correct"}.</think>{"verdict": "wrong"}', NO),
        ('The answer quotes {"verdict": "correct"} but: {"verdict": "wrong"}', NO),
        ("{'verdict': 'correct'}", YES),
        ("**Verdict:** Correct", YES),
        ("verdict = wrong", NO),
        ("Verdict: not correct.", NO),
        ("Correct.", YES),
        ("NO", NO),
        ('{"a": {"b": 1}} {"verdict": "correct"}', YES),
        ('{"verdict": "correct", "correct": false}', UNKNOWN),
        ('{"verdict": "correct, but the year is wrong"}', UNKNOWN),
        ('{"verdict": "partially correct"}', UNKNOWN),
        ('{"verdict": null}', UNKNOWN),
        ('{"verdict": ["correct"]}', UNKNOWN),
        ('{"verdict": "correct"', YES),
        ('{"verdict": "corr', UNKNOWN),
        ('{"grounded": true}', UNKNOWN),
        ("The correct answer is Kenya.", UNKNOWN),
        ("The verdict: correct answer would be Kenya", UNKNOWN),
        ("I cannot judge this.", UNKNOWN),
        ("I'm sorry, I can't help with that.", UNKNOWN),
        ("", UNKNOWN),
        ("   ", UNKNOWN),
        (None, UNKNOWN),
        ("[1, 2, 3]", UNKNOWN),
        ("{" * 30_000, UNKNOWN),
        ('{"a":' * 5_000, UNKNOWN),
        ("<think>" * 3_000, UNKNOWN),
        ('"' * 20_000, UNKNOWN),
        ('{"verdict": ' + "9" * 5000 + "}", UNKNOWN),
        ("\x00\ud800", UNKNOWN),
    ],
)
def test_replies_about_answers(reply: str | None, ruling: Ruling) -> None:
    assert parse_reply("answer", reply) is ruling


@pytest.mark.parametrize(
    ("reply", "ruling"),
    [
        ('{"grounded": true}', YES),
        ('{"grounded": false}', NO),
        ('{"grounded": "no"}', NO),
        ('```\n{"supported": true}\n```', YES),
        ("grounded: True", YES),
        ("Not grounded", NO),
        ("Unsupported.", NO),
        ('{"correct": true}', UNKNOWN),
        ("The evidence is grounded in facts", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_replies_about_grounding(reply: str | None, ruling: Ruling) -> None:
    assert parse_reply("grounding", reply) is ruling


@given(st.text(max_size=500), st.sampled_from(["answer", "grounding"]))
def test_any_reply_is_read_without_trouble(text: str, kind: str) -> None:
    assert parse_reply("answer" if kind == "answer" else "grounding", text) in set(Ruling)


@given(st.text(alphabet="abcdef \n.", max_size=200), st.booleans(), st.text(alphabet="abcdef \n.", max_size=200))
def test_chatter_around_a_verdict_changes_nothing(before: str, right: bool, after: str) -> None:
    word = "correct" if right else "wrong"
    assert parse_reply("answer", f'{before}{{"verdict": "{word}"}}{after}') is (YES if right else NO)


def _ask(question: JudgeQuestion) -> Ruling:
    return asyncio.run(_answered(question))


async def _answered(question: JudgeQuestion) -> Ruling:
    return (await closed_world_judge(question)).ruling


def test_the_closed_world_judge_goes_by_the_accepted_forms() -> None:
    assert _ask(JudgeQuestion("answer", "q", ("Kenya",), "It is Kenya.")) is YES
    assert _ask(JudgeQuestion("answer", "q", ("Kenya",), "Uganda")) is NO
    assert _ask(JudgeQuestion("answer", "q", ("12",), "many", answer_type=AnswerType.NUMBER)) is NO
    assert _ask(JudgeQuestion("grounding", "q", ("Kenya",), "Kenya", "- Kenya: a country")) is YES
    assert _ask(JudgeQuestion("grounding", "q", ("Kenya",), "Kenya", "- Uganda: a country")) is NO
