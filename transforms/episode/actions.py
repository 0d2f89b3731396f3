"""From a model's message to an action: native tool calls first, then one tolerant tag grammar.

The tag grammar is for models without tools. It reads `<tool_call>{json}</tool_call>` (Hermes, DeepEyes's
`image_zoom_in_tool`), `<gaze>[x1, y1, x2, y2]</gaze>`, `<text_search>q</text_search>`, `<image_search/>` and
MMSearch-R1's `<search><img></search>`. Nothing is ever evaluated; whatever does not parse is a `Mistake`.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from gog.schemas import Frame, Function, Message, TextPart, Tool, ToolCall

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
    """What a turn does. `message` is the turn in canonical form; `ignored` are the ids of calls after the first."""

    message: Message
    action: Call | Answer | Mistake
    ignored: tuple[str, ...] = ()


_THINK = re.compile(r"^\s*(?:<think>)?(.*?)</think>\s*", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_TAGS = re.compile(
    r"<tool_call>(?P<json>.*?)(?:</tool_call>|\Z)"
    r"|<gaze>(?P<gaze>.*?)</gaze>"
    r"|<text_search>(?P<text>.*?)</text_search>"
    r"|<(?P<image>image_search)\s*/?>(?:\s*</image_search>)?"
    r"|<search>\s*(?P<img><img>)\s*</search>",
    re.DOTALL | re.IGNORECASE,
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NAMES = {"image_zoom_in_tool": Tool.GAZE.value, "search": Tool.TEXT_SEARCH.value}


def parse_turn(message: Message, turn: int) -> Parsed:
    """Read an assistant message; `turn` makes ids for calls that come without one.

    A turn that calls a tool and answers at once is a call: the answer waits until it has seen the result.
    """
    message = _split_reasoning(message)
    if not message.tool_calls:
        message = _lift_tags(message, turn)
    if message.tool_calls:
        first = message.tool_calls[0]
        action: Call | Mistake | Answer = _read_call(first)
        return Parsed(message, action, tuple(call.id for call in message.tool_calls[1:]))
    answers = _ANSWER.findall(message.text)
    if not answers:
        return Parsed(message, Mistake("no_action", "A turn calls one tool or ends with <answer>...</answer>."))
    text = str(answers[-1]).strip()
    if not text:
        return Parsed(message, Mistake("empty_answer", "The answer is empty."))
    return Parsed(message, Answer(text))


def _split_reasoning(message: Message) -> Message:
    """Move a leading `<think>` block into `reasoning_content`; content becomes plain text."""
    text = message.text
    reasoning = message.reasoning_content
    if found := _THINK.match(text):
        reasoning = "\n".join(part for part in ((reasoning or "").strip(), found[1].strip()) if part)
        text = text[found.end() :]
    calls = tuple(
        call if call.id else call.model_copy(update={"id": f"call_{index}"})
        for index, call in enumerate(message.tool_calls)
    )
    return Message(role="assistant", content=text.strip(), reasoning_content=reasoning or None, tool_calls=calls)


def _lift_tags(message: Message, turn: int) -> Message:
    """Turn tags into native tool calls and take them out of the content."""
    text = message.text
    calls = []
    for index, found in enumerate(_TAGS.finditer(text)):
        name, arguments = _tag_call(found)
        calls.append(ToolCall(id=f"call_{turn}_{index}", function=Function(name=name, arguments=arguments)))
    if not calls:
        return message
    rest = _TAGS.sub("", text)
    return message.model_copy(update={"content": rest.strip(), "tool_calls": tuple(calls)})


def _tag_call(found: re.Match[str]) -> tuple[str, str]:
    if found["gaze"] is not None:
        numbers = [float(n) for n in _NUMBER.findall(found["gaze"])]
        return Tool.GAZE.value, json.dumps({"bbox_2d": numbers})
    if found["text"] is not None:
        return Tool.TEXT_SEARCH.value, json.dumps({"query": found["text"].strip()}, ensure_ascii=False)
    if found["json"] is not None:
        loaded = _load(found["json"])
        if isinstance(loaded, dict):
            arguments = loaded.get("arguments", {})
            as_text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
            return str(loaded.get("name", "")), as_text
        return "", found["json"].strip()
    return Tool.IMAGE_SEARCH.value, "{}"


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read_call(call: ToolCall) -> Call | Mistake:
    name = _NAMES.get(call.function.name, call.function.name)
    if name not in {tool.value for tool in Tool}:
        known = ", ".join(tool.value for tool in Tool)
        return Mistake("unknown_tool", f"There is no tool {name[:60]!r}; the tools are {known}.", call.id)
    arguments = _load(call.function.arguments or "{}")
    if not isinstance(arguments, dict):
        return Mistake("bad_json", "The arguments are not a JSON object.", call.id)
    match Tool(name):
        case Tool.IMAGE_SEARCH:
            return Call(Tool.IMAGE_SEARCH, {}, call.id)
        case Tool.TEXT_SEARCH:
            return _read_query(arguments, call.id)
        case Tool.GAZE:
            return _read_gaze(arguments, call.id)


def _read_query(arguments: dict[str, Any], call_id: str) -> Call | Mistake:
    query = arguments.get("query")
    if isinstance(query, list) and len(query) == 1:
        query = query[0]
    if not isinstance(query, str) or not query.strip():
        return Mistake("bad_arguments", "text_search needs a query: a text that is not empty.", call_id)
    return Call(Tool.TEXT_SEARCH, {"query": " ".join(query.split())[:MAX_QUERY]}, call_id)


def _read_gaze(arguments: dict[str, Any], call_id: str) -> Call | Mistake:
    raw = arguments.get("bbox_2d", arguments.get("bbox"))
    if isinstance(raw, str):
        raw = _load(raw) if raw.lstrip().startswith("[") else [_load(part) for part in raw.split(",")]
    if isinstance(raw, list) and len(raw) == 1 and isinstance(raw[0], list):
        raw = raw[0]
    if not (isinstance(raw, list) and len(raw) == 4 and all(_is_number(v) for v in raw)):
        return Mistake("bad_arguments", "gaze needs bbox_2d: a list of four numbers [x1, y1, x2, y2].", call_id)
    image = arguments.get("image", arguments.get("img_idx", 0))
    if isinstance(image, float) and image.is_integer():
        image = int(image)
    if not isinstance(image, int) or isinstance(image, bool) or image < 0:
        return Mistake("bad_arguments", "image is the number of an image: 0, 1, 2, ...", call_id)
    label = arguments.get("label", "")
    box: list[JsonValue] = list(raw)
    return Call(Tool.GAZE, {"bbox_2d": box, "label": str(label)[:200], "image": image}, call_id)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def plain_text(message: Message) -> str:
    """Reasoning and content of a message as one text."""
    content = message.content if isinstance(message.content, str) else _texts(message.content)
    return "\n".join(part for part in (message.reasoning_content or "", content) if part)


def _texts(parts: tuple[Any, ...]) -> str:
    return "\n".join(part.text for part in parts if isinstance(part, TextPart))
