"""A text search that reads: the first hits' pages are opened, and what they say of the query becomes their snippets.

Each page, and each summary where the judge writes one, is a request of its own through the one door, so a page is
read once for all queries. A page that cannot be read leaves its hit as the search engine gave it.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from gog.prompts import prompt_hash, render
from gog.schemas import Hit, Message
from gog.transforms.dialect.observations import neutralise, one_line
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.protocols import (
    ChatReply,
    ChatRequest,
    Page,
    PageReader,
    Policy,
    Sampling,
    ServiceError,
    TextSearch,
)
from gog.transforms.services.search.excerpts import excerpt, query_words, sentences, words
from gog.transforms.services.search.index_folder import clean

SUMMARISED: Final = 12_000
"""Characters of a page that are summarised: the passages that fit the query best."""
_PROMPT: Final = "read/summary"

ReadPage = Callable[[str], Awaitable[Page]]
Ask = Callable[[ChatRequest], Awaitable[ChatReply]]


class ReadingSettings(BaseModel):
    """How pages are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pages: int = Field(default=3, ge=0, le=20)
    """Hits whose pages are opened, from the first; 0 where pages are for the tool `visit` alone."""
    characters: int = Field(default=1000, ge=100, le=20_000)
    """Length of what is kept of a page."""
    summary: bool = False
    """The judge writes what the page says of the query; otherwise the passages that fit it best are kept."""
    robots: bool = True
    """Whether robots.txt is respected; `local:` only."""


class Reading:
    """A text search whose hits are read; fills `TextSearch`, and `Composed` of the door."""

    def __init__(
        self,
        search: TextSearch,
        reader: PageReader,
        settings: ReadingSettings | None = None,
        summariser: Policy | None = None,
    ) -> None:
        """`summariser` writes the summaries; needed where `settings.summary` asks for them."""
        self.inner, self.reader = search, reader
        self._settings = settings or ReadingSettings()
        self.summariser = summariser if self._settings.summary else None
        if self._settings.summary and summariser is None:
            raise ValueError("summaries need a model that writes them")

    @property
    def id(self) -> str:
        """The search's and the reader's ids, and all else that changes what is kept of a page."""
        kept = f"{self._settings.pages}x{self._settings.characters}"
        by = f"+{self.summariser.id}@{prompt_hash(_PROMPT)}" if self.summariser else ""
        return f"{self.inner.id}+{self.reader.id}:{kept}{by}"

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """Hits, asked of the services themselves: nothing is kept, retried or counted. Raises `ServiceError`."""
        hits = await self.inner.search(query, top_k)
        return await self._read(query, hits, self.reader.read, self.summariser.complete if self.summariser else None)

    async def search_through(self, gateway: Gateway, query: str, top_k: int, purpose: str) -> tuple[Hit, ...]:
        """Hits; the search and each page come through the door. Raises `ServiceError` when the search fails."""
        hits = await gateway.text_search(self.inner, query, top_k, purpose)

        async def read(url: str) -> Page:
            return await gateway.read_page(self.reader, url, purpose)

        async def ask(request: ChatRequest) -> ChatReply:
            assert self.summariser is not None
            return await gateway.chat(self.summariser, request, purpose)

        return await self._read(query, hits, read, ask if self.summariser else None)

    async def _read(self, query: str, hits: Sequence[Hit], read: ReadPage, ask: Ask | None) -> tuple[Hit, ...]:
        count = self._settings.pages
        summaries = await asyncio.gather(
            *(self._said(query, hit.url, read, ask) for hit in hits[:count]), return_exceptions=True
        )
        for what in summaries:
            if isinstance(what, BaseException):
                raise what
        texts = [what for what in summaries if isinstance(what, str)]
        opened = [
            hit.model_copy(update={"snippet": text}) if text else hit for hit, text in zip(hits, texts, strict=False)
        ]
        return (*opened, *hits[count:])

    async def _said(self, query: str, url: str, read: ReadPage, ask: Ask | None) -> str:
        """What a page says of the query; empty where it says nothing or cannot be read."""
        if not url.startswith(("http://", "https://")):
            return ""
        limit = self._settings.characters
        try:
            page = await read(url.partition("#")[0])
        except ServiceError as error:
            if error.failure.unasked:
                raise
            return ""
        kept = relevant(page.text, query, limit)
        if ask is None or not kept:
            return kept
        try:
            reply = await ask(_request(query, relevant(page.text, query, SUMMARISED), limit))
        except ServiceError as error:
            if error.failure.unasked:
                raise
            return kept
        text = clean(reply.message.text, limit)
        return "" if text.strip(" .").upper() == "NOTHING" else text or kept


def relevant(text: str, query: str, limit: int) -> str:
    """What a text says of a query: the passages around the sentences that hold most of its words, on one line.

    Rare words count above all. At most `limit` characters; empty when no word of the query is in the text.
    """
    found = sentences(text)
    counts = Counter(word for sentence in found for word in set(words(sentence)))
    # As rare as a word is among the sentences: inverse document frequency.
    weights = {w: math.log(1 + len(found) / counts[w]) for w in query_words(query) if counts[w]}
    return excerpt(found, weights, limit) if weights else ""


def _request(query: str, text: str, limit: int) -> ChatRequest:
    prompt = render(_PROMPT, words=max(20, limit // 6), query=one_line(query), page=neutralise(text))
    return ChatRequest(
        messages=(Message(role="user", content=prompt.text),),
        sampling=Sampling(temperature=0.0, max_tokens=max(128, limit)),
        prompt_hash=prompt.hash,
    )
