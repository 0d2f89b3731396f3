"""`serper:` Google's results through Serper: pages for a query, and Lens for a picture.

Wire format: https://serper.dev (its playground writes the requests): POST with the key in `X-API-KEY`; `/search` takes
`q`, `gl`, `hl`, `num` and `/lens` takes `url`, `gl`, `hl`; both answer `organic`, a list of results, beside an echo of
`searchParameters`; a search may have an `answerBox` and a `knowledgeGraph` above. A used up account is told with HTTP
400 and "Not enough credits".
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from gog.schemas import Hit
from gog.transforms.services.provider import Provider
from gog.transforms.services.search.lens import Lens, lens_provider
from gog.transforms.services.search.results import Found, Locale, Names, ask, found_in, hits_in, result_of, shortened
from gog.transforms.services.search.settings import SearchSettings

URL: Final = "https://google.serper.dev"
_SPENT: Final = re.compile(r"not enough credits|unauthorized", re.IGNORECASE)
_PAGES: Final = Names(url="link", snippet="snippet")
_MATCHES: Final = Names(url="link", snippet="source", thumbnail="thumbnailUrl")


class SerperSearch:
    """Text search; fills `TextSearch`."""

    def __init__(self, key: str, locale: Locale, *, url: str = URL) -> None:
        """`url` is the API's root."""
        self._key, self._locale, self._url = key, locale, url.rstrip("/")

    @property
    def id(self) -> str:
        """`serper:COUNTRY-LANGUAGE`."""
        return f"serper:{self._locale}"

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """Google's organic results. Raises `ServiceError`."""
        reply = await ask(
            "POST",
            f"{self._url}/search",
            spent=_SPENT,
            headers={"X-API-KEY": self._key},
            payload={
                "q": shortened(query, 2000, 32),
                "gl": self._locale.country,
                "hl": self._locale.language,
                # Ten cost as much as one.
                "num": max(10, top_k),
            },
            secrets=(self._key,),
        )
        above, organic = _above(reply), _organic(reply)
        return hits_in([*above, *organic] if isinstance(organic, list) else organic, _PAGES, top_k)


class SerperLens(Lens):
    """Image search; fills `ImageSearch`."""

    name = "serper:lens"

    async def matches(self, url: str, top_k: int) -> tuple[Found, ...]:
        """What Google Lens finds for the picture at an address. Raises `ServiceError`."""
        reply = await ask(
            "POST",
            f"{self.url or URL}/lens",
            spent=_SPENT,
            headers={"X-API-KEY": self.key},
            payload={"url": url, "gl": self.locale.country, "hl": self.locale.language},
            secrets=(self.key,),
        )
        return found_in(_organic(reply), _MATCHES, top_k)


def _above(reply: Mapping[str, Any]) -> list[dict[str, str]]:
    """The answer and the knowledge graph, which stand above the results, as the first of them."""
    rows = []
    if isinstance(answer := reply.get("answerBox"), dict):
        said = [answer.get("answer"), answer.get("snippet")]
        rows.append(result_of([answer.get("link"), answer.get("sourceLink")], answer.get("title"), said))
    if isinstance(graph := reply.get("knowledgeGraph"), dict):
        facts = graph.get("attributes")
        named = [f"{name}: {fact}" for name, fact in facts.items()] if isinstance(facts, dict) else []
        links = [graph.get("descriptionLink"), graph.get("website")]
        rows.append(result_of(links, graph.get("title"), [graph.get("type"), graph.get("description"), *named]))
    return [row | {"link": row["url"], "snippet": row["content"]} for row in rows]


def _organic(reply: Mapping[str, Any]) -> object:
    """The list of results; where nothing was found there may be none beside the echo of the request."""
    return reply.get("organic", [] if "searchParameters" in reply else None)


TEXT_SEARCH = Provider(
    name="serper",
    example="serper:",
    key="SERPER_API_KEY",
    open=lambda opening: SerperSearch(opening.key, opening.of(SearchSettings).locale),
)
IMAGE_SEARCH = lens_provider("serper", "SERPER_API_KEY", SerperLens)
