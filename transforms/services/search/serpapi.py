"""`serpapi:` Google Lens through SerpApi.

Wire format: https://serpapi.com/google-lens-api (GET with `engine`, `type`, `url`, `hl`, `country`, `api_key`; answers
`visual_matches`) and https://serpapi.com/api-status-and-error-codes (an `error` may come with any status; one that says
that nothing was returned means no results; 429 is also what a used up account gets).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from gog.schemas import FailureClass
from gog.transforms.services.http import hide
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.search.index_folder import clean
from gog.transforms.services.search.lens import Lens, lens_provider
from gog.transforms.services.search.results import Found, Names, ask, found_in

URL: Final = "https://serpapi.com"
_SPENT: Final = re.compile(
    r"run out of searches|invalid api key|account .{0,40}(?:disabled|deactivated)", re.IGNORECASE
)
_NOTHING: Final = re.compile(r"hasn.t returned any results|no results", re.IGNORECASE)
_MATCHES: Final = Names(url="link", snippet="source", thumbnail="thumbnail")


class SerpApiLens(Lens):
    """Image search; fills `ImageSearch`."""

    name = "serpapi:lens"

    async def matches(self, url: str, top_k: int) -> tuple[Found, ...]:
        """What Google Lens finds for the picture at an address. Raises `ServiceError`."""
        reply = await ask(
            "GET",
            f"{self.url or URL}/search.json",
            spent=_SPENT,
            params={
                "engine": "google_lens",
                "type": "visual_matches",
                "url": url,
                "hl": self.locale.language,
                "country": self.locale.country,
                "api_key": self.key,
            },
            secrets=(self.key,),
        )
        if _is_error(reply, self.key):
            return ()
        metadata = reply.get("search_metadata")
        done = isinstance(metadata, dict) and metadata.get("status") == "Success"
        return found_in(reply.get("visual_matches", [] if done else None), _MATCHES, top_k)


def _is_error(reply: Mapping[str, Any], key: str) -> bool:
    """Whether the reply's error means that nothing was found; any other is raised."""
    error = reply.get("error")
    if not isinstance(error, str):
        return False
    if _NOTHING.search(error):
        return True
    failure = FailureClass.AUTH if _SPENT.search(error) else FailureClass.SERVER
    raise ServiceError(failure, hide(clean(error, 300), (key,)))


IMAGE_SEARCH = lens_provider("serpapi", "SERPAPI_API_KEY", SerpApiLens)
