"""Reading a turn of any text: in time that is linear in it, and to a form that is read again as itself."""

import json
import re
import time
from typing import Any

import pytest
from fakes import called, said
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Function, Message, ToolCall
from gog.transforms.dialect.turns import (
    MAX_CALLS,
    Answer,
    Call,
    Mistake,
    Parsed,
    parse_turn,
)
from gog.transforms.episode.tools import BUILT_IN, known_tools

_N = 200_000
_ADVERSARIAL = [
    "<",
    "< ",
    "<answer>",
    "</answer>",
    "<answer><",
    "<gaze>",
    "<gaze>1",
    "<tool_call>",
    "<tool_call>{",
    "<text_search>",
    "<text_search><",
    "<search> ",
    "<search><img>",
    "<think>",
    "</think>",
    "<image_search ",
    "<image_search/>",
    "{",
    "[",
    '{"a":',
    "\\",
    " ",
    "9",
]


@pytest.mark.parametrize("piece", _ADVERSARIAL)
def test_time_is_linear_in_the_text(piece: str) -> None:
    """A fifth of a megabyte takes milliseconds; a quadratic reader would take minutes."""
    text = (piece * (_N // len(piece) + 1))[:_N]
    begun = time.process_time()
    parse_turn(said(text), 0, known_tools())
    parse_turn(said(f"<gaze>{text}</gaze><answer>{text}"), 0, known_tools())
    parse_turn(called("gaze", text), 0, known_tools())
    parse_turn(called("gaze", {"bbox_2d": text}), 0, known_tools())
    assert time.process_time() - begun < 5


_PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "<tool_call>",
        "</tool_call>",
        "<gaze>",
        "</gaze>",
        "<text_search>",
        "</text_search>",
        "<image_search/>",
        "<image_search ",
        "<search><img></search>",
        "<search>",
        "<img>",
        '{"name": "gaze", "arguments": {"bbox_2d": [1, 2, 3, 4]}}',
        '{"name": "dance", "arguments": "{}"}',
        "[1, 2, 3, 4]",
        "Nairobi",
        "\n",
        " ",
        "<",
        ">",
        "\\u003c",
    ]
)
_TEXTS = st.lists(_PIECES | st.text(max_size=8), max_size=12).map("".join)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_ARGUMENTS = (
    st.fixed_dictionaries(
        {},
        optional={
            "bbox_2d": st.lists(st.integers(0, 1000), min_size=4, max_size=4) | _JSON,
            "query": _JSON,
            "image": _JSON,
        },
    ).map(json.dumps)
    | _JSON.map(json.dumps)
    | _TEXTS
)
_NAMES = st.sampled_from([*BUILT_IN, "search", "image_zoom_in_tool", "", "dance"]) | _TEXTS
_MESSAGES = st.builds(
    Message,
    role=st.just("assistant"),
    content=_TEXTS,
    reasoning_content=st.none() | _TEXTS,
    tool_calls=st.lists(
        st.builds(ToolCall, id=st.text(max_size=5), function=st.builds(Function, name=_NAMES, arguments=_ARGUMENTS)),
        max_size=3,
    ).map(tuple),
)


@given(_MESSAGES, st.integers(0, 50), st.integers(1, MAX_CALLS))
def test_any_message_is_read_and_canonical_form_is_stable(message: Message, turn: int, most: int) -> None:
    parsed = parse_turn(message, turn, known_tools(), most)
    again = parse_turn(parsed.message, turn, known_tools(), most)
    assert (again.actions, again.ignored, again.message) == (parsed.actions, parsed.ignored, parsed.message)
    _check_canonical(parsed)


def _check_canonical(parsed: Parsed) -> None:
    message = parsed.message
    assert message.role == "assistant"
    assert isinstance(message.content, str)
    ids = [call.id for call in message.tool_calls]
    assert len(set(ids)) == len(ids)
    mistakes = {action.call_id for action in parsed.actions if isinstance(action, Mistake)}
    for call in message.tool_calls:
        unread = call.id in mistakes
        assert call.function.name in BUILT_IN or (unread and re.fullmatch(r"[\w.-]+", call.function.name))
        loaded = json.loads(call.function.arguments, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
        assert isinstance(loaded, dict)
    if ids:
        assert (*(getattr(action, "call_id", "") for action in parsed.actions), *parsed.ignored) == tuple(ids)
    for call, action in zip(message.tool_calls, parsed.actions, strict=False):
        if isinstance(action, Call):
            assert call.function.name == action.tool
            assert json.loads(call.function.arguments) == action.arguments
            json.dumps(action.arguments, allow_nan=False, ensure_ascii=False).encode()
    match parsed.action:
        case Call():
            assert ids
        case Answer(text=text):
            assert text.strip() == text != ""
            assert text in message.content
            assert not ids
        case Mistake(call_id=call_id):
            assert ids[:1] == ([] if call_id is None else [call_id])
    assert "</think>" not in (message.reasoning_content or "").lower()
    message.model_dump_json()
