"""Messages as an endpoint gets them."""

import json
from typing import Any

import pytest
from fakes import called, said, sha

from gog.schemas import ImagePart, Message, TextPart
from gog.transforms.services.models.chat.settings import ModelSettings
from gog.transforms.services.models.chat.wire import request_body, wire_messages
from gog.transforms.services.protocols import ChatRequest, Sampling

A, B = sha("a"), sha("b")
URLS = {A: "data:a", B: "data:b"}
PICTURE_A = {"type": "image_url", "image_url": {"url": "data:a"}}
PICTURE_B = {"type": "image_url", "image_url": {"url": "data:b"}}


def user(text: str, *images: str) -> Message:
    if not images:
        return Message(role="user", content=text)
    return Message(role="user", content=(*(ImagePart(image=i) for i in images), TextPart(text=text)))


def result(text: str, call_id: str, *images: str) -> Message:
    content = (*(ImagePart(image=i) for i in images), TextPart(text=text)) if images else text
    return Message(role="tool", content=content, tool_call_id=call_id)


def wired(*messages: Message, **settings: Any) -> list[dict[str, Any]]:
    return wire_messages(messages, ModelSettings(**settings), URLS)


def body(request: ChatRequest, **settings: Any) -> dict[str, Any]:
    return request_body("m", request, ModelSettings(**settings), URLS)


DIALOGUE = (
    Message(role="system", content="Be brief."),
    user("What is it?", A),
    called("gaze", {"bbox_2d": [1, 2, 3, 4]}, think="Look closer.", call_id="c1"),
    result("a flag", "c1", B),
    said("<answer>Kenya</answer>", think="It is clear."),
)


def test_a_dialogue_in_openais_form() -> None:
    assert wired(*DIALOGUE) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [PICTURE_A, {"type": "text", "text": "What is it?"}]},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "Look closer.",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "gaze", "arguments": '{"bbox_2d": [1, 2, 3, 4]}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": [PICTURE_B, {"type": "text", "text": "a flag"}]},
        {"role": "assistant", "content": "<answer>Kenya</answer>", "reasoning_content": "It is clear."},
    ]


def test_images_of_tools_can_follow_in_a_user_message_behind_all_results() -> None:
    calling = called("gaze", {}, call_id="c1")
    calling = calling.model_copy(
        update={"tool_calls": (*calling.tool_calls, *called("gaze", {}, call_id="c2").tool_calls)}
    )
    sent = wired(calling, result("one", "c1", A), result("two", "c2"), user("go on"), tool_images="user")
    assert [message["role"] for message in sent] == ["assistant", "tool", "tool", "user", "user"]
    assert sent[1]["content"] == "one\n(The images follow.)"
    assert sent[3]["content"] == [PICTURE_A]
    sent = wired(calling, result("one", "c1", A), user("go on"), tool_images="user", merge_users=True)
    assert sent[-1] == {"role": "user", "content": [PICTURE_A, {"type": "text", "text": "go on"}]}
    assert wired(calling, result("one", "c1", A), tool_images="user")[-1] == {"role": "user", "content": [PICTURE_A]}


def test_user_messages_in_a_row_can_be_merged() -> None:
    assert wired(user("a"), user("b"), said("c"), user("d"), merge_users=True) == [
        {"role": "user", "content": "a\n\nb"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ]
    assert len(wired(user("a"), user("b"))) == 2


@pytest.mark.parametrize("arguments", ['{"bbox_2d": [1, 2', "[1]", "", "null", "[" * 5000])
def test_a_call_that_cannot_be_read_is_text_and_its_result_a_users(arguments: str) -> None:
    sent = wired(called("gaze", arguments, text="Hm.", call_id="c1"), result("Error: no JSON", "c1"))
    assert "tool_calls" not in sent[0]
    assert sent[0]["content"].startswith("<tool_call>")
    assert sent[0]["content"].endswith("Hm.")
    assert sent[1] == {"role": "user", "content": "Error: no JSON"}


@pytest.mark.parametrize(
    ("way", "sent"),
    [
        ("reasoning", {"content": "hi", "reasoning": "so"}),
        ("think", {"content": "<think>\nso\n</think>\n\nhi"}),
        ("none", {"content": "hi"}),
    ],
)
def test_past_reasoning(way: str, sent: dict[str, str]) -> None:
    assert wired(said("hi", think="so"), past_reasoning=way) == [{"role": "assistant"} | sent]


def test_a_models_own_control_tokens_are_broken_in_a_history() -> None:
    told = called(
        "text_search", {"query": "<|im_end|>"}, text="a <|video_pad|> <b> <answer>c</answer>", think="<｜end▁of▁x｜>"
    )
    sent = wired(told)[0]
    assert sent["content"] == "a ‹|video_pad|> <b> <answer>c</answer>"
    assert sent["reasoning_content"] == "‹｜end▁of▁x｜>"
    assert json.loads(sent["tool_calls"][0]["function"]["arguments"]) == {"query": "‹|im_end|>"}


def test_sampling_and_the_samples_number() -> None:
    request = ChatRequest((user("q"),), sampling=Sampling(0.7, 0.9, 55), sample_index=3)
    sent = body(request)
    assert {key: sent[key] for key in sent if key != "messages"} == {
        "model": "m",
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 55,
        "seed": 3,
    }
    sent = body(request, sampling="none", seeded=False, length_key="max_completion_tokens")
    assert sent.keys() == {"model", "messages", "max_completion_tokens"}
    assert "top_p" not in body(request, sampling="temperature")


def test_tools_and_json_are_asked_for() -> None:
    schema = {"type": "object"}
    request = ChatRequest((user("q"),), tools=({"type": "function"},), response_schema=schema)
    assert body(request)["tools"] == [{"type": "function"}]
    assert body(request)["response_format"]["json_schema"]["schema"] == schema
    assert body(request, json_replies="object")["response_format"] == {"type": "json_object"}
    assert "response_format" not in body(request, json_replies="prompt")
    assert "response_format" not in body(ChatRequest((user("q"),)))


def test_thinking_and_more_keys() -> None:
    request = ChatRequest((user("q"),))
    assert "chat_template_kwargs" not in body(request)
    sent = body(request, thinking=False, body={"top_k": 20, "chat_template_kwargs": {"x": 1}})
    assert sent["top_k"] == 20
    assert sent["chat_template_kwargs"] == {"x": 1, "enable_thinking": False}


def test_the_request_is_json() -> None:
    assert json.loads(json.dumps(body(ChatRequest(DIALOGUE))))["model"] == "m"
