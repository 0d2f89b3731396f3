"""A chat model behind an OpenAI-compatible endpoint, as a `Policy`."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from gog.transforms.image_store import ImageStore
from gog.transforms.services.gateway.json_replies import asked_in_words
from gog.transforms.services.http import call_json
from gog.transforms.services.models.chat.failures import read_failure
from gog.transforms.services.models.chat.pictures import Pictures
from gog.transforms.services.models.chat.reply import read_reply
from gog.transforms.services.models.chat.settings import ModelSettings, model_id
from gog.transforms.services.models.chat.wire import request_body
from gog.transforms.services.protocols import ChatReply, ChatRequest, ServiceError


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
        self.thinking_tokens = self._settings.thinking_tokens

    def __repr__(self) -> str:
        return f"ChatModel({self.id!r})"

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One reply. Raises `ServiceError`."""
        if request.response_schema is not None and self._settings.json_replies != "schema":
            request = asked_in_words(request)
        urls = await self._pictures.urls(sha256 for message in request.messages for sha256 in message.images)
        body = request_body(self._model, request, self._settings, urls)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            data: Any = await call_json("POST", self._url, headers=headers, payload=body, secrets=(self._key,))
        except ServiceError as error:
            raise read_failure(error) from None
        return read_reply(data)


def completions_url(url: str) -> str:
    """The address of chat completions below an endpoint's base; a query string stays at the end."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    path = path if path.endswith("/chat/completions") else f"{path}/chat/completions"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
