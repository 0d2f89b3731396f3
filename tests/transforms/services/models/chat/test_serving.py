"""OpenAI's JSON: what is understood, what is refused, and that nothing said gets lost on the way."""

import base64
import json
from typing import Any

import pytest
from fakes import called, picture, sha
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import ImagePart, Message, TextPart
from gog.transforms.images import sha256_hex
from gog.transforms.services.models.chat.reply import read_reply
from gog.transforms.services.models.chat.serving import (
    WrongRequestError,
    read_request,
    stopped,
    truncated,
    write_reply,
)
from gog.transforms.services.models.chat.settings import ModelSettings
from gog.transforms.services.models.chat.wire import request_body
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling

HI: dict[str, Any] = {"model": "planner:", "messages": [{"role": "user", "content": "Hi"}]}
PICTURE = "data:image/png;base64," + base64.b64encode(picture()).decode()


def body(**changes: Any) -> bytes:
    return json.dumps(HI | changes).encode()


def asking(url: Any) -> bytes:
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    return body(messages=[{"role": "user", "content": parts}])


def test_a_request_of_our_client_is_understood_as_it_was_meant() -> None:
    sha256 = sha256_hex(picture())
    messages = (
        Message(role="system", content="You look."),
        Message(role="user", content=(ImagePart(image=sha256), TextPart(text="What?"), TextPart(text="Hints: none"))),
        called("image_search", {}, think="I glance.", call_id="call_0"),
        Message(role="tool", tool_call_id="call_0", content=(TextPart(text="Found"), ImagePart(image=sha256))),
    )
    asked = ChatRequest(
        messages,
        tools=({"type": "function", "function": {"name": "image_search"}},),
        sampling=Sampling(0.7, 0.9, 512),
        sample_index=3,
        response_schema={"type": "object"},
    )
    sent = request_body("planner:2?skill=1", asked, ModelSettings(), {sha256: PICTURE})
    read = read_request(json.dumps(sent).encode())
    assert read.request == asked
    assert (read.model, set(read.images)) == ("planner:2?skill=1", {picture()})


def test_what_is_left_out_has_the_apis_defaults() -> None:
    request = read_request(body()).request
    assert (request.sampling.temperature, request.sampling.top_p) == (1.0, 1.0)
    assert request.messages == (Message(role="user", content="Hi"),)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"\xff", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"[]", "object"),
        (body(messages=[]), "messages"),
        (body(messages=[{"role": "critic", "content": ""}]), "role"),
        (body(messages=[HI["messages"][0]] * 1001), "messages"),
        (body(n=0), "n: "),
        (body(n=1000), "n: "),
        (body(logprobs=True), "logprobs"),
        (body(top_logprobs=2), "logprobs"),
        (body(tool_choice="required"), "tool_choice"),
        (body(tool_choice={"type": "function", "function": {"name": "gaze"}}), "tool_choice"),
        (body(response_format={"type": "grammar"}), "response_format"),
        (body(seed=1 << 70), "seed"),
        (body(temperature=-1), "temperature"),
        (body(tools=["gaze"]), "tools"),
        (asking("https://example.org/flag.png"), "data URLs"),
        (asking("file:///etc/passwd"), "data URLs"),
        (asking("data:image/png;base64,@@"), "base64"),
        (asking("data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode()), "not a PNG"),
        (asking(None), "url"),
        (body(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), "no image_url"),
        (body(messages=[{"role": "user", "content": [{"type": "video", "video": "x"}]}]), "type"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(sent: bytes, said: str) -> None:
    with pytest.raises(WrongRequestError) as caught:
        read_request(sent)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_there_is_an_end_to_images() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/gif;base64," + base64.b64encode(b"GIF89a").decode()}}
    with pytest.raises(WrongRequestError, match="more than 256 images"):
        read_request(body(messages=[{"role": "user", "content": [part] * 257}]))


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_bytes_are_a_request_or_refused(sent: bytes | str) -> None:
    try:
        read_request(sent if isinstance(sent, bytes) else sent.encode("utf-8", "surrogatepass"))
    except WrongRequestError as error:
        assert str(error)  # noqa: PT017  either way is right


words = st.text(st.characters(codec="utf-8"), max_size=40).filter(lambda text: "<" not in text)


@given(words, words, st.none() | words.filter(str.strip), st.integers(0, 1 << 40))
def test_a_reply_comes_through_as_it_was(text: str, arguments: str, thought: str | None, tokens: int) -> None:
    for message in (
        Message(role="assistant", content=text, reasoning_content=thought),
        called("gaze", arguments, text=text, think=thought, call_id=sha("x")[:8]),
    ):
        reply = ChatReply(message, "tool_calls" if message.tool_calls else "stop", tokens, 7)
        assert read_reply(json.loads(json.dumps(write_reply([reply], "planner:", 1, 0)))) == reply


@pytest.mark.parametrize("message", [called("gaze", {"label": "it"}), Message(role="assistant", content="Nairobi")])
def test_a_truncated_reply_says_so(message: Message) -> None:
    whole = write_reply([ChatReply(message)], "planner:", 1, 0)
    cut = read_reply(truncated(whole))
    assert cut.finish_reason == "length"
    shorter = [(said.text + "".join(c.function.arguments for c in said.tool_calls)) for said in (cut.message, message)]
    assert 0 < len(shorter[0]) < len(shorter[1])
    assert read_reply(whole).message == message


def test_without_a_seed_samples_differ_at_a_temperature_and_are_the_same_without() -> None:
    assert len({read_request(body()).request.sample_index for _ in range(5)}) > 1
    assert {read_request(body(temperature=0)).request.sample_index for _ in range(5)} == {0}
    assert read_request(body(seed=3, n=2)).requests == tuple(read_request(body(seed=seed)).request for seed in (3, 4))


def test_tools_that_may_not_be_called_are_none() -> None:
    tool = {"type": "function", "function": {"name": "gaze"}}
    assert read_request(body(tools=[tool], tool_choice="none")).request.tools == ()
    assert read_request(body(tools=[tool], tool_choice="auto")).request.tools == (tool,)


@pytest.mark.parametrize(("stop", "left"), [(["c"], "ab"), (["x", "d", "b"], "a"), ([], "abcd"), (["a"], "")])
def test_a_reply_ends_before_a_stop(stop: list[str], left: str) -> None:
    assert stopped(ChatReply(Message(role="assistant", content="abcd")), stop).message.text == left
