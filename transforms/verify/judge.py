"""The judge hook: what a judge is asked, what it may say, and how its reply is read.

A judge is an async callable, normally a chat model behind the prompts `verify/answer`, `verify/grounding` and
`verify/leak`. A reply that cannot be read is `unknown`, never a verdict.
"""

import json
import re
from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from gog.prompts import Prompt
from gog.schemas import AnswerType, Message
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling

Kind = Literal["answer", "grounding", "leak"]

MAX_REPLY: Final = 20_000
"""Characters of a reply, its thoughts left out, that are read; a longer one is unknown."""

JUDGE_TOKENS: Final = 512
"""Of a reply; what the settings of a judge's model allow for thinking comes on top."""


class Ruling(StrEnum):
    """What a judge says to its question."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class JudgeQuestion:
    """What a judge is asked: whether the candidate means an accepted answer, whether the evidence entails it, or
    whether notes, which then are the evidence, leak.
    """

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
    """What a judge said: its ruling, the reply as it came, the judge's id; of a panel also what each member said."""

    ruling: Ruling
    raw: str = ""
    judge: str = ""
    votes: tuple["JudgeReply", ...] = ()

    @property
    def readable(self) -> bool:
        """Whether a verdict was heard at all: a panel that disagrees is not ill."""
        return any(reply.ruling is not Ruling.UNKNOWN for reply in (self, *self.votes))


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


_KEYS: Final[dict[Kind, frozenset[str]]] = {
    "answer": frozenset({"verdict", "judgement", "judgment", "correct", "is_correct"}),
    "grounding": frozenset(
        {"verdict", "judgement", "judgment", "grounded", "is_grounded", "supported", "is_supported", "entailed"}
    ),
    "leak": frozenset({"leaked", "is_leaked", "leak", "leaks"}),
}
"""What a verdict is called where it was asked for: whatever else stands there makes the reply unknown."""
_LOOSE: Final = frozenset({"result", "label", "rating", "decision", "conclusion", "outcome", "grade", "value"})
"""May hold the verdict, or something else, which is passed over. A number is none: it may be of five."""
_HOLDERS: Final = frozenset({"answer", "final", "final_answer", "response", "output", "content", "text", "arguments"})
"""May hold the verdict, or quote what was judged: `yes` may be the answer to the question."""
_BARE_YES: Final = frozenset({"yes", "true", "1", "✅", "✔", "✓", "是", "はい", "sí", "oui", "ja"})
_BARE_NO: Final = frozenset({"no", "false", "0", "❌", "✗", "✘", "否", "いいえ", "non", "nein"})
_BARE: Final = _BARE_YES | _BARE_NO
_YES: Final = _BARE_YES | {
    *("correct", "right", "accurate", "grounded", "supported", "entailed", "pass"),
    *("正确", "正確", "对", "對", "正解", "correcto", "correcta", "richtig", "korrekt", "صحيح"),
}
_NO: Final = _BARE_NO | {
    *("incorrect", "wrong", "inaccurate", "ungrounded", "unsupported", "contradicted", "fail"),
    *("not correct", "not right", "not accurate", "not grounded", "not supported", "not entailed"),
    *("错误", "錯誤", "不正确", "不正確", "错", "錯", "不正解", "incorrecto", "incorrecta", "falsch", "خطأ"),
}
_UNKNOWN: Final = frozenset({"unknown", "unclear", "unsure", "undecided", "cannot tell", "null", "none"})

