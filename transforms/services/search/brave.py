"""`brave:` Brave's own index.

Wire format: https://api-dashboard.search.brave.com/documentation (GET `/res/v1/web/search` with `q`, at most 400
characters and 50 words, `count`, at most 20, `country`, `search_lang`; the key in `X-Subscription-Token`; answers
`web.results`, and no `web` where nothing was found). A wrong key is told with HTTP 422.
"""

import re
from typing import Final

from gog.schemas import FailureClass, Hit
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import Provider
from gog.transforms.services.search.results import Locale, Names, ask, hits_in, shortened
from gog.transforms.services.search.settings import SearchSettings

URL: Final = "https://api.search.brave.com"
_SPENT: Final = re.compile(
    r"SUBSCRIPTION_TOKEN|x-subscription-token|SUBSCRIPTION_NOT_FOUND|OPTION_NOT_IN_PLAN|QUOTA_LIMITED|USAGE_LIMIT",
    re.IGNORECASE,
)
_PAGES: Final = Names(url="url", snippet="description")
_LANGUAGES: Final = {
    "zh-cn": "zh-hans",
    "zh-tw": "zh-hant",
    "pt-br": "pt-br",
    "pt-pt": "pt-pt",
    "en-gb": "en-gb",
    "ja": "jp",
}
"""Where Brave's names of languages are not the first part of ours."""


class BraveSearch:
    """Text search; fills `TextSearch`."""

    def __init__(self, key: str, locale: Locale, *, url: str = URL) -> None:
        """`url` is the API's root."""
        self._key, self._locale, self._url = key, locale, url.rstrip("/")

    @property
    def id(self) -> str:
        """`brave:COUNTRY-LANGUAGE`."""
        return f"brave:{self._locale}"

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """Brave's web results. Raises `ServiceError`."""
        language = self._locale.language.lower()
        reply = await ask(
            "GET",
            f"{self._url}/res/v1/web/search",
            spent=_SPENT,
            headers={"X-Subscription-Token": self._key, "Accept": "application/json"},
            params={
                "q": shortened(query, 400, 50),
                "count": str(min(20, max(1, top_k))),
                "country": self._locale.country.upper(),
                "search_lang": _LANGUAGES.get(language, language.partition("-")[0]),
                "result_filter": "web",
                "text_decorations": "false",
            },
            secrets=(self._key,),
        )
        web = reply.get("web")
        if web is None and reply.get("type") == "search":
            return ()
        if not isinstance(web, dict):
            raise ServiceError(FailureClass.MALFORMED, "the reply has no list of results")
        return hits_in(web.get("results"), _PAGES, top_k)


TEXT_SEARCH = Provider(
    name="brave",
    example="brave:",
    key="BRAVE_API_KEY",
    open=lambda opening: BraveSearch(opening.key, opening.of(SearchSettings).locale),
)
