"""The judge hook: what a judge is asked, what it may say, and how its reply is read.

A judge is an async callable, normally a chat model behind the prompts `verify/answer` and `verify/grounding`. A reply
that cannot be read is `unknown`, never a verdict. `closed_world_judge` is the judge for worlds whose names are all
known: plain rules, no model.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from gog.prompts import Prompt
from gog.schemas import AnswerType, Message, Outcome
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling
from gog.transforms.verify.grounding import literal
from gog.transforms.verify.rules import check

Kind = Literal["answer", "grounding"]

MAX_REPLY: Final = 20_000
"""Characters of a reply that are read, from its end."""

JUDGE_TOKENS: Final = 512
"""Of a reply; what the settings of a judge's model allow for thinking comes on top."""


class Ruling(StrEnum):
    """What a judge says to its question."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class JudgeQuestion:
    """What a judge is asked: whether the candidate means an accepted answer, or whether the evidence entails it."""

    kind: Kind
    question: str
    answers: tuple[str, ...]
    candidate: str
    evidence: str = ""
    answer_type: AnswerType = AnswerType.STRING
    answer_unit: str = ""
    answer_low: float | None = None
    answer_high: float | None = None


@dataclass(frozen=True, slots=True)
class JudgeReply:
    """What a judge said: its ruling, the reply as it came, and the judge's id."""

    ruling: Ruling
    raw: str = ""
    judge: str = ""


JudgeCall = Callable[[JudgeQuestion], Awaitable[JudgeReply]]
"""Asks a judge. A call that fails raises `ServiceError`."""


def judge_request(prompt: Prompt) -> ChatRequest:
    """The request to a judge from a rendered prompt; temperature 0."""
    return ChatRequest(
        messages=(Message(role="user", content=prompt.text),),
        sampling=Sampling(temperature=0.0, max_tokens=JUDGE_TOKENS),
        prompt_hash=prompt.hash,
    )


def cut_off(reply: ChatReply) -> str:
    """Why a judge's reply is no verdict: it ended at its limit, and reasoning that breaks off may quote any verdict.

    Empty for a reply that is whole.
    """
    if reply.finish_reason != "length":
        return ""
    return "the judge's reply was cut off at its limit: raise thinking_tokens in the settings of its model"


_ANY_KEYS: Final = ("verdict", "judgement", "judgment", "result", "label")
_KEYS: Final[dict[Kind, tuple[str, ...]]] = {
    "answer": (*_ANY_KEYS, "correct", "is_correct", "rating"),
    "grounding": (*_ANY_KEYS, "grounded", "is_grounded", "supported", "entailed"),
}
_YES: Final = frozenset(
    ["correct", "right", "yes", "true", "grounded", "supported", "entailed", "pass", "accurate", "1"]
)
_NO: Final = frozenset(
    {
        *["incorrect", "wrong", "no", "false", "ungrounded", "unsupported", "contradicted", "fail", "inaccurate", "0"],
        *("not correct", "not grounded", "not supported", "not entailed"),
    }
)
_UNKNOWN: Final = frozenset({"unknown", "unclear", "unsure", "undecided", "cannot tell", "null", "none"})
_THOUGHT_ENDS: Final = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_SAID: Final = re.compile(
    r"\b(?P<key>[a-z_]{5,12})\b[\"'*]*\s*[:=][\s\"'*`]*"
    r"(?P<value>(?:not |cannot )?[a-z]+|[01])(?=\s*(?:[\"'*`.,;}]|\n|$))",
    re.IGNORECASE,
)


def parse_reply(kind: Kind, text: str | None) -> Ruling:
    """Read a judge's raw reply, tolerantly: JSON anywhere in it, a `verdict: correct` line, or the bare word.

    The last verdict counts, so that one quoted from the material before it does not. One object that says both yes
    and no is unknown, and so is everything that cannot be read.
    """
    if not text:
        return Ruling.UNKNOWN
    text = _THOUGHT_ENDS.split(text[-MAX_REPLY:])[-1]
    rulings = [ruling for value in _objects(text) if (ruling := _from_object(kind, value)) is not None]
    if rulings:
        return rulings[-1]
    spoken = [
        ruling
        for match in _SAID.finditer(text)
        if match["key"].lower() in _KEYS[kind] and (ruling := _from_value(match["value"])) is not None
    ]
    if spoken:
        return spoken[-1]
    return _from_value(text) or Ruling.UNKNOWN


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects in the text, in order; at most 200 places are tried."""
    decoder = json.JSONDecoder()
    position, tries = text.find("{"), 0
    while position >= 0 and tries < 200:
        tries += 1
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            position += 1
        else:
            if isinstance(value, dict):
                yield value
        position = text.find("{", position)


def _from_object(kind: Kind, value: dict[str, Any]) -> Ruling | None:
    plain = {str(key).strip().lower().replace(" ", "_"): entry for key, entry in value.items()}
    rulings = {_from_value(plain[key]) or Ruling.UNKNOWN for key in _KEYS[kind] if key in plain}
    if not rulings:
        return None
    return rulings.pop() if len(rulings) == 1 else Ruling.UNKNOWN


def _from_value(value: object) -> Ruling | None:
    if value is None:
        return Ruling.UNKNOWN
    if not isinstance(value, str | bool | int):
        return None
    word = " ".join(str(value).lower().replace("_", " ").split()).strip(" .!*`\"'#")
    if word in _YES:
        return Ruling.YES
    if word in _NO:
        return Ruling.NO
    return Ruling.UNKNOWN if word in _UNKNOWN else None


async def closed_world_judge(question: JudgeQuestion) -> JudgeReply:
    """A judge by rule, for worlds where every accepted form is known: no model is asked.

    An answer that matches no accepted form is wrong; an answer is grounded when the evidence names it word for word.
    """
    if question.kind == "answer":
        right = check(question.candidate, question, closed=True)[0] is Outcome.CORRECT
    else:
        right = literal((question.candidate, *question.answers), question.evidence)
    return JudgeReply(Ruling.YES if right else Ruling.NO, judge="rules:closed-world")
