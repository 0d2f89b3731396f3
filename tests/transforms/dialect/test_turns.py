"""Reading a turn: native calls, tags, thoughts, answers, and everything that models write instead."""

import json
from typing import Any

import pytest
from fakes import answered, called, gaze, said
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Frame, Function, Message, ToolCall
from gog.transforms.dialect.turns import (
    FRAME_TEXT,
    MAX_CALLS,
    Answer,
    Call,
    Mistake,
    parse_turn,
    plain_text,
    split_reasoning,
)
from gog.transforms.episode.machine import EpisodeSettings, offered_tools
from gog.transforms.episode.tools import BUILT_IN, known_tools
from gog.transforms.episode.tools.text_search import MAX_QUERY

BOX = [100, 200, 300, 400]
BOX_CALL = {"bbox_2d": BOX, "label": "", "image": 0}


def does(message: Message, turn: int = 0) -> tuple[str, Any]:
    """Kind of action and what matters of it."""
    match parse_turn(message, turn, known_tools()).action:
        case Call(tool=tool, arguments=arguments):
            return tool, arguments
        case Answer(text=text):
            return "answer", text
        case Mistake(code=code):
            return "mistake", code


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("text_search", {"query": "capital of Kenya"}, ("text_search", {"query": "capital of Kenya"})),
        ("search", {"query": "q"}, ("text_search", {"query": "q"})),
        ("text_search", {"query": ["q"]}, ("text_search", {"query": "q"})),
        ("text_search", {"query": "  a \n b "}, ("text_search", {"query": "a b"})),
        ("text_search", {"query": "q", "top_k": 100}, ("text_search", {"query": "q"})),
        ("text_search", '{"query": "\\ud800"}', ("text_search", {"query": "\ufffd"})),
        ("text_search", {"query": ""}, ("mistake", "bad_arguments")),
        ("text_search", {"query": " \n"}, ("mistake", "bad_arguments")),
        ("text_search", {"query": None}, ("mistake", "bad_arguments")),
        ("text_search", {"query": ["a", "b"]}, ("mistake", "bad_arguments")),
        ("text_search", {"query": {"text": "q"}}, ("mistake", "bad_arguments")),
        ("text_search", {"query": 7}, ("mistake", "bad_arguments")),
        ("text_search", "", ("mistake", "bad_arguments")),
        ("text_search", "capital of Kenya", ("mistake", "bad_json")),
        ("text_search", '{"query": "cut o', ("mistake", "bad_json")),
        ("text_search", '["q"]', ("mistake", "bad_json")),
        ("image_search", {}, ("image_search", {})),
        ("image_search", "", ("image_search", {})),
        ("image_search", "null", ("image_search", {})),
        ("image_search", {"image": "whatever"}, ("image_search", {})),
        ("image_search", "7", ("mistake", "bad_json")),
        ("gaze", {"bbox_2d": BOX}, ("gaze", BOX_CALL)),
        ("gaze", {"bbox": BOX}, ("gaze", BOX_CALL)),
        ("gaze", {"bbox_2d": [BOX]}, ("gaze", BOX_CALL)),
        ("gaze", {"bbox_2d": "[100, 200, 300, 400]"}, ("gaze", BOX_CALL)),
        ("gaze", {"bbox_2d": "100, 200, 300, 400"}, ("gaze", BOX_CALL)),
        ("gaze", {"bbox_2d": "(100, 200, 300, 400)"}, ("gaze", BOX_CALL)),
        (
            "gaze",
            {"bbox_2d": BOX, "image": 1.0, "label": "a  flag"},
            ("gaze", {**BOX_CALL, "image": 1, "label": "a flag"}),
        ),
        ("gaze", {"bbox_2d": BOX, "image": None, "label": None}, ("gaze", BOX_CALL)),
        ("gaze", {"bbox_2d": BOX, "label": {"a": 1}}, ("gaze", BOX_CALL)),
        ("image_zoom_in_tool", {"bbox_2d": BOX, "img_idx": 1}, ("gaze", {**BOX_CALL, "image": 1})),
        ("gaze", {}, ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": None}, ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": [1, 2, 3]}, ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": [1, 2, 3, 4, 5]}, ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": [True, 2, 3, 4]}, ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": ["1", "2", "3", "four"]}, ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": "١, ٢, ٣, ٤"}, ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": "__import__('os')"}, ("mistake", "bad_arguments")),
        ("gaze", '{"bbox_2d": [NaN, 2, 3, 4]}', ("mistake", "bad_arguments")),
        ("gaze", '{"bbox_2d": [1, 2, 3, Infinity]}', ("mistake", "bad_arguments")),
        ("gaze", '{"bbox_2d": [1, 2, 3, 1e999]}', ("mistake", "bad_arguments")),
        ("gaze", '{"bbox_2d": [1, 2, 3, ' + "9" * 400 + "]}", ("mistake", "bad_arguments")),
        ("gaze", '{"bbox_2d": [1, 2, 3, ' + "9" * 5000 + "]}", ("mistake", "bad_json")),
        ("gaze", '{"bbox_2d": ' + "[" * 5000 + "]" * 5000 + "}", ("mistake", "bad_json")),
        ("gaze", '{"label": ' + '{"a":' * 60 + "1" + "}" * 60 + "}", ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": BOX, "image": -1}, ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": BOX, "image": True}, ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": BOX, "image": 0.5}, ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": BOX, "image": "first"}, ("mistake", "bad_arguments")),
        ("gaze", {"bbox_2d": BOX, "image": 10**30}, ("mistake", "bad_arguments")),
        ("rm -rf", {}, ("mistake", "unknown_tool")),
        ("", {}, ("mistake", "unknown_tool")),
        ("GAZE", {"bbox_2d": BOX}, ("mistake", "unknown_tool")),
        ("<answer>x</answer>", {}, ("mistake", "unknown_tool")),
    ],
)
def test_native_calls(name: str, arguments: Any, expected: tuple[str, Any]) -> None:
    assert does(called(name, arguments)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<gaze>[100, 200, 300, 400]</gaze>", ("gaze", BOX_CALL)),
        ("<GAZE> 100,200 , 300.0, 400</GAZE>", ("gaze", BOX_CALL)),
        ("<gaze>[0.1, 0.2, 0.3, 0.4]</gaze>", ("gaze", {**BOX_CALL, "bbox_2d": [0.1, 0.2, 0.3, 0.4]})),
        ("<gaze>[1, 2, 3]</gaze>", ("mistake", "bad_arguments")),
        ("<gaze></gaze>", ("mistake", "bad_arguments")),
        ("<gaze>[١, ٢, ٣, ٤]</gaze>", ("mistake", "bad_arguments")),
        (f"<gaze>[1, 2, 3, {'9' * 400}]</gaze>", ("mistake", "bad_arguments")),
        ("<gaze>[100, 200, 300, 400]", ("mistake", "no_action")),
        ("<text_search>capital of Kenya</text_search>", ("text_search", {"query": "capital of Kenya"})),
        ("<text_search>a < b</text_search>", ("text_search", {"query": "a < b"})),
        ("<text_search>a <b>bold</b> word</text_search>", ("text_search", {"query": "a <b>bold</b> word"})),
        ("<text_search> </text_search>", ("mistake", "bad_arguments")),
        ("<text_search>open <text_search>q</text_search>", ("text_search", {"query": "q"})),
        ("<image_search>", ("image_search", {})),
        ("<image_search/>", ("image_search", {})),
        ("<image_search />", ("image_search", {})),
        ("<image_search></image_search>", ("image_search", {})),
        ("<search><img></search>", ("image_search", {})),
        ("<reason>It is a flag.</reason><search><img></search>", ("image_search", {})),
        ("<reason>So it is.</reason><answer>Kenya</answer>", ("answer", "Kenya")),
        (
            '<think>zoom</think><tool_call>{"name": "image_zoom_in_tool", "arguments": '
            '{"bbox_2d": [100, 200, 300, 400], "label": "flag"}}</tool_call>',
            ("gaze", {**BOX_CALL, "label": "flag"}),
        ),
        (
            '<tool_call>\n{"name": "text_search", "arguments": {"query": "q"}}\n</tool_call>',
            ("text_search", {"query": "q"}),
        ),
        ('<tool_call>{"name": "text_search", "arguments": "{\\"query\\": \\"q\\"}"}', ("text_search", {"query": "q"})),
        (
            '<tool_call>{"name": "text_search", "parameters": {"query": "q"}}</tool_call>',
            ("text_search", {"query": "q"}),
        ),
        ('<tool_call><tool_call>{"name": "image_search"}</tool_call></tool_call>', ("image_search", {})),
        ('<tool_call>{"name": "image_search", "arguments": null}</tool_call>', ("image_search", {})),
        ('<tool_call>{"name": "text_search", "arguments": {"query": "cut', ("mistake", "bad_json")),
        ("<tool_call>gaze(1, 2, 3, 4)</tool_call>", ("mistake", "bad_json")),
        ("<tool_call>[]</tool_call>", ("mistake", "bad_json")),
        ('<tool_call>{"name": "dance", "arguments": {}}</tool_call>', ("mistake", "unknown_tool")),
        ('<tool_call>{"name": ["gaze"], "arguments": {}}</tool_call>', ("mistake", "unknown_tool")),
        ("<tool_call></tool_call>", ("mistake", "no_action")),
        ("<tool_call>" + "[" * 3000 + "</tool_call>", ("mistake", "bad_json")),
        ("<answer>Nairobi</answer>", ("answer", "Nairobi")),
        ("So <ANSWER>\n Nairobi \n</ANSWER>.", ("answer", "Nairobi")),
        ("<answer>Paris</answer> no, <answer>Nairobi</answer>", ("answer", "Nairobi")),
        ("<answer><answer>Nairobi</answer></answer>", ("answer", "Nairobi")),
        ("<answer>open <answer>Nairobi</answer>", ("answer", "Nairobi")),
        ("<answer>a < b</answer>", ("answer", "a < b")),
        ("<answer></answer>", ("mistake", "empty_answer")),
        ("<answer>Paris</answer><answer> </answer>", ("mistake", "empty_answer")),
        ("<answer>Nairobi", ("mistake", "no_action")),
        ("Nairobi</answer>", ("mistake", "no_action")),
        ("The answer is Nairobi.", ("mistake", "no_action")),
        ("\\boxed{Nairobi}", ("mistake", "no_action")),
        ("", ("mistake", "no_action")),
        (" \n", ("mistake", "no_action")),
        ("<answer>x</answer><image_search/>", ("image_search", {})),
        ("<image_search/><answer>x</answer>", ("image_search", {})),
    ],
)
def test_tags(text: str, expected: tuple[str, Any]) -> None:
    assert does(said(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected", "reasoning", "content"),
    [
        ("<think>a</think><answer>b</answer>", ("answer", "b"), "a", "<answer>b</answer>"),
        ("a</think>\n<answer>b</answer>", ("answer", "b"), "a", "<answer>b</answer>"),
        ("<thinking>a</thinking><answer>b</answer>", ("answer", "b"), "a", "<answer>b</answer>"),
        ("<think><answer>a</answer></think>", ("mistake", "no_action"), "<answer>a</answer>", ""),
        ("<answer>a</answer></think><answer>b</answer>", ("answer", "b"), "<answer>a</answer>", "<answer>b</answer>"),
        (
            "<answer>b</answer><think><answer>a</answer></think>",
            ("answer", "b"),
            "<answer>a</answer>",
            "<answer>b</answer>",
        ),
        ("<answer>b</answer><think><answer>a</answer>", ("answer", "b"), "<answer>a</answer>", "<answer>b</answer>"),
        ("<think>never closed <answer>a</answer>", ("mistake", "no_action"), "never closed <answer>a</answer>", ""),
        ("<think><image_search/></think>", ("mistake", "no_action"), "<image_search/>", ""),
        ("<think>a</think>b<think>c</think><answer>d</answer>", ("answer", "d"), "a\nc", "b\n<answer>d</answer>"),
        ("<think></think><answer>d</answer>", ("answer", "d"), None, "<answer>d</answer>"),
        ("<think><think>a</think><answer>d</answer>", ("answer", "d"), "a", "<answer>d</answer>"),
    ],
)
def test_thoughts_are_set_apart_and_do_nothing(text: str, expected: Any, reasoning: str | None, content: str) -> None:
    assert does(said(text)) == expected
    message = parse_turn(said(text), 0, known_tools()).message
    assert (message.reasoning_content, message.content) == (reasoning, content)


def test_an_answer_in_the_servers_reasoning_does_not_count() -> None:
    assert does(said("", think="<answer>a</answer>")) == ("mistake", "no_action")
    message = parse_turn(said("<think>b</think><answer>c</answer>", think="<think>a</think>"), 0, known_tools()).message
    assert message.reasoning_content == "a\nb"


def test_a_call_in_the_servers_reasoning_is_not_made() -> None:
    assert does(said("<answer>a</answer>", think="<gaze>[1, 2, 3, 4]</gaze>")) == ("answer", "a")


def test_call_and_answer_is_a_call_and_a_slip() -> None:
    parsed = parse_turn(called("image_search", text="<answer>x</answer>"), 0, known_tools())
    assert isinstance(parsed.action, Call)
    assert parsed.slip == "answer_with_call"
    assert parse_turn(called("image_search", text="words"), 0, known_tools()).slip == ""


def test_several_calls_first_counts_others_are_ignored() -> None:
    message = Message(
        role="assistant",
        tool_calls=tuple(
            ToolCall(id="same", function=Function(name=name, arguments=arguments))
            for name, arguments in [
                ("image_search", "{}"),
                ("text_search", '{"query": "q"}'),
                ("text_search", "broken"),
                ("no such tool", "{}"),
                ("gaze", '{"bbox_2d": [1]}'),
            ]
        ),
    )
    parsed = parse_turn(message, 3, known_tools())
    assert parsed.action == Call("image_search", {}, "call_3_0")
    assert parsed.slip == "several_calls"
    assert [call.id for call in parsed.message.tool_calls] == ["call_3_0", "call_3_1", "call_3_2"]
    assert parsed.ignored == ("call_3_1", "call_3_2")
    tagged = parse_turn(said("<image_search/> and <text_search>q</text_search>"), 3, known_tools())
    assert tagged.action == parsed.action
    assert tagged.ignored == ("call_3_1",)
    assert tagged.message.content == "and"


HERMES = "<tool_call>{}</tool_call>"
GOOD, BROKEN = ('{"name": "text_search", "arguments": {"query": "q"}}', '{"name": "gaze", "arguments": {')


@pytest.mark.parametrize(
    "text",
    [
        HERMES.format(GOOD) + "\n" + HERMES.format('{"name": "image_search", "arguments": {}}'),
        "<text_search>q</text_search> <image_search/>",
        "<function_calls><invoke name='text_search'><parameter name='query'>q</parameter></invoke>"
        "<invoke name='image_search'></invoke></function_calls>",
        "<function=text_search><parameter=query>q</parameter></function><function=image_search></function>",
        "<tool_call>text_search<arg_key>query</arg_key><arg_value>q</arg_value></tool_call><image_search/>",
        f"{HERMES.format(GOOD)}<image_search/>",
    ],
)
def test_several_calls_of_a_turn_are_read_in_every_dialect(text: str) -> None:
    parsed = parse_turn(said(text), 2, known_tools(), 2)
    assert parsed.actions == (Call("text_search", {"query": "q"}, "call_2_0"), Call("image_search", {}, "call_2_1"))
    assert (parsed.ignored, parsed.slip, parsed.message.content) == ((), "", "")
    assert [call.id for call in parsed.message.tool_calls] == ["call_2_0", "call_2_1"]


def test_a_tag_that_cannot_be_read_beside_one_that_can_is_a_call_with_a_mistake() -> None:
    parsed = parse_turn(said(HERMES.format(BROKEN) + HERMES.format(GOOD)), 0, known_tools(), 2)
    assert len(parsed.actions) == 2
    mistake, call = parsed.actions
    assert isinstance(mistake, Mistake)
    assert (mistake.code, mistake.call_id) == ("bad_json", "call_0_0")
    assert call == Call("text_search", {"query": "q"}, "call_0_1")
    assert json.loads(parsed.message.tool_calls[0].function.arguments) == {"unreadable": BROKEN}
    alone = parse_turn(said(HERMES.format(BROKEN) * 2), 0, known_tools(), 2)
    assert (alone.message.tool_calls, len(alone.actions)) == ((), 1)


def test_a_flood_of_calls_is_bounded() -> None:
    parsed = parse_turn(said("<image_search/>" * 1000), 0, known_tools())
    assert len(parsed.message.tool_calls) == MAX_CALLS
    assert parsed.message.content == ""


@pytest.mark.parametrize("message", [called("gaze", "broken"), called("bad name!", {}), called("gaze", "[1]")])
def test_a_native_call_that_cannot_be_read_stays_a_call_that_any_server_takes(message: Message) -> None:
    """Servers refuse a history with broken arguments in it: the model's mistake would look like a failing service."""
    parsed = parse_turn(message, 0, known_tools())
    assert isinstance(parsed.action, Mistake)
    (call,) = parsed.message.tool_calls
    assert parsed.action.call_id == call.id == "call_0_0"
    assert call.function.name in {"gaze", "unknown"}
    assert isinstance(json.loads(call.function.arguments), dict)
    assert parsed.message.text == ""
    assert parse_turn(parsed.message, 0, known_tools()) == parsed


@pytest.mark.parametrize(
    "written", ['<tool_call>{"name": "gaze", "arguments": "broken"}</tool_call>', "<tool_call>gaze</tool_call>"]
)
def test_a_tag_that_cannot_be_read_stays_text(written: str) -> None:
    parsed = parse_turn(said(written), 0, known_tools())
    assert isinstance(parsed.action, Mistake)
    assert parsed.action.call_id is None
    assert parsed.message == said(written)


PLAIN: dict[str, Any] = {"bbox_2d": [120, 340, 560, 780], "label": "", "image": 0}


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            {"bbox_2d": ["120", "340", "560", "780"]},
            {"bbox_2d": [[120, 340], [560, 780]]},
            {"bbox_2d": "120, 340, 560, 780"},
        ),
        *({"bbox_2d": {"x1": 120, "y1": 340, "x2": 560, "y2": 780}}, {"bbox_2d": [120, 340, 560, 780], "image": "0"}),
        *(json.dumps(json.dumps(PLAIN)), f"```json\n{json.dumps(PLAIN)}\n```", f"{json.dumps(PLAIN)}<|im_end|>"),
    ],
)
@pytest.mark.parametrize("name", ["gaze", "functions.gaze"])
def test_a_call_whose_meaning_is_plain_is_read(name: str, arguments: Any) -> None:
    parsed = parse_turn(called(name, arguments), 0, known_tools())
    assert parsed.action == Call("gaze", PLAIN, "call_0_0")


