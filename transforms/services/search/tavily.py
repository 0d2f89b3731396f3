"""`tavily:` Tavily's search for agents: its snippets are parts of the pages.

Wire format: https://docs.tavily.com/documentation/api-reference/endpoint/search (POST `/search` with `query`,
`search_depth`, `max_results`, at most 20; the key as a bearer token; answers `results` with `content` and `score`).
HTTP 432 and 433 tell of a used up plan. It knows countries by their English names and no language, so the locale is
not sent.
"""

import re
from typing import Final

from gog.schemas import Hit
from gog.transforms.services.provider import Provider
from gog.transforms.services.search.results import Names, ask, hits_in, shortened

URL: Final = "https://api.tavily.com"
_SPENT: Final = re.compile(r"^HTTP 43[23]\b")
_PAGES: Final = Names(url="url", snippet="content", score="score")


class TavilySearch:
    """Text search; fills `TextSearch`."""

    def __init__(self, key: str, *, url: str = URL) -> None:
        """`url` is the API's root."""
        self._key, self._url = key, url.rstrip("/")

    @property
    def id(self) -> str:
        """`tavily:basic`, the depth of the search."""
        return "tavily:basic"

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """Tavily's results, with its scores. Raises `ServiceError`."""
        reply = await ask(
            "POST",
            f"{self._url}/search",
            spent=_SPENT,
            headers={"Authorization": f"Bearer {self._key}"},
            payload={
                "query": shortened(query, 400, 64),
                "search_depth": "basic",
                "max_results": min(20, max(1, top_k)),
            },
            secrets=(self._key,),
        )
        return hits_in(reply.get("results"), _PAGES, top_k)


TEXT_SEARCH = Provider(
    name="tavily", example="tavily:", key="TAVILY_API_KEY", open=lambda opening: TavilySearch(opening.key)
)
