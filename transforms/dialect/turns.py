"""From a model's message to an action: native tool calls first, then one tolerant tag grammar.

The tag grammar is for models without tools. It reads `<tool_call>{json}</tool_call>` (Hermes, DeepEyes's
`image_zoom_in_tool`), XML in its place (`xml_calls` beside this), `<gaze>[x1, y1, x2, y2]</gaze>`,
`<text_search>q</text_search>`, `<image_search/>` and MMSearch-R1's `<search><img></search>`. Nothing is ever evaluated;
whatever does not parse is a `Mistake`.
"""

import json
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

from pydantic import JsonValue

from gog.schemas import Frame, Function, Message, ToolCall, plain
from gog.transforms.dialect.xml_calls import XML_AROUND, XML_CALL, read_xml

FRAME_TEXT: Mapping[Frame, str] = {
    Frame.PER_MILLE: "in thousandths of the image's width and height (0 to 1000)",
    Frame.FRACTION: "in fractions of the image's width and height (0 to 1)",
    Frame.PIXELS: "in pixels of the image",
    Frame.RESIZED_PIXELS: "in pixels of the image",
}


class ToolForm(Protocol):
    """How the calls of a tool are written. `gog.transforms.episode.tool.Tool` says what its parts are."""

    @property
    def name(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...

    @property
    def tag(self) -> str: ...

    def read_tag(self, body: str) -> dict[str, JsonValue]: ...

    def read(self, arguments: Mapping[str, Any]) -> dict[str, JsonValue] | str: ...


@dataclass(frozen=True, slots=True)
class Call:
    """A well-formed call of the tool of that name. `arguments` are normalised, as the tool reads them."""

    tool: str
    arguments: dict[str, JsonValue]
    call_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The final answer, as written between the tags."""

    text: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """The model's own error: a code for the row and a sentence for the model."""

    code: str
    detail: str
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a turn does. `message` is the turn in canonical form; `ignored` are the ids of calls beyond those allowed.

    `slip` is the code of what is wrong with a turn whose calls are done all the same: nobody is to learn from it.
    """

    message: Message
    actions: tuple[Call | Answer | Mistake, ...]
    """Its calls in their order, each well-formed or a mistake; or its answer; or the mistake that it is."""
    ignored: tuple[str, ...] = ()
    slip: str = ""

    @property
    def action(self) -> Call | Answer | Mistake:
        """The first of them."""
        return self.actions[0]


MAX_CALLS = 8
"""Calls of one turn that are kept in its message; no episode does more."""

_THINK = re.compile(r"<(/?)(?:think|thinking|reason)>", re.IGNORECASE)
_CHANNELS = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>analysis(?:<\|constrain\|>\w*)?<\|message\|>(?P<harmony>.*?)"
    r"(?:<\|end\|>|(?=<\|(?:start|channel)\|>)|\Z)"
    r"|<\|channel>thought\b(?P<gemma>.*?)(?:<channel\|>|\Z)"
    r"|(?P<final>(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>)",
    re.IGNORECASE | re.DOTALL,
)
"""Thoughts in channels of Harmony and Gemma, and the head of what is no thought."""
_SPELLINGS = re.compile(r"<(/?)\w{1,20}:think>|\[(/?)THINK\]|◁(/?)think▷")
ANSWER_TAG = re.compile(r"<answer>([^<]*(?:<(?!/?answer>)[^<]*)*)</answer>", re.IGNORECASE)
_MAX_BRACKETS = 64
_UNREADABLE = frozenset({"bad_json", "unknown_tool"})
_UNREADABLE_SHOWN = 1000
"""Characters of arguments that are no JSON, kept in the history."""
_AS_WRITTEN = "unreadable"
_NAME = re.compile(r"[\w.-]{1,64}")
_NAMESPACE = re.compile(r"[.:/]|__")
_NUMBER = re.compile(r"[:_]\d{1,4}$")
_ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|endoftext|>", "<end_of_turn>", "</s>"),
    *("<|user|>", "<|observation|>"),
)
"""Tokens that end a turn."""


def parse_turn(message: Message, turn: int, tools: tuple[ToolForm, ...], most: int = 1) -> Parsed:
    """Read an assistant message; `turn` makes the ids of its calls, `tools` are those that are known.

    At most `most` of its calls are read, those after them are ignored.

    A turn that calls a tool and answers at once is a call: the answer waits until it has seen the result. In the
    canonical message a well-formed call has the tool's own name, normalised arguments and the id `call_TURN_INDEX`.
    A native call that cannot be read stays a call, with what was written as its one argument, and is answered as one;
    so does a tag beside one that can be read. Where none can, tags stay text.
    """
    content, thought = split_reasoning(message)
    said = Message(role="assistant", content=content, reasoning_content=thought or None)
    asked = [(call.function.name, call.function.arguments) for call in message.tool_calls]
    native = bool(asked)
    if not native:
        asked, content = _lift_tags(said.text, tools)
    if not asked:
        return _read_answer(said)
    calls, actions = _read_calls(asked[:MAX_CALLS], most, turn, tools, native)
    if not native and all(map(_is_unreadable, actions)):
        mistake = actions[0]
        assert isinstance(mistake, Mistake)
        return Parsed(said, (replace(mistake, call_id=None),))
    said = said.model_copy(update={"content": content, "tool_calls": calls})
    slip = "several_calls" if len(asked) > most else "answer_with_call" if ANSWER_TAG.search(content) else ""
    return Parsed(said, actions, tuple(call.id for call in calls[len(actions) :]), slip)


def _read_answer(said: Message) -> Parsed:
    answers = ANSWER_TAG.findall(said.text)
    if not answers:
        return Parsed(said, (Mistake("no_action", "A turn calls one tool or ends with <answer>...</answer>."),))
    text = str(answers[-1]).strip()
    if not text:
        return Parsed(said, (Mistake("empty_answer", "The answer is empty."),))
    return Parsed(said, (Answer(text),))


def split_reasoning(message: Message) -> tuple[str, str]:
    """Content and reasoning: every thought in the content moves to the reasoning, an unfinished one too.

    Text before a closing tag without an opening one is a thought: some templates open it in the prompt. Thoughts are
    those of Harmony's analysis channel too, and of other families' own tags.
    """
    content: list[str] = []
    thought = [part.strip() for part in _THINK.split(message.reasoning_content or "")[::2]]
    texts, slashes = (parts := _THINK.split(_tagged(message.text)))[::2], parts[1::2]
    inside = bool(slashes) and slashes[0] == "/"
    for text, slash in zip(texts, [*slashes, ""], strict=True):
        (thought if inside else content).append(text.strip())
        inside = slash == ""
    return "\n".join(filter(None, content)), "\n".join(filter(None, thought))


def _tagged(text: str) -> str:
    """The text with its thoughts in tags, however its family writes them."""
    text = _SPELLINGS.sub(lambda found: f"<{'/' if '/' in found[0] else ''}think>", text)
    return _CHANNELS.sub(_channel, text)


def _channel(found: re.Match[str]) -> str:
    if found["final"]:
        return ""
    return f"<think>{_THINK.sub('', found['harmony'] or found['gemma'] or '')}</think>"


@cache
def _grammar(tools: tuple[ToolForm, ...]) -> re.Pattern[str]:
    """The tags of a call. No part may run across the next tag of its kind: the time stays linear in the text."""
    tagged = "".join(f"|(?P<t{number}>{tool.tag})" for number, tool in enumerate(tools) if tool.tag)
    json_tag = r"<tool_call>(?P<json>[^<]*(?:<(?!/?tool_call>)[^<]*)*)(?:</tool_call>)?"
    return re.compile(f"{json_tag}|(?P<xml>{XML_CALL}){tagged}", re.IGNORECASE)


def _lift_tags(text: str, tools: tuple[ToolForm, ...]) -> tuple[list[tuple[str, str]], str]:
    """Name and arguments of each call written as a tag, and the text without them."""
    tags = _grammar(tools)
    calls = [_tag_call(tag, tools) for tag in tags.finditer(text) if tag["json"] is None or tag["json"].strip()]
    if calls:
        text = XML_AROUND.sub("", text)
    return calls, (tags.sub("\n", text).strip() if calls else text)


def _tag_call(tag: re.Match[str], tools: tuple[ToolForm, ...]) -> tuple[str, str]:
    if (xml := read_xml(tag["xml"] or tag["json"] or "")) is not None:
        return xml
    if tag["json"] is None:
        tool = next(tool for number, tool in enumerate(tools) if tool.tag and tag[f"t{number}"] is not None)
        whole = re.fullmatch(tool.tag, tag[0], re.IGNORECASE)
        body = "".join(whole.groups("")) if whole else ""
        return tool.name, json.dumps(tool.read_tag(body), ensure_ascii=False)
    loaded = load_object(tag["json"])
    if loaded is None:
        return "", tag["json"]
    function = loaded.get("function")
    loaded = function if isinstance(function, dict) else loaded  # OpenAI's own form
    arguments = loaded.get("arguments", loaded.get("parameters", {}))
    as_text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return str(loaded.get("name", ""))[:100], as_text


def tag_of(name: str, arguments: str) -> str:
    """A native call as the tag that reads the same."""
    written = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False).replace("<", "\\u003c")
    return f"<tool_call>\n{written}\n</tool_call>"


def load_object(text: str) -> dict[str, Any] | None:
    """The JSON object in the text, as UTF-8 and strict JSON can hold it; None when it is none.

    In a fence, before a token that ends a turn, or once more as a JSON string it is the same object.
    """
    if text.count("[") + text.count("{") > _MAX_BRACKETS:
        return None
    loaded: Any = text
    for _ in range(2):
        try:
            loaded = plain(json.loads(_bare_json(loaded)))
        except ValueError:
            return None
        if not isinstance(loaded, str):
            break
    return loaded if isinstance(loaded, dict) else None


def _bare_json(text: str) -> str:
    text = text.strip()
    for end in _ENDS:
        text = text.removesuffix(end).rstrip()
    if text.startswith("```") and text.endswith("```"):
        text = text.strip("`").removeprefix("json")
    return text


def _read_calls(
    asked: list[tuple[str, str]], most: int, turn: int, tools: tuple[ToolForm, ...], native: bool
) -> tuple[tuple[ToolCall, ...], tuple[Call | Mistake, ...]]:
    """The calls in canonical form, and what the first `most` do; of the others what cannot be read is left out."""
    calls: list[ToolCall] = []
    actions: list[Call | Mistake] = []
    by_name = {tool.name: tool for tool in tools}
    aliases = {alias: tool.name for tool in tools for alias in tool.aliases if alias not in by_name}
    for place, (name, arguments) in enumerate(asked):
        call_id = f"call_{turn}_{len(calls)}"
        name = _own_name(name, by_name.keys() | aliases.keys())
        name = aliases.get(name, name)
        if (native or most > 1) and not _NAME.fullmatch(name):
            name = "unknown"
        loaded = {} if arguments.strip() in {"", "null"} else load_object(arguments)
        action = _read_call(name, loaded, call_id, by_name)
        if _is_unreadable(action):
            if place >= most:
                continue
            loaded = {_AS_WRITTEN: arguments[:_UNREADABLE_SHOWN]} if loaded is None else loaded
        if place < most:
            actions.append(action)
        final = action.arguments if isinstance(action, Call) else loaded
        function = Function(name=name, arguments=json.dumps(final, ensure_ascii=False))
        calls.append(ToolCall(id=call_id, function=function))
    return tuple(calls), tuple(actions)


def _is_unreadable(action: Call | Mistake) -> bool:
    return isinstance(action, Mistake) and action.code in _UNREADABLE


def _own_name(name: str, known: Set[str]) -> str:
    """The tool's own name where it is written with a namespace or a number (`functions.gaze:0`, `mcp__eyes__gaze`)."""
    if name in known:
        return name
    bare = _NUMBER.sub("", name.partition("<|")[0].strip())
    return next((part for part in (bare, _NAMESPACE.split(bare)[-1]) if part in known), name)


def _read_call(
    name: str, arguments: dict[str, Any] | None, call_id: str, tools: Mapping[str, ToolForm]
) -> Call | Mistake:
    if arguments is None or arguments.keys() == {_AS_WRITTEN}:
        return Mistake("bad_json", "The call is not JSON, or its arguments are not a JSON object.", call_id)
    if name not in tools:
        return Mistake("unknown_tool", f"There is no tool {name[:60]!r}; the tools are {', '.join(tools)}.", call_id)
    read = tools[name].read(arguments)
    return Mistake("bad_arguments", read, call_id) if isinstance(read, str) else Call(name, read, call_id)


def plain_text(message: Message) -> str:
    """Reasoning and content of a message as one text."""
    return "\n".join(part for part in (message.reasoning_content or "", message.text) if part)
