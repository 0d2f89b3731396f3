"""`searxng:https://HOST` a SearXNG instance, normally one's own.

Wire format: https://docs.searxng.org/dev/search_api.html (GET `/search` with `q`, `format=json`, `language`; answers
`results`, a list, `infoboxes`, `answers` and `unresponsive_engines`). JSON must be allowed in the instance's settings
(`search.formats`, https://docs.searxng.org/admin/settings/settings_search.html); where it is not, it answers HTTP 403.
"""

import re
from typing import Any, Final

from yarl import URL

from gog.schemas import FailureClass, Hit
from gog.transforms.services.http import key_in
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import Opening, Provider, ProviderError
from gog.transforms.services.search.index_folder import clean
from gog.transforms.services.search.results import Names, ask, hits_in, listed, result_of, shortened
from gog.transforms.services.search.settings import SearchSettings

_SPENT: Final = re.compile(r"(?!)")
_PAGES: Final = Names(url="url", snippet="content")  # those of `result_of` too


class SearxngSearch:
    """Text search; fills `TextSearch`. The scores that SearXNG gives are ranks, not likenesses: they are left out."""

    def __init__(self, address: str, language: str) -> None:
        """`address` is the instance's. Raises `ValueError` when it is no http or https address, or holds a key."""
        url = URL(address)
        # Nothing behind a ? is sent; written down it would be.
        if url.scheme not in ("http", "https") or not url.host or key_in(address):
            raise ValueError("an http or https address without a user name or key is needed")
        self._url, self._language = url.with_query(None).with_fragment(None), language

    @property
    def id(self) -> str:
        """`searxng:HOST:LANGUAGE`; the host with its port and path where they are not the usual ones."""
        url = self._url
        place = url.host or ""
        if not url.is_default_port():
            place += f":{url.port}"
        return f"searxng:{place}{url.path.rstrip('/')}:{self._language}"

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """Results of the instance's engines. Raises `ServiceError`, also when no engine answered."""
        params = {"q": shortened(query, 2000, 64), "format": "json", "language": self._language}
        try:
            reply = await ask("GET", str(self._url / "search"), spent=_SPENT, params=params)
        except ServiceError as error:
            if error.failure is FailureClass.AUTH:
                hint = "allow json in search.formats of its settings.yml"
                raise ServiceError(error.failure, f"{error.detail[:200]} ({hint})") from None
            raise
        results = reply.get("results")
        above = [*_boxes(reply.get("infoboxes")), *_answers(reply.get("answers"))]
        hits = hits_in([*above, *results] if isinstance(results, list) else results, _PAGES, top_k)
        silent = _silent(reply.get("unresponsive_engines"))
        if not hits and silent:
            raise ServiceError(FailureClass.OVERLOADED, f"no results, and these engines did not answer: {silent}")
        return hits


def _boxes(infoboxes: Any) -> list[dict[str, str]]:
    """Infoboxes as results: their text and attributes, at the address that they stand for."""
    rows = []
    for box in infoboxes if isinstance(infoboxes, list) else []:
        if isinstance(box, dict):
            links = [link.get("url") for link in listed(box.get("urls")) if isinstance(link, dict)]
            facts = [
                f"{fact['label']}: {fact['value']}"
                for fact in listed(box.get("attributes"))
                if isinstance(fact, dict) and isinstance(fact.get("label"), str) and isinstance(fact.get("value"), str)
            ]
            rows.append(result_of([box.get("id"), *links], box.get("infobox"), [box.get("content"), *facts]))
    return rows


def _answers(answers: Any) -> list[dict[str, str]]:
    """Answers that have an address, as results."""
    found = [one for one in listed(answers) if isinstance(one, dict)]
    return [result_of([one.get("url")], one.get("engine"), [one.get("answer")]) for one in found]


def _silent(engines: Any) -> str:
    """Names of the engines that did not answer, each with why."""
    rows = engines if isinstance(engines, list) else []
    named = [": ".join(clean(str(part), 60) for part in row[:2]) for row in rows[:10] if isinstance(row, list) and row]
    return ", ".join(named)


def _open(opening: Opening) -> SearxngSearch:
    try:
        return SearxngSearch(opening.rest, opening.of(SearchSettings).language)
    except ValueError:
        raise ProviderError(
            "searxng: needs the address of an instance, without a user name or key in it; "
            "for example 'searxng:https://HOST'"
        ) from None


TEXT_SEARCH = Provider(
    name="searxng",
    example="searxng:https://HOST",
    fits=lambda opening: bool(opening.rest and _open(opening)),
    open=_open,
)
