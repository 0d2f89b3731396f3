"""OpenAI's chat completions as a server has them: requests read from JSON, replies written to it.

Of the request's fields, those that only tune the sampling are passed over, as other servers do. What a client would
miss in the reply is honoured (`n`, `stop`, `stream`, the limits of tokens) or refused (`logprobs`, a tool that must be
called).
"""

import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gog.schemas import Function, ImagePart, Message, TextPart, ToolCall
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling

MOST_MESSAGES: Final = 1000
MOST_IMAGES: Final = 256
MOST_CHOICES: Final = 16
_SEEDS: Final = 1 << 31
_STARTS: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF8")
_MOST_INTEGER: Final = (1 << 63) - 1

Json = dict[str, Any]


class WrongRequestError(ValueError):
    """The request cannot be understood; the message says why, in one line."""


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Url(_Wire):
    url: str


class _Part(_Wire):
    type: Literal["text", "image_url"]
    text: str = ""
    image_url: _Url | None = None


class _Call(_Wire):
    id: str = ""
    function: Function


class _Message(_Wire):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | tuple[_Part, ...] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[_Call, ...] | None = None
    tool_call_id: str | None = None


class _JsonSchema(_Wire):
    schema_: Json | None = Field(default=None, alias="schema")


class _Format(_Wire):
    type: str = "text"
    json_schema: _JsonSchema | None = None


class _StreamOptions(_Wire):
    include_usage: bool = False


class _Request(_Wire):
    model: Annotated[str, Field(max_length=500)]
    messages: Annotated[tuple[_Message, ...], Field(min_length=1, max_length=MOST_MESSAGES)]
    tools: tuple[Json, ...] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=_MOST_INTEGER)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=_MOST_INTEGER)] | None = None
    seed: Annotated[int, Field(ge=-_MOST_INTEGER, le=_MOST_INTEGER)] | None = None
    response_format: _Format | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    stop: str | Annotated[tuple[str, ...], Field(max_length=16)] | None = None
    logprobs: bool | int | None = None
    top_logprobs: int | None = None
    tool_choice: str | Json | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was understood: which model, what, and the images that it carries."""

    model: str
    request: ChatRequest
    images: tuple[bytes, ...]
    choices: int = 1
    stop: tuple[str, ...] = ()
    """Texts at which a reply ends, which are not part of it."""
    stream: bool = False
    stream_usage: bool = False
    json_object: bool = False
    """Any JSON object is wanted: a schema is in the request."""

    @property
    def requests(self) -> tuple[ChatRequest, ...]:
        """One for each choice, samples that follow one another."""
        first = self.request.sample_index
        return tuple(replace(self.request, sample_index=first + index) for index in range(self.choices))


def read_request(body: bytes) -> Asked:
    """The request in a body; its seed is the index of the sample, drawn where none is named.

    Raises `WrongRequestError`.
    """
    try:
        wire = _Request.model_validate_json(body)
    except ValidationError as error:
        # Of several forms that were tried the deepest error is of the one that was meant.
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        deepest = max(errors, key=lambda found: len(found["loc"]))
        where = ".".join(map(str, deepest["loc"]))
        message = " ".join((f"{where}: {deepest['msg']}" if where else deepest["msg"]).split())[:200]
    else:
        return _understood(wire)
    raise WrongRequestError(message)


def _understood(wire: _Request) -> Asked:
    if wire.logprobs or wire.top_logprobs:
        raise WrongRequestError("logprobs: this server gives none; leave it out")
    if wire.tool_choice not in (None, "auto", "none"):
        raise WrongRequestError("tool_choice: auto or none; this server makes no model call a tool")
    form = wire.response_format.type if wire.response_format else "text"
    if form not in ("text", "json_object", "json_schema"):
        raise WrongRequestError("response_format: text, json_object or json_schema")
    images: list[bytes] = []
    messages = tuple(_message(message, images) for message in wire.messages)
    wanted = wire.response_format.json_schema if wire.response_format else None
    sampling = Sampling(
        temperature=1.0 if wire.temperature is None else wire.temperature,
        top_p=1.0 if wire.top_p is None else wire.top_p,
        max_tokens=wire.max_completion_tokens or wire.max_tokens or 2048,
    )
    drawn = secrets.randbelow(_SEEDS) if sampling.temperature > 0 else 0
    request = ChatRequest(
        messages,
        tools=() if wire.tool_choice == "none" else wire.tools or (),
        sampling=sampling,
        sample_index=drawn if wire.seed is None else wire.seed,
        response_schema=wanted.schema_ if wanted else None,
    )
    stop = (wire.stop,) if isinstance(wire.stop, str) else wire.stop or ()
    return Asked(
        wire.model,
        request,
        tuple(images),
        choices=wire.n or 1,
        stop=tuple(filter(None, stop)),
        stream=bool(wire.stream),
        stream_usage=bool(wire.stream_options and wire.stream_options.include_usage),
        json_object=form == "json_object",
    )


def _message(wire: _Message, images: list[bytes]) -> Message:
    content = wire.content or ""
    return Message(
        role="system" if wire.role == "developer" else wire.role,
        content=content if isinstance(content, str) else tuple(_part(part, images) for part in content),
        reasoning_content=wire.reasoning_content if wire.reasoning_content is not None else wire.reasoning,
        tool_calls=tuple(ToolCall(id=call.id, function=call.function) for call in wire.tool_calls or ()),
        tool_call_id=wire.tool_call_id,
    )


def _part(wire: _Part, images: list[bytes]) -> TextPart | ImagePart:
    if wire.type == "text":
        return TextPart(text=wire.text)
    if wire.image_url is None:
        raise WrongRequestError("a part of type image_url has no image_url")
    if len(images) >= MOST_IMAGES:
        raise WrongRequestError(f"more than {MOST_IMAGES} images")
    data = _data(wire.image_url.url)
    images.append(data)
    return ImagePart(image=hashlib.sha256(data).hexdigest())


def _data(url: str) -> bytes:
    head, comma, text = url.partition(",")
    if not (comma and head.startswith("data:image/") and head.endswith(";base64")):
        raise WrongRequestError("image_url: only data URLs are read, as data:image/png;base64,...")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise WrongRequestError("image_url: not base64") from None
    if not data.startswith(_STARTS):
        raise WrongRequestError("image_url: not a PNG, JPEG, WebP or GIF image")
    return data


def stopped(reply: ChatReply, stop: Sequence[str]) -> ChatReply:
    """The reply as it ends before the first of the texts in its content; calls come after the content."""
    text = reply.message.text
    found = min((place for place in map(text.find, stop) if place >= 0), default=None)
    if found is None:
        return reply
    message = reply.message.model_copy(update={"content": text[:found], "tool_calls": ()})
    return replace(reply, message=message, finish_reason="stop")


def write_reply(replies: Sequence[ChatReply], model: str, number: int, created: int) -> Json:
    """The choices of a reply to a model's request; `number` makes its id, `created` is in seconds since 1970."""
    read, written = replies[0].prompt_tokens, sum(reply.completion_tokens for reply in replies)
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {"index": index, "message": _said(reply), "finish_reason": reply.finish_reason, "logprobs": None}
            for index, reply in enumerate(replies)
        ],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def _said(reply: ChatReply) -> Json:
    message = reply.message
    said: Json = {"role": "assistant", "content": message.text or (None if message.tool_calls else "")}
    if message.reasoning_content is not None:
        said["reasoning_content"] = message.reasoning_content
    if message.tool_calls:
        said["tool_calls"] = [call.model_dump(mode="json") for call in message.tool_calls]
    return said


