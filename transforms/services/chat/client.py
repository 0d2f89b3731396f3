"""A chat model behind an OpenAI-compatible endpoint, as a `Policy`."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import jsonschema

from gog.prompts import render
from gog.schemas import Message, TextPart, canonical_json
from gog.transforms.episode.actions import load_object
from gog.transforms.services.chat.failures import read_failure
from gog.transforms.services.chat.pictures import Pictures
from gog.transforms.services.chat.reply import read_reply
from gog.transforms.services.chat.settings import JSON_PROMPT, REPAIR_PROMPT, ModelSettings, model_id
from gog.transforms.services.chat.wire import request_body
from gog.transforms.services.protocols import ChatReply, ChatRequest, ImageStore, ServiceError
from gog.transforms.services.web import call_json


class ChatModel:
    """Asks `URL/chat/completions`.

    k samples of a prompt are k calls that differ in `sample_index`, which is sent as the seed: each has a key of its
    own in the store, so that a sample more costs one call more. `n` would save the reading of the prompt, which
    servers with a prefix cache save too, and would lose all samples with one failure.
    """

    def __init__(
        self, url: str, model: str, images: ImageStore, settings: ModelSettings | None = None, key: str = ""
    ) -> None:
        """`url` is the endpoint's base, as in `http://127.0.0.1:8000/v1`; `key` goes into the header alone."""
        self._settings = settings or ModelSettings()
        self._url, self._model, self._key = completions_url(url), model, key
        self._pictures = Pictures(images, self._settings)
        self.id = model_id(model, self._settings)

    def __repr__(self) -> str:
        return f"ChatModel({self.id!r})"

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One reply. Raises `ServiceError`."""
        if request.response_schema is None or self._settings.json_replies == "schema":
            return await self._ask(request)
        return await self._ask_for_json(request)

    async def _ask(self, request: ChatRequest) -> ChatReply:
        urls = await self._pictures.urls(sha256 for message in request.messages for sha256 in message.images)
        body = request_body(self._model, request, self._settings, urls)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            data: Any = await call_json("POST", self._url, headers=headers, payload=body, secrets=(self._key,))
        except ServiceError as error:
            raise read_failure(error) from None
        return read_reply(data)

    async def _ask_for_json(self, request: ChatRequest) -> ChatReply:
        """Ask for JSON in words, and once more with the error where the reply does not fit; both are counted."""
        schema = request.response_schema or {}
        asked = _told(request.messages, render(JSON_PROMPT, schema=canonical_json(schema)).text)
        first = await self._ask(replace(request, messages=asked))
        error = schema_error(first.message.text, schema)
        if not error:
            return first
        told = render(REPAIR_PROMPT, error=error).text
        said = Message(role="assistant", content=first.message.text)
        second = await self._ask(replace(request, messages=(*asked, said, Message(role="user", content=told))))
        return replace(
            second,
            prompt_tokens=first.prompt_tokens + second.prompt_tokens,
            completion_tokens=first.completion_tokens + second.completion_tokens,
        )


def completions_url(url: str) -> str:
    """The address of chat completions below an endpoint's base; a query string stays at the end."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    path = path if path.endswith("/chat/completions") else f"{path}/chat/completions"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def schema_error(text: str, schema: Any) -> str:
    """Why the text is no JSON object of the schema, in one line; empty where it is one."""
    loaded = load_object(text.strip().removeprefix("```json").removeprefix("```").removesuffix("```"))
    if loaded is None:
        return "it is not a JSON object"
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(loaded))
    if error is None:
        return ""
    where = "".join(f"[{json.dumps(part)}]" for part in error.absolute_path)
    return " ".join(f"{where} {error.message}".split())[:300]


def _told(messages: tuple[Message, ...], words: str) -> tuple[Message, ...]:
    """The messages with words added to the last one where it is a user's, and in one of their own otherwise."""
    if not messages or messages[-1].role != "user":
        return (*messages, Message(role="user", content=words))
    last = messages[-1]
    parts = (TextPart(text=last.content),) if isinstance(last.content, str) else last.content
    content = f"{last.content}\n\n{words}" if isinstance(last.content, str) else (*parts, TextPart(text=words))
    return (*messages[:-1], last.model_copy(update={"content": content}))
