"""Chat messages as OpenAI's chat completions write them. Pure.

Source: OpenAI's API reference for chat completions, and what vLLM, SGLang, llama.cpp and DeepSeek add to it
(`reasoning_content` or `reasoning`, `chat_template_kwargs`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gog.schemas import ImagePart, Message, TextPart, ToolCall
from gog.transforms.dialect.turns import load_object, tag_of
from gog.transforms.services.models.chat.settings import ModelSettings
from gog.transforms.services.protocols import ChatRequest

_IMAGES_BELOW: Final = "(The images follow.)"
_NO_WORDS: Final = "(nothing)"
"""A turn that reached its limit while it thought; many endpoints refuse an empty message in a history."""
_TOKEN: Final = re.compile(r"<(?=[|｜][\w▁]{1,40}[|｜]>)")
"""The beginning of a control token such as `<|im_end|>`."""

Json = dict[str, Any]


def request_body(model: str, request: ChatRequest, settings: ModelSettings, urls: Mapping[str, str]) -> Json:
    """The request's JSON. `urls` are the data URLs of its images, by hash."""
    sampling = request.sampling
    body: Json = {"model": model, "messages": wire_messages(request.messages, settings, urls)}
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    # Sent even where it is the default of the protocol: servers put the model's own defaults in place of what is not.
    if settings.sampling != "none":
        body["temperature"] = sampling.temperature
    if settings.sampling == "both":
        body["top_p"] = sampling.top_p
    body[settings.length_key] = sampling.max_tokens + settings.thinking_tokens
    if settings.seeded:
        body["seed"] = request.sample_index
    if request.response_schema is not None and settings.json_replies != "prompt":
        body["response_format"] = _response_format(request.response_schema, settings)
    body |= settings.body
    if settings.thinking is not None:
        template = settings.body.get("chat_template_kwargs")
        kwargs = template if isinstance(template, dict) else {}
        body["chat_template_kwargs"] = kwargs | {"enable_thinking": settings.thinking}
    return body


def _response_format(schema: Mapping[str, Any], settings: ModelSettings) -> Json:
    if settings.json_replies == "object":
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": dict(schema), "strict": True}}


def wire_messages(messages: Iterable[Message], settings: ModelSettings, urls: Mapping[str, str]) -> list[Json]:
    """The messages in OpenAI's form.

    No server takes a call in a history whose arguments are no JSON object, nor a result without its call: the one is
    written as a tag in the text, the other as a user's message. Some fail on a model's own control tokens (seen:
    `transformers serve` answers `<|video_pad|>` in a reply sent back with a 500): these are broken.
    """
    out: list[Json] = []
    moved: list[Json] = []
    called: set[str] = set()
    for message in messages:
        if moved and message.role != "tool":
            out.append({"role": "user", "content": moved})
            moved = []
        if message.role == "assistant":
            said = _assistant(message, settings)
            called |= {call["id"] for call in said.get("tool_calls", ())}
            out.append(said)
        elif message.role != "tool":
            out.append({"role": message.role, "content": _content(message, urls)})
        elif message.tool_call_id not in called:
            out.append({"role": "user", "content": _content(message, urls)})
        else:
            shown = _content(message, urls)
            if message.images and settings.tool_images == "user":
                moved += [part for part in shown if part["type"] == "image_url"]
                shown = f"{message.text}\n{_IMAGES_BELOW}".lstrip()
            out.append({"role": "tool", "tool_call_id": message.tool_call_id, "content": shown})
    if moved:
        out.append({"role": "user", "content": moved})
    return _merged(out) if settings.merge_users else out


def _content(message: Message, urls: Mapping[str, str]) -> Any:
    if not message.images:
        return message.text
    return [
        {"type": "text", "text": part.text}
        if isinstance(part, TextPart)
        else {"type": "image_url", "image_url": {"url": urls[part.image]}}
        for part in message.content
        if isinstance(part, TextPart | ImagePart)
    ]


def _assistant(message: Message, settings: ModelSettings) -> Json:
    good = [call for call in message.tool_calls if _readable(call)]
    bad = [tag_of(call.function.name, call.function.arguments) for call in message.tool_calls if not _readable(call)]
    said: Json = {"role": "assistant", "content": _tame("\n".join(filter(None, [*bad, message.text])))}
    if not (said["content"] or good):
        said["content"] = _NO_WORDS
    thought = _tame(message.reasoning_content or "")
    if thought and settings.past_reasoning == "think":
        said["content"] = f"<think>\n{thought}\n</think>\n\n{said['content']}"
    elif thought and settings.past_reasoning != "none":
        said[settings.past_reasoning] = thought
    if good:
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": _tame(call.function.arguments)},
            }
            for call in good
        ]
    return said


def _tame(text: str) -> str:
    """A model's own words with control tokens broken: in a history they would end turns, or stand for images."""
    return _TOKEN.sub("‹", text)


def _readable(call: ToolCall) -> bool:
    return bool(call.function.name) and load_object(call.function.arguments) is not None


def _merged(messages: Sequence[Json]) -> list[Json]:
    """User messages in a row as one."""
    out: list[Json] = []
    for message in messages:
        if out and message["role"] == out[-1]["role"] == "user":
            one, other = out[-1]["content"], message["content"]
            if isinstance(one, str) and isinstance(other, str):
                content: Any = f"{one}\n\n{other}"
            else:
                content = [*_as_parts(one), *_as_parts(other)]
            out[-1] = {"role": "user", "content": content}
        else:
            out.append(message)
    return out


def _as_parts(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
