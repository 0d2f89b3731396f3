"""What a judge is sent, and how its reply is read: pure functions, the same for every protocol that asks one."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Final

from gog.prompts import render
from gog.transforms.dialect.observations import one_line
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.measures import Measures
from gog.transforms.evaluate.protocols.protocol import Protocol
from gog.transforms.evaluate.protocols.scores import Grade, Score, graded
from gog.transforms.services.protocols import ChatRequest
from gog.transforms.verify.judge import MAX_REPLY, Ruling, judge_request, parse_reply

MAX_CANDIDATE: Final = 4000
"""Characters of an answer that a judge is shown."""

MAX_ANSWERS: Final = 50
"""Accepted answers that a judge is shown."""

_JUDGE_TAG: Final = re.compile(r"<(?=\s{0,4}/?\s{0,4}judge\b)", re.IGNORECASE)
_VERDICT: Final = re.compile(r"<judge>\s*(yes|no)\s*</judge>", re.IGNORECASE)
_THOUGHT_ENDS: Final = re.compile(r"</think(?:ing)?>", re.IGNORECASE)


def left_to_judge(
    name: str,
    groups: Callable[[BenchItem], tuple[str, ...]],
    measures: Measures,
    ask: Callable[[BenchItem, str], ChatRequest],
    prompt: str,
) -> Protocol:
    """A protocol without rules: an empty answer is not attempted, every other is one of three grades by a judge."""

    def score(item: BenchItem, prediction: str) -> Score:
        if not prediction.strip():
            return graded(item, name, Grade.NOT_ATTEMPTED, "empty", groups(item))
        return graded(item, name, Grade.UNKNOWN, "none", groups(item), needs_judge=True)

    return Protocol(name, score, groups, measures, ask, read_grade, prompt)


def request(prompt: str, question: str, answers: Iterable[str], candidate: str, joiner: str = " | ") -> ChatRequest:
    """The request to a judge, from a prompt file with `question`, `answers` and `candidate`; temperature 0.

    Material is one line each, with template tokens and verdict tags broken, so that it can pass for nothing else.
    """
    rendered = render(
        prompt,
        question=_material(question),
        answers=joiner.join(_material(answer) for answer in list(answers)[:MAX_ANSWERS]),
        candidate=_material(candidate),
    )
    return judge_request(rendered)


def _material(text: str) -> str:
    return _JUDGE_TAG.sub("‹", one_line(text[:MAX_CANDIDATE]))


def read_yes_no(reply: str) -> Grade:
    """Correct or incorrect as the judge says; unknown when the reply says neither, or both."""
    said = _last_words(reply)
    verdicts = {found[1].lower() for found in _VERDICT.finditer(said)}
    if verdicts:
        return _YES_NO[verdicts.pop()] if len(verdicts) == 1 else Grade.UNKNOWN
    return _RULINGS[parse_reply("answer", reply)]


_YES_NO: Final = {"yes": Grade.CORRECT, "no": Grade.INCORRECT}
_RULINGS: Final = {Ruling.YES: Grade.CORRECT, Ruling.NO: Grade.INCORRECT, Ruling.UNKNOWN: Grade.UNKNOWN}

_GRADES: Final = {
    "a": Grade.CORRECT,
    "correct": Grade.CORRECT,
    "正确": Grade.CORRECT,
    "b": Grade.INCORRECT,
    "incorrect": Grade.INCORRECT,
    "错误": Grade.INCORRECT,
    "c": Grade.NOT_ATTEMPTED,
    "not_attempted": Grade.NOT_ATTEMPTED,
    "未尝试": Grade.NOT_ATTEMPTED,
}
_LABELLED: Final = re.compile(
    r"\b(?i:grade|verdict|result)\b[\"'*]*\s*(?:is\s+|[:=])[\s\"'*`]*"
    r"([ABC]|(?i:correct|incorrect|not[ _]attempted))(?![\w'])"
)


def read_grade(reply: str) -> Grade:
    """One of three grades, as a letter, a word (English or Chinese) or JSON; unknown when it says none, or several."""
    said = _last_words(reply)
    lines = said.split("\n")
    for candidates in (_json_values(said), [said], [lines[0], lines[-1]], _LABELLED.findall(said)):
        grades = {_GRADES[word] for candidate in candidates if (word := _plain(candidate)) in _GRADES}
        if grades:
            return grades.pop() if len(grades) == 1 else Grade.UNKNOWN
    return Grade.UNKNOWN


def _last_words(reply: str) -> str:
    return _THOUGHT_ENDS.split(reply[-MAX_REPLY:])[-1].strip()


def _plain(value: str) -> str:
    """`**A: CORRECT**` and `Not attempted.` as the words that grades are known by."""
    words = value.strip(" \t\r\n.*`\"'【】()[]#").lower().replace(" ", "_")
    letter, colon, rest = words.partition(":")
    if colon and _GRADES.get(letter) is not None and _GRADES.get(rest.strip("_")) is _GRADES.get(letter):
        return letter
    return words


def _json_values(text: str) -> list[str]:
    """The texts in the last JSON object of a reply."""
    start = text.rfind("{")
    if start < 0:
        return []
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return []
    return [said for said in value.values() if isinstance(said, str)] if isinstance(value, dict) else []
