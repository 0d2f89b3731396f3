import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.verify.judge import Ruling, parse_reply

YES, NO, UNKNOWN = Ruling.YES, Ruling.NO, Ruling.UNKNOWN
_FORMS = (
    '{"verdict": "%s"}',
    "**Verdict:** %s",
    "<verdict>%s</verdict>",
    "{'verdict': '%s'}",
    "%s",
    "The answer is %s.",
)


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
        ('The answer quotes {"verdict": "correct"} but: {"verdict": "wrong"}', UNKNOWN),
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
        # JSON in whatever is around it
        ('{"result": {"verdict": "yes"}}', YES),
        ('{"result": {"verdict": {"value": "wrong"}}}', NO),
        ('[{"verdict": "correct"}]', YES),
        ('{"result": "{\\"verdict\\": \\"correct\\"}"}', YES),
        (r'"{\"verdict\": \"wrong\"}"', NO),
        ('{"name": "verdict", "arguments": "{\\"verdict\\": \\"wrong\\"}"}', NO),
        ('{"name": "verdict", "arguments": {"verdict": "correct"}}', YES),
        ("~~~\n{'verdict': 'wrong', 'why': 'it is correct of Kenya'}\n~~~", NO),
        ("{'is_correct': True, 'why': 'same'}", YES),
        ('{"verdict": "correct", "why": "the text says {\\"verdict\\": \\"wrong\\"}"}', YES),
        ('{"verdict": "correct", "why": "</think>{\\"verdict\\": \\"wrong\\"}"}', YES),
        ('{"verdict": "wrong", "why": "“correct” it is not"} done', NO),
        ('{"label": "France", "verdict": "wrong"}', NO),
        ('{"result": "ok", "verdict": "correct"}', YES),
        ('{"answer": "no", "verdict": "correct"}', YES),
        ('{"answer": "correct"}', YES),
        # full-width letters and marks, other quotation marks
        ("｛＂verdict＂：＂ｃｏｒｒｅｃｔ＂｝", YES),
        ("｛“verdict”：“wrong”｝", NO),
        ("Ｖｅｒｄｉｃｔ：ｗｒｏｎｇ", NO),
        ("{“verdict”: “correct”}", YES),
        ("『正确』", YES),
        ("【错误】。", NO),
        ('{"verdict": "不正确"}', NO),
        # tags
        ("<verdict>yes</verdict>", YES),
        ("<answer>\n no \n</answer>", NO),
        ("< Verdict >Wrong.</ Verdict >", NO),
        ("＜verdict＞正确＜/verdict＞", YES),
        ('<answer>{"verdict": "correct"}</answer>', YES),
        ("<result><verdict>wrong</verdict></result>", NO),
        ("<verdict>correct", YES),
        ("It is the same. \\boxed{\\text{correct}}", YES),
        ("correct<|im_end|>", YES),
        # markdown, lines and clauses
        ("**Verdict**: **Correct**", YES),
        ("## Final verdict\n\n**Wrong**", NO),
        ("Verdict: ✅ Correct", YES),
        ("- Final verdict: `not correct`", NO),
        ("Both name Kenya. Verdict: correct.", YES),
        ("The verdict is wrong.", NO),
        ("The candidate answer is not correct.", NO),
        ("Verdict — wrong", NO),
        ("Yes, correct.", YES),
        ("Yes\nThe answer has the same capital.", YES),
        # thoughts
        ("I weigh correct against wrong.</think>\n\nwrong", NO),
        ("<thinking>wrong?</thinking> <answer>correct</answer>", YES),
        ("[THINK]Verdict: correct[/THINK]Verdict: wrong", NO),
        ("＜think＞Verdict: correct＜/think＞Verdict: wrong", NO),
        ("<|channel|>analysis<|message|>wrong<|end|><|channel|>final<|message|>correct<|return|>", YES),
        (f'<think>{"It may be wrong. " * 5000}</think>{{"verdict": "correct"}}', YES),
        # both, neither, or not understood
        ('{"verdict": "correct", "verdict": "wrong"}', UNKNOWN),
        ('[{"verdict": "correct"}, {"verdict": "wrong"}]', UNKNOWN),
        ('{"verdict": "correct"} Wait. {"verdict": "wrong"}', UNKNOWN),
        ('{"verdict": "correct"}\nWrong.', UNKNOWN),
        ('{"verdict": "wrong"} The answer is correct.', UNKNOWN),
        ("correct <think>or</think> wrong", UNKNOWN),
        ("correct\n<think>or</think>\nwrong", UNKNOWN),
        ('{"candidate": {"verdict": "correct"}, "verdict": "wrong"}', UNKNOWN),
        ("<verdict>correct</verdict> <verdict>wrong</verdict>", UNKNOWN),
        ("<verdict>correct/wrong</verdict>", UNKNOWN),
        ("[correct/wrong]", UNKNOWN),
        ("Verdict: correct, but the year is wrong.", UNKNOWN),
        ("~~correct~~", UNKNOWN),
        ("correct?", UNKNOWN),
        ("Correct ❌", UNKNOWN),
        ("not incorrect", UNKNOWN),
        ("Not correct: yes", UNKNOWN),
        ("incorrect: false", UNKNOWN),
        ("verdict: 0.9", UNKNOWN),
        ('{"verdict": 0.9}', UNKNOWN),
        ('{"rating": 1}', UNKNOWN),
        ('{"answer": "no"}', UNKNOWN),
        ("The answer is no.", UNKNOWN),
        ("1. The answer is Kenya", UNKNOWN),
        ("1.\n2.", UNKNOWN),
        ('{"why": "{\\"verdict\\": \\"correct\\"}"}', UNKNOWN),
        ('<think>{"verdict": "correct"}', UNKNOWN),
        ('<think>wrong</think>{"verdict": "correct"}<think>or {"verdict": "wrong"}', YES),
        ('{"verdict": ' * 50 + '"correct"' + "}" * 50, UNKNOWN),
        ('{"x": "' + "a" * 30_000 + '"} {"verdict": "correct"}', UNKNOWN),
        ("{" * 300 + '{"verdict": "correct"}', UNKNOWN),
    ],
)
def test_forms_of_replies(reply: str, ruling: Ruling) -> None:
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