_WIDE: Final = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_PLAIN: Final = _WIDE | dict.fromkeys(map(ord, "“”„‟«»「」『』"), '"') | dict.fromkeys(map(ord, "‘’‚‛"), "'")
"""Full-width letters and marks, and quotation marks of any kind, as ASCII has them."""
_THOUGHT: Final = re.compile(
    r"[<＜◁\[](?P<end>[/／]?)(?:think|thinking|thoughts?|reason|reasoning|analysis|scratchpad)[>＞▷\]]"
    r"|(?P<final><\|channel\|>final<\|message\|>)",
    re.IGNORECASE,
)
_TOKENS: Final = re.compile(r"<\|[\w ]{1,30}\|>|</?s>|<end_of_turn>")
_FENCE: Final = re.compile(r"```[\w-]{0,20}")
_TAG: Final = re.compile(
    r"<\s{0,3}(?P<key>\w{4,20})\s{0,3}>(?P<value>[^<>]{0,200})(?:<\s{0,3}/\s{0,3}(?P=key)\s{0,3}>|\s{0,9}\Z)"
    r"|\\boxed\{(?:\\text\{)?(?P<boxed>[^{}]{0,80})\}",
    re.IGNORECASE,
)
_LINE: Final = re.compile(
    r"(?:^|[.;,{(!。、])[ \t>*#\"'`_-]{0,12}(?:(?:final|overall|my|the|is|given|candidate|proposed)[ _]{1,3}){0,3}"
    r"(?P<key>[a-z_]{5,12})[\"'`*_]{0,6}[ \t]{0,4}(?:[:=]|is\b|[-–—](?=[ \t]))[ \t*_]{0,8}"
    r"(?:(?P<mark>[\"'`])(?P<quoted>[^\"'`\n]{0,80})(?P=mark)|(?P<bare>[^\s\"'`.;{}][^\"'`.;{}\n]{0,80}?))"
    r"(?=[ \t]{0,4}(?:[\"'`*;}!。]|\.(?!\d)|$|,\s{0,4}[\"']))",
    re.IGNORECASE | re.MULTILINE,
)
"""A line or a clause that names a verdict: `**Final verdict:** wrong`, `'grounded': False`, `The answer is wrong`. The
value goes on to the clause's end."""
_BETWEEN: Final = re.compile(r"[,.;!()/。、]|\s[-–—]\s|(?<=[✅✔✓❌✗✘])|(?=[✅✔✓❌✗✘])")
_DEEPEST: Final = 8
_MOST_OBJECTS: Final = 200


def parse_reply(kind: Kind, text: str | None) -> Ruling:
    """Read a judge's raw reply: JSON anywhere in it (in JSON too), a tag, a line `verdict: correct`, or the bare word.

    Thoughts, code fences, emphasis and full-width letters are looked through. All that the rest of the reply says must
    say the same: one that says both yes and no, or that names a verdict which cannot be read, is unknown, and so is
    everything else. Time is linear in the text.
    """
    if not text:
        return Ruling.UNKNOWN
    rulings = frozenset(_read(kind, text, _DEEPEST))
    return next(iter(rulings)) if len(rulings) == 1 else Ruling.UNKNOWN


def _read(kind: Kind, text: str, depth: int) -> Iterator[Ruling]:
    """Each thing that the text says, in its visible part."""
    text = text.strip()
    whole = _loaded(text)
    if isinstance(whole, _Object | str):
        yield from _from_json(kind, whole, depth)
        return
    text = _without_thoughts(text)
    if len(text) > MAX_REPLY:
        yield Ruling.UNKNOWN
        return
    # As it stands first: in a string of JSON another kind of quotation mark is none.
    rest = yield from _from_objects(kind, text, depth)
    rest = yield from _from_objects(kind, _TOKENS.sub("\n", rest.translate(_PLAIN)), depth)
    for match in _TAG.finditer(rest):
        name, boxed = (match["key"] or "").lower(), match["boxed"]
        ruling = _from_value(match["value"] if boxed is None else boxed)
        if name in _KEYS[kind]:
            yield ruling or Ruling.UNKNOWN
        elif ruling is not None and (boxed is not None or name in _LOOSE | _HOLDERS):
            yield ruling
    rest = _FENCE.sub("\n", _TAG.sub("\n", rest))
    for match in _LINE.finditer(rest):
        yield from _from_entry(kind, match["key"], match["bare"] or match["quoted"] or "", 0)
    for line in dict.fromkeys(rest.splitlines()):
        ruling = _from_value(line)
        # The number of a list is no verdict; a number alone is.
        if ruling is not None and (not line.strip(" .*").isdigit() or line.strip() == rest.strip()):
            yield ruling


