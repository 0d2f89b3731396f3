"""Calls that a model writes as XML in its content, and the names that gateways make of tools."""

import json
import time

import pytest

from gog.schemas import Function, Message, ToolCall
from gog.transforms.dialect.turns import Call, Mistake, parse_turn
from gog.transforms.episode.tools import known_tools

QWEN = (
    "I look there.\n<tool_call>\n<function=gaze>\n<parameter=bbox_2d>\n[1, 2, 30, 40]\n</parameter>\n"
    "<parameter=label>\na flag\n</parameter>\n</function>\n</tool_call>"
)
CLAUDE = (
    'I look there.\n<function_calls>\n<invoke name="gaze">\n<parameter name="bbox_2d">[1, 2, 30, 40]</parameter>\n'
    '<parameter name="label">a flag</parameter>\n</invoke>\n</function_calls>'
)
GLM = (
    "I look there.\n<tool_call>gaze\n<arg_key>bbox_2d</arg_key>\n<arg_value>[1, 2, 30, 40]</arg_value>\n"
    "<arg_key>label</arg_key>\n<arg_value>a flag</arg_value>\n</tool_call>"
)


@pytest.mark.parametrize(
    "text",
    [
        QWEN,
        QWEN.replace("<tool_call>", "").replace("</tool_call>", ""),
        CLAUDE,
        CLAUDE.replace("function_calls>", "minimax:tool_calls>"),
        GLM,
    ],
)
def test_calls_in_xml_are_calls(text: str) -> None:
    parsed = parse_turn(Message(role="assistant", content=text), 0, known_tools())
    assert isinstance(parsed.action, Call)
    assert parsed.action.tool == "gaze"
    assert parsed.action.arguments["bbox_2d"] == [1, 2, 30, 40]
    assert parsed.action.arguments["label"] == "a flag"
    assert parsed.message.text == "I look there."


def test_an_unknown_tool_in_xml_is_told() -> None:
    text = QWEN.replace("function=gaze", "function=fly")
    action = parse_turn(Message(role="assistant", content=text), 0, known_tools()).action
    assert isinstance(action, Mistake)
    assert action.code == "unknown_tool"


@pytest.mark.parametrize(
    "name",
    ["gaze", "functions.gaze", "functions.gaze:0", "default_api.gaze", "mcp__eyes__gaze", "tools/gaze", "gaze:12",
     "default_api:gaze", "gaze<|channel|>commentary", "image_zoom_in_tool", "functions.image_zoom_in_tool:3"],
)  # fmt: skip
def test_names_with_prefixes_are_the_tools_own(name: str) -> None:
    function = Function(name=name, arguments=json.dumps({"bbox_2d": [1, 2, 30, 40], "label": "a flag"}))
    said = Message(role="assistant", tool_calls=(ToolCall(id="a", function=function),))
    parsed = parse_turn(said, 0, known_tools())
    assert isinstance(parsed.action, Call)
    assert parsed.message.tool_calls[0].function.name == "gaze"


@pytest.mark.parametrize("name", ["gazes", "my_gaze", "gaze.other", "unknown.fly"])
def test_other_names_are_not_guessed(name: str) -> None:
    said = Message(role="assistant", tool_calls=(ToolCall(id="a", function=Function(name=name, arguments="{}")),))
    action = parse_turn(said, 0, known_tools()).action
    assert isinstance(action, Mistake)
    assert action.code == "unknown_tool"


@pytest.mark.parametrize(
    "part", ["<function=a>", '<invoke name="a">', "<parameter=a>", "<tool_call>a<arg_key>", "<arg_key>a</arg_key>"]
)
def test_hostile_text_takes_no_time(part: str) -> None:
    began = time.perf_counter()
    parse_turn(Message(role="assistant", content=part * 8000), 0, known_tools())
    assert time.perf_counter() - began < 2
