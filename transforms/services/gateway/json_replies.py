"""Replies that shall be JSON of a schema: the words that ask for it, and the request that asks once more."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gog.prompts import render
from gog.schemas import Message, TextPart, canonical_json
from gog.transforms.dialect.turns import load_object
from gog.transforms.services.protocols import ChatReply, ChatRequest

JSON_PROMPT: Final = "chat/json"
REPAIR_PROMPT: Final = "chat/repair"
_ERROR: Final = 300
"""Characters of what is wrong with a reply."""


def asked_in_words(request: ChatRequest) -> ChatRequest:
    """The request with its schema in words too: at the end of the last message where that is a user's."""
    words = render(JSON_PROMPT, schema=canonical_json(request.response_schema or {})).text
    messages = request.messages
    if not messages or messages[-1].role != "user":
        return replace(request, messages=(*messages, Message(role="user", content=words)))
    last = messages[-1]
    content = f"{last.content}\n\n{words}" if isinstance(last.content, str) else (*last.content, TextPart(text=words))
    return replace(request, messages=(*messages[:-1], last.model_copy(update={"content": content})))


def repair(request: ChatRequest, reply: ChatReply) -> ChatRequest | None:
    """The request once more, with the reply and what is wrong with it; None where the reply is as asked for."""
    error = schema_error(reply.message.text, request.response_schema) if request.response_schema is not None else ""
    if not error:
        return None
    said = Message(role="assistant", content=reply.message.text)
    told = Message(role="user", content=render(REPAIR_PROMPT, error=error).text)
    return replace(request, messages=(*request.messages, said, told))


def schema_error(text: str, schema: Mapping[str, Any]) -> str:
    """Why the text is no JSON object of the schema, in one line; empty where it is one."""
    import jsonschema  # most calls have no schema

    loaded = load_object(text.strip().removeprefix("```json").removeprefix("```").removesuffix("```"))
    if loaded is None:
        return "it is not a JSON object"
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(loaded))
    if error is None:
        return ""
    where = "".join(f"[{json.dumps(part)}]" for part in error.absolute_path)
    return " ".join(f"{where} {error.message}".split())[:_ERROR]