@pytest.mark.parametrize(
    "inside",
    [
        {"type": "function", "function": {"name": "gaze", "arguments": json.dumps(PLAIN)}},
        {"function": {"name": "functions.gaze", "arguments": PLAIN}},
        {"name": "gaze", "parameters": PLAIN},
    ],
)
def test_forms_of_others_inside_a_tag_are_read(inside: dict[str, Any]) -> None:
    parsed = parse_turn(said(f"<tool_call>{json.dumps(inside)}<|im_end|></tool_call>"), 0, known_tools())
    assert parsed.action == Call("gaze", PLAIN, "call_0_0")


def test_ids_are_ours() -> None:
    """Servers draw ids at random, or repeat them in every turn."""
    for call_id in ["", "chatcmpl-tool-7d1f", "<|im_start|>"]:
        assert (
            parse_turn(called("image_search", call_id=call_id), 5, known_tools()).message.tool_calls[0].id == "call_5_0"
        )


def test_arguments_are_written_in_one_way() -> None:
    written = [
        called("image_zoom_in_tool", {"bbox": BOX, "img_idx": 0}),
        gaze(BOX).model_copy(update={"content": ""}),
        said("<gaze>[100, 200, 300, 400]</gaze>"),
    ]
    texts = {
        parse_turn(message, 0, known_tools()).message.tool_calls[0].function.arguments.replace('"it"', '""')
        for message in written
    }
    assert texts == {json.dumps(BOX_CALL)}


