"""Reads the messages of an episode, as a model would: the question, what was done, what came back."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from gog.schemas import WHOLE, Box, BoxError, Frame, FrameSpec, Message, Reflection
from gog.schemas.boxes import from_frame, resolve
from gog.transforms.dialect.observations import HIT_LINE
from gog.transforms.dialect.turns import FRAME_TEXT
from gog.transforms.episode.reflection import reflection_of


class Came(StrEnum):
    """What came back from a turn."""

    HITS = "hits"
    NOTHING = "nothing"
    FAILED = "failed"
    ERROR = "error"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class ShownHit:
    """A search result as it was shown. `score` is None where the line has none."""

    title: str
    score: float | None
    snippet: str


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier turn. `box` (on the original) belongs to a gaze; `judged` is what the next turn said of the result."""

    tool: str
    query: str
    box: Box | None
    came: Came
    found: tuple[ShownHit, ...]
    text: str
    judged: Reflection | None = None

    @property
    def best(self) -> ShownHit | None:
        """The first result."""
        return self.found[0] if self.found else None

    @property
    def score(self) -> float:
        """Score of the first result, 0 without one."""
        return (self.found[0].score or 0.0) if self.found else 0.0


Size = tuple[int, int]
"""Width and height, in pixels."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """An episode so far. `width` and `height` are those of image 0, in pixels; `hints` are boxes on it.

    Of a question about several pictures the others are not looked at.
    """

    question: str
    image: str
    width: int
    height: int
    frame: Frame
    hints: tuple[Box, ...]
    past: tuple[Past, ...]
    last_turn: bool


_ASKED = re.compile(
    r"Image 0 \((\d{1,6}) x (\d{1,6}) pixels\)\.\s*((?:Image \d{1,3} \(\d{1,6} x \d{1,6} pixels\)\.\s*)*)"
    r"Question:\s?(.*)",
    re.DOTALL,
)
_HINT = re.compile(r"^\s*\d+\.\s*[\[(]([-\d., ]+)[\])]", re.MULTILINE)
_TURNS = re.compile(r"\bYou have (\d{1,4}) turns?\b")
_CLEAN = re.compile(r"[\ud800-\udfff]")


def read_dialogue(messages: Sequence[Message], *, max_turns: int = 8) -> Dialogue | None:
    """The episode in the messages; None when no question about an image is asked."""
    asked = _first_question(messages)
    if asked is None:
        return None
    at, (width, height), others, question = asked
    user = messages[at]
    system = "\n".join(m.text for m in messages[:at] if m.role == "system")
    frame = frame_of(system)
    parts = [part.text for part in user.content if part.type == "text"] if not isinstance(user.content, str) else []
    hints = _hints("\n".join(parts[1:]), frame, width, height)
    past = _read_past(messages[at + 1 :], frame, [(width, height), *others])
    turns = _TURNS.search(system)
    allowed = int(turns[1]) if turns else max_turns
    told = messages[-1].text if messages[-1].role != "assistant" else ""
    last_turn = len(past) >= allowed - 1 or "answer now" in told[-200:].lower()
    return Dialogue(question, user.images[0] if user.images else "", width, height, frame, hints, past, last_turn)


def _first_question(messages: Sequence[Message]) -> tuple[int, Size, list[Size], str] | None:
    """Where it is asked, the size of image 0, those of the question's others, and the question."""
    for at, message in enumerate(messages):
        if message.role != "user":
            continue
        parts = (
            [message.content]
            if isinstance(message.content, str)
            else [part.text for part in message.content if part.type == "text"]
        )
        for text in parts:
            if asked := _ASKED.match(text.lstrip()):
                others = [(int(size[1]), int(size[2])) for size in _CROP.finditer(asked[3])]
                return at, (int(asked[1]), int(asked[2])), others, _CLEAN.sub("", asked[4]).strip()
        if message.images:
            return at, (0, 0), [], _CLEAN.sub("", message.text).removeprefix("Question:").strip()
    return None


def frame_of(text: str) -> Frame:
    """The frame that a system prompt names for boxes; per mille when it names none."""
    for frame, words in FRAME_TEXT.items():
        if words in text:
            return frame
    return Frame.PER_MILLE


def _box(values: object, frame: Frame, width: int, height: int) -> Box | None:
    if not (isinstance(values, list) and len(values) == 4):
        return None
    try:
        return from_frame([float(v) for v in values], FrameSpec(frame), max(1, width), max(1, height))
    except (BoxError, TypeError, ValueError, OverflowError):
        return None


def _hints(text: str, frame: Frame, width: int, height: int) -> tuple[Box, ...]:
    boxes = []
    for hint in _HINT.finditer(text):
        try:
            values = [float(v) for v in hint[1].split(",")]
        except ValueError:
            continue
        if (box := _box(values, frame, width, height)) is not None:
            boxes.append(box)
    return tuple(boxes)


def _read_past(messages: Sequence[Message], frame: Frame, asked_about: Sequence[Size]) -> tuple[Past, ...]:
    """Pairs each assistant turn with what came back after it. `asked_about`: sizes of the question's pictures."""
    past: list[Past] = []
    images = [(WHOLE, *size) for size in asked_about]
    for at, message in enumerate(messages):
        if message.role != "assistant":
            continue
        words = (message.reasoning_content or "") + "\n" + message.text
        if past:
            past[-1] = replace(past[-1], judged=reflection_of(words))
        tool, arguments = _call(message)
        back = messages[at + 1] if at + 1 < len(messages) and messages[at + 1].role != "assistant" else None
        text = back.text if back is not None else ""
        box = _gazed(arguments, images, frame) if tool == "gaze" else None
        shown = back.images if back is not None else ()
        images += [(box or WHOLE, *size) for size in _shown_sizes(text, len(shown))]
        came, hits = _read_result(text)
        past.append(Past(tool, _text(arguments.get("query")), box, came, hits, text))
    return tuple(past)


def _call(message: Message) -> tuple[str, dict[str, Any]]:
    if not message.tool_calls:
        return "", {}
    function = message.tool_calls[0].function
    try:
        arguments = json.loads(function.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = {}
    return function.name, arguments if isinstance(arguments, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _gazed(arguments: dict[str, Any], images: Sequence[tuple[Box, int, int]], frame: Frame) -> Box | None:
    number = arguments.get("image", 0)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(images):
        return None
    parent, width, height = images[number]
    box = _box(arguments.get("bbox_2d"), frame, width, height)
    return resolve(box, parent) if box is not None else None


_CROP = re.compile(r"\((\d{1,6}) x (\d{1,6}) pixels\)")


def _shown_sizes(text: str, count: int) -> list[tuple[int, int]]:
    """Width and height of each image that came back, as the lines before the result say."""
    sizes = [(int(size[1]), int(size[2])) for size in _CROP.finditer(text[: 200 * count])][:count]
    return [*sizes, *[(1, 1)] * (count - len(sizes))]


def _read_result(text: str) -> tuple[Came, tuple[ShownHit, ...]]:
    lines = list(HIT_LINE.finditer(text))
    if lines:
        ends = [line.start() for line in lines[1:]] + [len(text)]
        return Came.HITS, tuple(
            ShownHit(line[2].strip(), _score(line[3]), " ".join(text[line.end() : end].split()))
            for line, end in zip(lines, ends, strict=True)
        )
    start = text[:300]
    if "already done" in start:
        return Came.REPEATED, ()
    if start.startswith("Error") or "one call a turn" in start:
        return Came.ERROR, ()
    return (Came.FAILED if " failed (" in start else Came.NOTHING), ()


def _score(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