def streamed(reply: Json, *, usage: bool) -> Iterator[bytes]:
    """A whole reply as the events of a stream, in a piece a choice; its usage in one of its own where asked for."""
    head = {key: reply[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    for choice in reply["choices"]:
        said = dict(choice["message"])
        if calls := said.get("tool_calls"):
            said["tool_calls"] = [{"index": index} | call for index, call in enumerate(calls)]
        for delta, finish in ((said, None), ({}, choice["finish_reason"])):
            part = {"index": choice["index"], "delta": delta, "finish_reason": finish, "logprobs": None}
            yield _event(head | {"choices": [part]})
    if usage:
        yield _event(head | {"choices": [], "usage": reply["usage"]})
    yield b"data: [DONE]\n\n"


def _event(data: Json) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"


def truncated(reply: Json) -> Json:
    """The reply with each choice broken off in the middle of its first tool call's arguments, or else of its text."""
    return reply | {"choices": [_cut(choice) for choice in reply["choices"]]}


def _cut(choice: Json) -> Json:
    said = dict(choice["message"])
    if said.get("tool_calls"):
        first = said["tool_calls"][0]
        arguments = first["function"]["arguments"]
        cut = first["function"] | {"arguments": arguments[: len(arguments) // 2]}
        said["tool_calls"] = [first | {"function": cut}]
    else:
        said["content"] = said["content"][: len(said["content"]) // 2]
    return choice | {"message": said, "finish_reason": "length"}


def error_body(message: str, kind: str, code: str | None = None) -> Json:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