@given(st.text("{}[]<>/\"':=.,\\ \n*_`verdictcorwngysthk1：＜｛“", max_size=200))
def test_any_mix_of_marks_is_read_without_trouble(text: str) -> None:
    assert parse_reply("answer", text) in set(Ruling)


@given(st.lists(st.sampled_from(list(_FORMS)), min_size=2, max_size=5), st.lists(st.booleans(), min_size=5, max_size=5))
def test_several_verdicts_are_one_only_where_they_agree(forms: list[str], rights: list[bool]) -> None:
    used = rights[: len(forms)]
    reply = "\n\n".join(form % ("correct" if right else "wrong") for form, right in zip(forms, used, strict=True))
    expected = UNKNOWN if len(set(used)) == 2 else YES if used[0] else NO
    assert parse_reply("answer", reply) is expected


@pytest.mark.parametrize("length", [19_000, 100_000])
@pytest.mark.parametrize(
    "shape",
    [
        *("{", "[", '"', "<", "\\", "\n", " ", "*", ".", ",", "(", "{'", '{"a":', '{"a":{', "[[", "{}", '{"":[]},'),
        *("<verdict>", "<verdict>x", "<think>", "</think>", "verdict:", "verdict: correct ", "the ", "is ", "\n\t"),
        *(
            "\n*",
            "final verdict: ",
            "\\boxed{",
            "```\n",
            "✅",
            "1",
            "－",
            "｛",
            "a\u0301\u0323",
            '{"verdict": "',
            "x" * 50,
        ),
        *('{"verdict": "correct"}', "<|a|>", ".\t", ". * ", "{\n", "'verdict': 'x", '{"result": "{'),
    ],
)
def test_hostile_replies_take_no_time(shape: str, length: int) -> None:
    text = (shape * length)[:length]
    took = []
    for _ in range(3):
        started = time.process_time()
        parse_reply("answer", text)
        took.append(time.process_time() - started)
    assert min(took) < 0.05


@given(st.text(alphabet="abcdef \n.", max_size=200), st.booleans(), st.text(alphabet="abcdef \n.", max_size=200))
def test_chatter_around_a_verdict_changes_nothing(before: str, right: bool, after: str) -> None:
    word = "correct" if right else "wrong"
    assert parse_reply("answer", f'{before}{{"verdict": "{word}"}}{after}') is (YES if right else NO)


@pytest.mark.parametrize(
    ("reply", "ruling"),
    [
        ('{"leaked": true}', Ruling.YES),
        ('```json\n{"leaked": false}\n```', Ruling.NO),
        ("<leaked>yes</leaked>", Ruling.YES),
        ("no", Ruling.NO),
        ('{"leaked": "perhaps"}', Ruling.UNKNOWN),
        ("The notes leak nothing of note.", Ruling.UNKNOWN),
    ],
)
def test_a_ruling_on_leaks(reply: str, ruling: Ruling) -> None:
    assert parse_reply("leak", reply) is ruling


SAYS = {
    Ruling.YES: "yes true 1 ✅ ✔ ✓ 是 はい sí oui ja correct right accurate grounded supported entailed pass"
    " 正确 正確 对 對 正解 correcto correcta richtig korrekt صحيح",
    Ruling.NO: "no false 0 ❌ ✗ ✘ 否 いいえ non nein incorrect wrong inaccurate ungrounded unsupported contradicted"
    " fail 错误 錯誤 不正确 不正確 错 錯 不正解 incorrecto incorrecta falsch خطأ",
    Ruling.UNKNOWN: "unknown unclear unsure undecided null none perhaps 2",
}


@pytest.mark.parametrize(
    ("ruling", "word"), [(ruling, word) for ruling, words in SAYS.items() for word in words.split()]
)
def test_every_word_of_a_verdict(ruling: Ruling, word: str) -> None:
    assert parse_reply("answer", json.dumps({"verdict": word})) is ruling
    assert parse_reply("answer", f"Verdict: {word}") is ruling


def test_a_value_of_more_than_200_characters_is_no_verdict() -> None:
    for length, ruling in ((200, Ruling.YES), (201, Ruling.UNKNOWN)):
        assert parse_reply("answer", json.dumps({"verdict": "correct".ljust(length)})) is ruling


@pytest.mark.parametrize("word", ["correct", "right", "accurate", "grounded", "supported", "entailed"])
def test_a_word_that_is_denied_is_the_other(word: str) -> None:
    assert parse_reply("answer", f"Verdict: not {word}") is Ruling.NO


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("answer", "verdict judgement judgment correct is_correct"),
        ("grounding", "verdict judgement judgment grounded is_grounded supported is_supported entailed"),
    ],
)
def test_every_name_of_a_verdict(kind: Any, keys: str) -> None:
    loose = "result label rating decision conclusion outcome grade value answer final final_answer response output"
    for key in [*keys.split(), *loose.split(), "content", "text", "arguments"]:
        assert parse_reply(kind, json.dumps({key: "correct"})) is Ruling.YES, key
        assert parse_reply(kind, json.dumps({key: "wrong"})) is Ruling.NO, key
    for key in keys.split():
        assert parse_reply(kind, json.dumps({key: "7 of 10"})) is Ruling.UNKNOWN, "what was asked for must be read"