def test_queries_and_labels_are_cut() -> None:
    assert len(does(called("text_search", {"query": "x" * 1000}))[1]["query"]) == MAX_QUERY == 400
    assert len(does(called("gaze", {"bbox_2d": BOX, "label": "x" * 9999}))[1]["label"]) == 200


@given(st.text(min_size=1).map(str.strip).filter(lambda text: text and "<" not in text))
def test_a_plain_answer_is_itself(text: str) -> None:
    assert does(answered(text)) == ("answer", said(text).text.strip())


@pytest.mark.parametrize("frame", list(Frame))
def test_schemas_name_the_frame_and_are_json(frame: Frame) -> None:
    schemas = offered_tools(EpisodeSettings(frame=frame))
    functions: list[Any] = [schema["function"] for schema in schemas]
    assert [function["name"] for function in functions] == list(BUILT_IN)
    box = functions[-1]["parameters"]["properties"]["bbox_2d"]
    assert FRAME_TEXT[frame] in box["description"]
    json.dumps(schemas, allow_nan=False)


def test_plain_text_is_reasoning_and_content() -> None:
    assert plain_text(said("b", think="a")) == "a\nb"
    assert plain_text(said("b")) == "b"


@pytest.mark.parametrize(
    ("text", "content", "thought"),
    [
        (
            "<|channel|>analysis<|message|>Maybe <answer>Uganda</answer>.<|end|>"
            "<|start|>assistant<|channel|>final<|message|><answer>Kenya</answer>",
            "<answer>Kenya</answer>",
            "Maybe <answer>Uganda</answer>.",
        ),
        ("<|channel|>analysis<|message|><answer>Uganda</answer>", "", "<answer>Uganda</answer>"),
        ("<|channel|>analysis<|message|>a</think><answer>U</answer><|end|>b", "b", "a<answer>U</answer>"),
        ("<|channel>thought\n<answer>Uganda</answer><channel|>Kenya", "Kenya", "<answer>Uganda</answer>"),
        ("<seed:think><answer>U</answer></seed:think>K", "K", "<answer>U</answer>"),
        ("[THINK]<answer>U</answer>[/THINK]K", "K", "<answer>U</answer>"),
        ("◁think▷<answer>U</answer>◁/think▷K", "K", "<answer>U</answer>"),
        ("I think [think] of <|channel|>s", "I think [think] of <|channel|>s", ""),
    ],
)
def test_an_answer_in_a_thought_of_any_family_is_none(text: str, content: str, thought: str) -> None:
    assert split_reasoning(Message(role="assistant", content=text)) == (content, thought)
