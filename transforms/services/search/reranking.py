"""A text search whose first hits are put in another order: by a cross-encoder, or by the judge.

Hits keep what they say; ranks are anew. What a cross-encoder puts in order is kept as the search's own answer. The
judge is asked through the one door; where it fails, or its reply cannot be read, the hits stay as they were found.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gog.prompts import prompt_hash, render
from gog.schemas import FailureClass, Hit, Message
from gog.transforms.dialect.observations import one_line
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.protocols import ChatReply, ChatRequest, Policy, Sampling, ServiceError, TextSearch
from gog.transforms.services.search.cross_encoder import CrossEncoder, open_cross_encoder
from gog.transforms.services.search.index_folder import clean
from gog.transforms.services.search.settings import JUDGE, SearchSettings

_logger = logging.getLogger(__name__)

_PROMPT: Final = "search/order"
_SHOWN: Final = 500
"""Characters of a hit that the judge reads."""
Ask = Callable[[ChatRequest], Awaitable[ChatReply]]


class Scored:
    """Hits in the order of a cross-encoder's scores; fills `TextSearch`."""

    def __init__(self, search: TextSearch, encoder: CrossEncoder, count: int) -> None:
        """`count` hits of the search are put in order."""
        self._inner, self._encoder, self._count = search, encoder, count

    @property
    def id(self) -> str:
        """The search's id, and what puts its hits in order."""
        return f"{self._inner.id}+{self._encoder.id}x{self._count}"

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """Hits, best first, with the scores of the search. Raises `ServiceError`."""
        hits = await self._inner.search(query, max(top_k, self._count))
        first = hits[: self._count]
        scores = await self._encoder.scores(clean(query, 4000), [f"{hit.title}. {hit.snippet}" for hit in first])
        order = sorted(range(len(first)), key=lambda at: (-scores[at], at))
        return _in_order(hits, order, top_k)


class Judged:
    """Hits in the order that a model writes; fills `TextSearch`, and `Composed` of the door."""

    def __init__(self, search: TextSearch, judge: Policy, count: int) -> None:
        """`count` hits of the search are put in order."""
        self._inner, self._judge, self._count = search, judge, count

    @property
    def id(self) -> str:
        """The search's id, and who puts its hits in order."""
        return f"{self._inner.id}+{self._judge.id}@{prompt_hash(_PROMPT)}x{self._count}"

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """Hits, asked of the services themselves: nothing is kept, retried or counted. Raises `ServiceError`."""
        hits = await self._inner.search(query, max(top_k, self._count))
        return await self._ordered(query, hits, top_k, self._judge.complete)

    async def search_through(self, gateway: Gateway, query: str, top_k: int, purpose: str) -> tuple[Hit, ...]:
        """Hits; the search and the judge come through the door. Raises `ServiceError` when the search fails."""
        hits = await gateway.text_search(self._inner, query, max(top_k, self._count), purpose)

        async def ask(request: ChatRequest) -> ChatReply:
            return await gateway.chat(self._judge, request, purpose)

        return await self._ordered(query, hits, top_k, ask)

    async def _ordered(self, query: str, hits: Sequence[Hit], top_k: int, ask: Ask) -> tuple[Hit, ...]:
        first = hits[: self._count]
        if len(first) < 2:
            return _in_order(hits, [], top_k)
        try:
            order = read_order((await ask(_request(query, first))).message.text, len(first))
        except ServiceError as error:
            if error.failure.unasked:
                raise
            _logger.warning("%d hits of %s stay as they were found: %s", len(first), self._inner.id, error)
            order = []
        return _in_order(hits, order, top_k)


def reranked(search: TextSearch, settings: SearchSettings, judge: Policy | None) -> TextSearch:
    """The search with its hits in another order, where the settings ask for it. Raises `ProviderError`."""
    if not settings.rerank:
        return search
    if settings.rerank == JUDGE:
        if judge is None:
            raise ValueError("the judge that puts hits in order is missing")
        return Judged(search, judge, settings.reranked)
    return Scored(search, open_cross_encoder(settings.rerank), settings.reranked)


def read_order(text: str, count: int) -> list[int]:
    """Places from 0 in the order that a reply gives them, its last list of numbers; it need not have them all.

    Raises `ServiceError` (malformed) where there is no such list, or one of numbers that no hit has.
    """
    lists = re.findall(r"\[([\d,\s]*)\]", text[-4000:])
    numbers = [int(number) for number in re.findall(r"\d{1,6}", lists[-1])] if lists else []
    if not lists or any(not 0 < number <= count for number in numbers):
        raise ServiceError(FailureClass.MALFORMED, f"no order of {count} hits in {text[:80]!r}")
    return [number - 1 for number in dict.fromkeys(numbers)]


def _in_order(hits: Sequence[Hit], order: Sequence[int], top_k: int) -> tuple[Hit, ...]:
    """Those named, then the others as they were."""
    places = [*order, *(at for at in range(len(hits)) if at not in set(order))][:top_k]
    return tuple(hits[at].model_copy(update={"rank": rank}) for rank, at in enumerate(places, 1))


def _request(query: str, hits: Sequence[Hit]) -> ChatRequest:
    shown = "\n".join(f"[{at}] {one_line(f'{hit.title}: {hit.snippet}')[:_SHOWN]}" for at, hit in enumerate(hits, 1))
    prompt = render(_PROMPT, query=one_line(query), hits=shown)
    return ChatRequest(
        messages=(Message(role="user", content=prompt.text),),
        sampling=Sampling(temperature=0.0, max_tokens=1024),
        prompt_hash=prompt.hash,
    )