class _Object(tuple[tuple[str, Any], ...]):
    """An object of JSON as pairs: a key may stand in it twice."""


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_Object)


def _loaded(text: str) -> Any:
    """The JSON value that the whole text is, None where it is none."""
    try:
        return _DECODER.decode(text.removeprefix("```json").removeprefix("```").removesuffix("```").strip())
    except (ValueError, RecursionError):
        return None


def _without_thoughts(text: str) -> str:
    """The text before the thinking and after it: all up to its last end is thought, and so is what never ends."""
    marks = list(_THOUGHT.finditer(text))
    ends = [mark for mark in marks if mark["end"] or mark["final"]]
    if not ends:
        return text[: marks[0].start()] if marks else text
    before = text[: marks[0].start()] if marks[0] is not ends[0] else ""
    opened = [mark.start() for mark in marks if mark.start() >= ends[-1].end()]
    return f"{before}\n{text[ends[-1].end() : opened[0] if opened else None]}"


def _from_objects(kind: Kind, text: str, depth: int) -> Generator[Ruling, None, str]:
    """What the JSON objects in a text say; returns the rest of it. Too many places to try, or too deep, are unknown."""
    rest, position, tries = [], 0, 0
    while (start := text.find("{", position)) >= 0:
        tries += 1
        if tries > _MOST_OBJECTS:
            yield Ruling.UNKNOWN
            break
        rest.append(text[position:start])
        try:
            value, position = _DECODER.raw_decode(text, start)
        except ValueError:
            rest.append("{")
            position = start + 1
        except RecursionError:
            yield Ruling.UNKNOWN
            break
        else:
            rest.append("\n")
            yield from _from_json(kind, value, depth)
    return "".join([*rest, text[position:]])


def _from_json(kind: Kind, value: Any, depth: int) -> Iterator[Ruling]:
    if depth == 0:
        yield Ruling.UNKNOWN
    elif isinstance(value, _Object):
        for key, entry in value:
            yield from _from_entry(kind, key, entry, depth)
    elif isinstance(value, list):
        for entry in value:
            if not isinstance(entry, str):
                yield from _from_json(kind, entry, depth - 1)
    elif isinstance(value, str):
        yield from _read(kind, value, depth - 1)


def _from_entry(kind: Kind, key: str, entry: Any, depth: int) -> Iterator[Ruling]:
    """What an entry of an object, or a line of text, says; nothing where it is about something else."""
    name = "_".join(key.translate(_PLAIN).lower().replace("_", " ").split())
    asked, held = name in _KEYS[kind], name in _LOOSE or name in _HOLDERS
    inner = entry
    if isinstance(entry, str) and (asked or held) and entry.lstrip()[:1] in ("{", "[", '"', "`"):
        inner = _loaded(entry.strip())
    if isinstance(inner, _Object | list) and depth > 0:
        rulings = list(_from_json(kind, inner, depth - 1))
    else:
        ruling, words = _from_value(entry), set(_words(entry))
        sure = asked or not words & (_BARE if name in _HOLDERS else {"0", "1"})
        rulings = [ruling] if ruling is not None and (asked or held) and sure else []
    yield from rulings or [Ruling.UNKNOWN] * asked


def _words(value: object) -> list[str]:
    """What a value says, clause by clause, in small letters and without marks around it."""
    if not isinstance(value, str | bool | int) or (isinstance(value, str) and len(value) > 200):
        return []
    text = " ".join(str(value)[:200].translate(_PLAIN).lower().replace("_", " ").split()).replace("\ufe0f", "")
    return [word for part in _BETWEEN.split(text) if (word := part.strip(" *`\"'#[]{}【】"))]


def _from_value(value: object) -> Ruling | None:
    """What a value says of itself; None where it is no verdict. Every clause of it must say the same."""
    if value is None:
        return Ruling.UNKNOWN
    rulings = {
        Ruling.YES if word in _YES else Ruling.NO if word in _NO else Ruling.UNKNOWN if word in _UNKNOWN else None
        for word in _words(value)
    }
    if None in rulings or not rulings:
        return None
    return rulings.pop() if len(rulings) == 1 else Ruling.UNKNOWN
