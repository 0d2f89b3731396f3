"""From a model's message to an action: native tool calls first, then one tolerant tag grammar.

The tag grammar is for models without tools. It reads `<tool_call>{json}</tool_call>` (Hermes, DeepEyes's
`image_zoom_in_tool`), `<gaze>[x1, y1, x2, y2]</gaze>`, `<text_search>q</text_search>`, `<image_search/>` and
MMSearch-R1's `<search><img></search>`. Nothing is ever evaluated; whatever does not parse is a `Mistake`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from gog.schemas import Frame, Function, Message, Tool, ToolCall, plain

MAX_QUERY = 400
"""Characters of a text query."""

FRAME_TEXT: Mapping[Frame, str] = {
    Frame.PER_MILLE: "in thousandths of the image's width and height (0 to 1000)",
    Frame.FRACTION: "in fractions of the image's width and height (0 to 1)",
    Frame.PIXELS: "in pixels of the image",
    Frame.RESIZED_PIXELS: "in pixels of the image",
}


def tool_schemas(frame: Frame) -> tuple[dict[str, JsonValue], ...]:
    """The three tools in OpenAI's form; the box's description names the frame."""
    box: dict[str, JsonValue] = {
        "type": "array",
        "items": {"type": "number"},
        "minItems": 4,
        "maxItems": 4,
        "description": f"[x1, y1, x2, y2], {FRAME_TEXT[frame]}, origin at the top left.",
    }
    label: JsonValue = {"type": "string", "description": "What you expect to see there."}
    image: JsonValue = {
        "type": "integer",
        "description": "Number of the image: 0 is the original, then each crop.",
    }
    query: JsonValue = {"type": "string", "description": "What to search for."}
    return (
        _tool(Tool.TEXT_SEARCH, "Search text for a fact.", {"query": query}, ["query"]),
        _tool(Tool.IMAGE_SEARCH, "Search with the whole image: the glance.", {}, []),
        _tool(
            Tool.GAZE,
            "Crop one region of an image and search with the crop.",
            {"bbox_2d": box, "label": label, "image": image},
            ["bbox_2d"],
        ),
    )


def _tool(
    name: Tool, description: str, properties: dict[str, JsonValue], required: list[JsonValue]
) -> dict[str, JsonValue]:
    parameters: dict[str, JsonValue] = {"type": "object", "properties": properties, "required": required}
    return {
        "type": "function",
        "function": {"name": name.value, "description": description, "parameters": parameters},
    }


@dataclass(frozen=True, slots=True)
class Call:
    """A well-formed tool call. `arguments` are normalised: `query`, or `bbox_2d`, `label` and `image`."""

    tool: Tool
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
    """What a turn does. `message` is the turn in canonical form; `ignored` are the ids of calls after the first.

    `slip` is the code of what is wrong with a call that is done all the same: nobody is to learn from such a turn.
    """

    message: Message
    action: Call | Answer | Mistake
    ignored: tuple[str, ...] = ()
    slip: str = ""


MAX_CALLS = 8
"""Calls of one turn that are kept in its message; only the first one is done."""

_THINK = re.compile(r"<(/?)(?:think|thinking|reason)>", re.IGNORECASE)
ANSWER_TAG = re.compile(r"<answer>([^<]*(?:<(?!/?answer>)[^<]*)*)</answer>", re.IGNORECASE)
_TAGS = re.compile(
    r"<tool_call>(?P<json>[^<]*(?:<(?!/?tool_call>)[^<]*)*)(?:</tool_call>)?"
    r"|<gaze>(?P<gaze>[^<]*)</gaze>"
    r"|<text_search>(?P<text>[^<]*(?:<(?!/?text_search>)[^<]*)*)</text_search>"
    r"|<(?P<image>image_search)\s*/?>(?:\s*</image_search>)?"
    r"|<search>\s*(?P<img><img>)\s*</search>",
    re.IGNORECASE,
)
"""The tags of a call. No part runs across the next tag of its kind, so that the time stays linear in the text."""

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_NAMES = {"image_zoom_in_tool": Tool.GAZE.value, "search": Tool.TEXT_SEARCH.value}
_KNOWN = frozenset(tool.value for tool in Tool)
_MAX_BRACKETS = 64
_UNREADABLE = frozenset({"bad_json", "unknown_tool"})


def parse_turn(message: Message, turn: int) -> Parsed:
    """Read an assistant message; `turn` makes the ids of its calls.

    A turn that calls a tool and answers at once is a call: the answer waits until it has seen the result. In the
    canonical message a well-formed call has the tool's own name, normalised arguments and the id `call_TURN_INDEX`.
    A call that cannot be read stays text: no chat template and no server takes it in a history as a call.
    """
    content, thought = split_reasoning(message)
    said = Message(role="assistant", content=content, reasoning_content=thought or None)
    asked = [(call.function.name, call.function.arguments) for call in message.tool_calls]
    as_text = "\n".join(filter(None, [*(tag_of(name, arguments) for name, arguments in asked), content]))
    if not asked:
        asked, content = _lift_tags(said.text)
        as_text = said.text
    if not asked:
        return _read_answer(said)
    calls, action = _read_calls(asked[:MAX_CALLS], turn)
    if isinstance(action, Mistake) and action.code in _UNREADABLE:
        return Parsed(said.model_copy(update={"content": as_text}), action)
    said = said.model_copy(update={"content": content, "tool_calls": calls})
    slip = "several_calls" if len(asked) > 1 else "answer_with_call" if ANSWER_TAG.search(content) else ""
    return Parsed(said, action, tuple(call.id for call in calls[1:]), slip)


def _read_answer(said: Message) -> Parsed:
    answers = ANSWER_TAG.findall(said.text)
    if not answers:
        return Parsed(said, Mistake("no_action", "A turn calls one tool or ends with <answer>...</answer>."))
    text = str(answers[-1]).strip()
    if not text:
        return Parsed(said, Mistake("empty_answer", "The answer is empty."))
    return Parsed(said, Answer(text))


def split_reasoning(message: Message) -> tuple[str, str]:
    """Content and reasoning: every thought in the content moves to the reasoning, an unfinished one too.

    Text before a closing tag without an opening one is a thought: some templates open it in the prompt.
    """
    content: list[str] = []
    thought = [part.strip() for part in _THINK.split(message.reasoning_content or "")[::2]]
    texts, slashes = (parts := _THINK.split(message.text))[::2], parts[1::2]
    inside = bool(slashes) and slashes[0] == "/"
    for text, slash in zip(texts, [*slashes, ""], strict=True):
        (thought if inside else content).append(text.strip())
        inside = slash == ""
    return "\n".join(filter(None, content)), "\n".join(filter(None, thought))


def _lift_tags(text: str) -> tuple[list[tuple[str, str]], str]:
    """Name and arguments of each call written as a tag, and the text without them."""
    calls = [_tag_call(found) for found in _TAGS.finditer(text) if found["json"] is None or found["json"].strip()]
    return calls, (_TAGS.sub("\n", text).strip() if calls else text)


def _tag_call(found: re.Match[str]) -> tuple[str, str]:
    if found["gaze"] is not None:
        numbers = [float(n) for n in _NUMBER.findall(found["gaze"])]
        return Tool.GAZE.value, json.dumps({"bbox_2d": [int(n) if n.is_integer() else n for n in numbers]})
    if found["text"] is not None:
        return Tool.TEXT_SEARCH.value, json.dumps({"query": found["text"].strip()}, ensure_ascii=False)
    if found["json"] is None:
        return Tool.IMAGE_SEARCH.value, "{}"
    loaded = load_object(found["json"])
    if loaded is None:
        return "", found["json"]
    arguments = loaded.get("arguments", loaded.get("parameters", {}))
    as_text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return str(loaded.get("name", ""))[:100], as_text


def tag_of(name: str, arguments: str) -> str:
    """A native call as the tag that reads the same."""
    written = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False).replace("<", "\\u003c")
    return f"<tool_call>\n{written}\n</tool_call>"


def load_object(text: str) -> dict[str, Any] | None:
    """The JSON object in the text, as UTF-8 and strict JSON can hold it; None when it is none."""
    if text.count("[") + text.count("{") > _MAX_BRACKETS:
        return None
    try:
        loaded = plain(json.loads(text))
    except ValueError:
        return None
    return loaded if isinstance(loaded, dict) else None


def _read_calls(asked: list[tuple[str, str]], turn: int) -> tuple[tuple[ToolCall, ...], Call | Mistake]:
    """The calls in canonical form, and what the first one does; later ones that cannot be read are left out."""
    calls: list[ToolCall] = []
    first: Call | Mistake | None = None
    for name, arguments in asked:
        call_id = f"call_{turn}_{len(calls)}"
        name = _NAMES.get(name, name)
        loaded = {} if arguments.strip() in {"", "null"} else load_object(arguments)
        action = _read_call(name, loaded, call_id)
        first = first or action
        if isinstance(action, Mistake) and action.code in _UNREADABLE:
            if first is action:
                break
            continue
        final = action.arguments if isinstance(action, Call) else loaded
        function = Function(name=name, arguments=json.dumps(final, ensure_ascii=False))
        calls.append(ToolCall(id=call_id, function=function))
    assert first is not None
    return tuple(calls), first


def _read_call(name: str, arguments: dict[str, Any] | None, call_id: str) -> Call | Mistake:
    if arguments is None:
        return Mistake("bad_json", "The call is not JSON, or its arguments are not a JSON object.")
    if name not in _KNOWN:
        known = ", ".join(tool.value for tool in Tool)
        return Mistake("unknown_tool", f"There is no tool {name[:60]!r}; the tools are {known}.")
    match Tool(name):
        case Tool.IMAGE_SEARCH:
            return Call(Tool.IMAGE_SEARCH, {}, call_id)
        case Tool.TEXT_SEARCH:
            return _read_query(arguments, call_id)
        case Tool.GAZE:
            return _read_gaze(arguments, call_id)


def _read_query(arguments: dict[str, Any], call_id: str) -> Call | Mistake:
    query = arguments.get("query")
    if isinstance(query, list) and len(query) == 1:
        query = query[0]
    if not isinstance(query, str) or not query.strip():
        return Mistake("bad_arguments", "text_search needs a query: a text that is not empty.", call_id)
    return Call(Tool.TEXT_SEARCH, {"query": " ".join(query.split())[:MAX_QUERY].strip()}, call_id)


def _read_gaze(arguments: dict[str, Any], call_id: str) -> Call | Mistake:
    raw = arguments.get("bbox_2d", arguments.get("bbox"))
    if isinstance(raw, str):
        raw = _numbers(raw)
    if isinstance(raw, list) and len(raw) == 1 and isinstance(raw[0], list):
        raw = raw[0]
    if not (isinstance(raw, list) and len(raw) == 4 and all(_is_number(v) for v in raw)):
        return Mistake("bad_arguments", "gaze needs bbox_2d: a list of four numbers [x1, y1, x2, y2].", call_id)
    image = arguments.get("image", arguments.get("img_idx"))
    if isinstance(image, float) and image.is_integer():
        image = int(image)
    if image is None:
        image = 0
    if not isinstance(image, int) or isinstance(image, bool) or not 0 <= image < _LIMIT:
        return Mistake("bad_arguments", "image is the number of an image: 0, 1, 2, ...", call_id)
    label = arguments.get("label")
    box: list[JsonValue] = list(raw)
    words = " ".join(label.split())[:200].strip() if isinstance(label, str) else ""
    return Call(Tool.GAZE, {"bbox_2d": box, "label": words, "image": image}, call_id)


_LIMIT = 10**9
_LISTED = re.compile(r"\s*[\[(]?([-+0-9., eE\s]*)[\])]?\s*")


def _numbers(text: str) -> list[Any] | None:
    """Numbers written as text, in brackets or without."""
    found = _LISTED.fullmatch(text[:200])
    try:
        return [json.loads(part) for part in found[1].split(",")] if found else None
    except ValueError:
        return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LIMIT


def plain_text(message: Message) -> str:
    """Reasoning and content of a message as one text."""
    return "\n".join(part for part in (message.reasoning_content or "", message.text) if part)
