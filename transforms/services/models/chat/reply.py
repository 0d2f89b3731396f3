"""Replies of chat completions read back. Pure; every reply is hostile."""

import json
import re
from typing import Any, Final

from pydantic import ValidationError

from gog.schemas import FailureClass, Function, Message, ToolCall
from gog.transforms.dialect.turns import split_reasoning
from gog.transforms.services.models.chat.failures import inner_failure, malformed, one_line
from gog.transforms.services.protocols import ChatReply, ServiceError

MAX_CHARACTERS: Final = 1_000_000
"""Of a reply's content, its reasoning, and the arguments of its calls, each."""
MAX_CALLS: Final = 64
_MAX_TOKENS: Final = 1 << 40
_TAG = re.compile(r"</?(?:think|thinking|reason)>", re.IGNORECASE)

_FILTERS: Final = ("content_filter", "safety", "prohibited_content", "blocklist", "recitation")
"""How the reason begins for which a filter ended a reply; Google's have more behind it."""

Json = dict[str, Any]


def read_reply(data: Any) -> ChatReply:
    """The reply of an answer's JSON, whatever that is.

    A reply that reached its limit of tokens before it said anything is the model's own, and empty.

    Raises `ServiceError`: refused (the model's refusal, or a content filter), malformed (no reply that can be read),
    and what an error of some code inside a 200 says.
    """
    if isinstance(data, list) and len(data) == 1:  # Google's errors come in a list
        data = data[0]
    choice = _choice(data)
    ended = str(choice.get("finish_reason")).lower()
    if ended.startswith(_FILTERS):
        raise ServiceError(FailureClass.REFUSED, "the endpoint's content filter took the reply")
    cut = ended in ("length", "max_tokens", "max_output_tokens")
    said = choice.get("message")
    if said is None and cut:
        said = {}
    if not isinstance(said, dict):
        raise malformed("its choice has no message")
    calls = tuple(_call(call, index) for index, call in enumerate(_list(said, "tool_calls")[:MAX_CALLS]))
    content, refusal, thoughts = _spoken(said)
    if refusal and not calls and not content.strip():
        raise ServiceError(FailureClass.REFUSED, f"the model refused: {one_line(refusal)}")
    if not (content or calls or thoughts or cut) and not isinstance(said.get("content"), str):
        raise malformed("its message is empty")
    finish = "length" if cut else "tool_calls" if calls else "stop"
    usage = data.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    try:
        message = Message(
            role="assistant", content=content, reasoning_content="\n".join(thoughts) or None, tool_calls=calls
        )
    except ValidationError as error:
        raise malformed(one_line(str(error))) from None
    return ChatReply(
        _thoughts_apart(message), finish, _tokens(usage.get("prompt_tokens")), _tokens(usage.get("completion_tokens"))
    )


def _choice(data: Any) -> Json:
    if not isinstance(data, dict):
        raise malformed(f"it is a {type(data).__name__}, not an object")
    choices = data.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    error = (first.get("error") if isinstance(first, dict) else None) or data.get("error")
    if not error and data.get("object") == "error":
        error = {key: value for key, value in data.items() if key != "object"}
    if error:
        raise inner_failure(data, error)
    if not isinstance(first, dict):
        raise malformed("it has no choices")
    return first


def _spoken(said: Json) -> tuple[str, str, list[str]]:
    """Content, refusal and reasoning of a message, whose content is text or parts."""
    texts: list[str] = []
    thoughts = [_thought(said.get(key)) for key in ("reasoning_content", "reasoning")]
    refusal = _text(said.get("refusal"), "refusal")
    content = said.get("content")
    if not isinstance(content, str | list | dict | None):
        raise malformed("its content is neither text nor parts")
    for part in [] if content is None else content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            texts.append(part)
            continue
        # Parts of kinds that we know nothing of are passed over: what is said stands in the others.
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "output_text"):
            texts.append(_text(part.get("text"), "text"))
        elif kind == "refusal":
            refusal = refusal or _text(part.get("refusal"), "refusal")
        elif kind in ("thinking", "reasoning"):
            thoughts.append(_thought(part.get(kind) or part.get("text")))
    # Servers in passing from one name to the other send both.
    unique = list(dict.fromkeys(filter(None, thoughts)))
    for text in ("".join(texts), *unique):
        if len(text) > MAX_CHARACTERS:
            raise malformed(f"it is longer than {MAX_CHARACTERS:,} characters")
    return "".join(texts), refusal, unique


def _thought(value: Any) -> str:
    """Reasoning: text, or a list of texts (Mistral); in any other form it is passed over."""
    parts = value if isinstance(value, list) else [value]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "".join(text for text in texts if isinstance(text, str))


def _thoughts_apart(message: Message) -> Message:
    """The message with inline `<think>` moved to its reasoning, also one that the chat template opened."""
    if not _TAG.search(message.text):
        return message
    content, thought = split_reasoning(message)
    return message.model_copy(update={"content": content, "reasoning_content": thought or None})


def _call(data: Any, index: int) -> ToolCall:
    """A call; arguments that are no JSON are kept, for the parser of the episode to judge."""
    function = data.get("function") if isinstance(data, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise malformed("a tool call has no function with a name")
    arguments = function.get("arguments")
    if isinstance(arguments, dict | list):
        arguments = json.dumps(arguments, ensure_ascii=False)
    arguments = _text(arguments, "arguments")
    if len(arguments) > MAX_CHARACTERS:
        raise malformed(f"the arguments of a call are longer than {MAX_CHARACTERS:,} characters")
    named = data.get("id")
    call_id = named[:200] if isinstance(named, str) and named else f"call_{index}"
    return ToolCall(id=call_id, function=Function(name=function["name"][:200], arguments=arguments))


def _list(data: Json, key: str) -> list[Any]:
    value = data.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise malformed(f"{key} is a {type(value).__name__}")
    return value


def _text(value: Any, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise malformed(f"{what} is a {type(value).__name__}")
    return value


def _tokens(value: Any) -> int:
    """A count of tokens as a sane number; 0 where there is none, and what it cost is then the budget's to guess."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_TOKENS:
        return 0
    return int(value)
