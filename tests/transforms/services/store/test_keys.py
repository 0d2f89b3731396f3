"""Keys of requests: the same for the same request, and for no other."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_teacher import IMAGE, request
from strategies import json_values, text

from gog.schemas import Function, ImagePart, Message, TextPart, ToolCall
from gog.transforms.services.protocols import ChatRequest, Sampling
from gog.transforms.services.store.keys import (
    chat_request,
    detect_request,
    page_request,
    request_key,
    search_request,
)


def reverse(value: Any) -> Any:
    """The same value with the keys of its objects in another order."""
    if isinstance(value, dict):
        return {key: reverse(value[key]) for key in reversed(value)}
    return [reverse(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(text, json_values, max_size=4), json_values)
def test_the_order_of_keys_makes_no_other_request(tool: dict[str, Any], schema: Any) -> None:
    one = request(tools=(tool,), response_schema={"x": schema})
    other = request(tools=(reverse(tool),), response_schema={"x": reverse(schema)})
    assert chat_request("p", one) == chat_request("p", other)


chat_requests = st.builds(
    ChatRequest,
    messages=st.lists(
        st.builds(
            Message,
            role=st.sampled_from(["user", "assistant", "tool"]),
            content=st.one_of(
                text,
                st.lists(st.builds(TextPart, text=text), max_size=2).map(tuple),
                st.just((ImagePart(image=IMAGE),)),
            ),
            reasoning_content=st.one_of(st.none(), text),
            tool_calls=st.lists(
                st.builds(ToolCall, id=text, function=st.builds(Function, name=text, arguments=text)), max_size=2
            ).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    sampling=st.builds(Sampling, st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.9, 1.0]), st.integers(1, 3)),
    sample_index=st.integers(0, 3),
    prompt_hash=text,
)


@given(chat_requests, chat_requests, text, text)
def test_keys_are_the_same_only_for_the_same_request(a: ChatRequest, b: ChatRequest, p: str, q: str) -> None:
    same = (a, p) == (b, q)
    assert (request_key(chat_request(p, a)) == request_key(chat_request(q, b))) == same


@given(chat_requests, st.sets(st.integers(0, 10**6), min_size=2, max_size=20))
def test_no_two_samples_share_a_key(call: ChatRequest, indices: set[int]) -> None:
    keys = {
        chat_request("p", ChatRequest(call.messages, call.tools, call.sampling, index, call.prompt_hash))
        for index in indices
    }
    assert len(keys) == len(indices)


OTHERWISE: dict[str, Any] = {
    "messages": (Message(role="user", content="Whose coat of arms?"),),
    "tools": ({"type": "function"},),
    "sample_index": 1,
    "prompt_hash": "another",
    "response_schema": {"type": "object"},
}
SAMPLED_OTHERWISE: dict[str, Any] = {"temperature": 0.25, "top_p": 0.75, "max_tokens": 2049}


@pytest.mark.parametrize("field", [field.name for field in fields(ChatRequest) if field.name != "sampling"])
def test_every_part_of_a_request_makes_another(field: str) -> None:
    assert chat_request("p", replace(request(), **{field: OTHERWISE[field]})) != chat_request("p", request())


@pytest.mark.parametrize("field", [field.name for field in fields(Sampling)])
def test_every_part_of_the_sampling_makes_another_request(field: str) -> None:
    plain = request(sampling=Sampling())
    other = replace(plain, sampling=replace(plain.sampling, **{field: SAMPLED_OTHERWISE[field]}))
    assert chat_request("p", other) != chat_request("p", plain)


KEPT = [
    '{"kind":"chat","messages":[{"content":[{"image":"IMAGE"},{"text":"Whose?"}],"role":"user"},{"role":"assistant",'
    '"tool_calls":[{"function":{"arguments":"{}","name":"gaze"},"id":"1"}]}],"policy":"m","prompt_hash":"h",'
    '"response_schema":{"type":"object"},"sample_index":2,"sampling":[0.8,1.0,64],"tools":[{"type":"function"}]}',
    '{"kind":"text_search","provider":"p","query":"q","top_k":3}',
    '{"image":"IMAGE","kind":"detect","phrases":["a","b"],"provider":"d"}',
    '{"kind":"page","provider":"r","url":"https://one.example/"}',
]


def test_keys_of_answers_that_people_have_bought_stay() -> None:
    """A change of one of these buys everything anew: it needs a reason, and a line in the changelog."""
    asked = Message(role="user", content=(ImagePart(image=IMAGE), TextPart(text="Whose?")))
    said = Message(role="assistant", tool_calls=(ToolCall(id="1", function=Function(name="gaze", arguments="{}")),))
    chat = ChatRequest((asked, said), ({"type": "function"},), Sampling(0.8, 1, 64), 2, "h", {"type": "object"})
    assert [
        chat_request("m", chat),
        search_request("text_search", "p", "q", 3),
        detect_request("d", IMAGE, ("a", "b")),
        page_request("r", "https://one.example/"),
    ] == [text.replace("IMAGE", IMAGE) for text in KEPT]
    assert request_key(KEPT[1]) == "d7fcb005ae04998d4d2d40bb602ad744a377962c6b61cf6268155dee47daf932"


def test_kinds_and_providers_never_collide() -> None:
    requests = [
        chat_request("a", request()),
        chat_request("b", request()),
        page_request("a", "https://one.example/"),
        page_request("b", "https://one.example/"),
        page_request("a", "https://two.example/"),
        search_request("text_search", "a", "https://one.example/", 3),
        search_request("text_search", "a", "x", 3),
        search_request("text_search", "a", "y", 3),
        detect_request("b", IMAGE, ()),
        detect_request("a", "0" * 64, ()),
        search_request("text_search", "a", IMAGE, 3),
        search_request("image_search", "a", IMAGE, 3),
        search_request("image_search", "b", IMAGE, 3),
        search_request("image_search", "a", IMAGE, 4),
        detect_request("a", IMAGE, ()),
        detect_request("a", IMAGE, ("x", "y")),
        detect_request("a", IMAGE, ("x,y",)),
        detect_request("a", IMAGE, ("y", "x")),
    ]
    assert len({request_key(r) for r in requests}) == len(requests)


def test_a_temperature_is_the_same_as_integer_and_as_float() -> None:
    assert chat_request("p", request(sampling=Sampling(1, 1, 5))) == chat_request(
        "p", request(sampling=Sampling(1.0, 1.0, 5))
    )
