"""What all search providers share: the locale, calls whose failures are classed, and replies made into hits.

Replies are read with suspicion: any JSON gives hits or a `ServiceError`, never another error. A reply without the
list of results that it should have is malformed, not empty: an engine that changed its form must not pass for one
that found nothing.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gog.schemas import FailureClass, Hit
from gog.transforms.services.http import call_json
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.search.index_folder import clean

TITLE: Final = 300
URL: Final = 2000
SNIPPET: Final = 1000
LIMIT_BYTES: Final = 4 << 20
_MARKS: Final = re.compile(r"</?(?:strong|b|em|i|mark|span)>|<br ?/?>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Locale:
    """Where and in what language is searched: a country (ISO 3166, `us`) and a language (`en`)."""

    country: str = "us"
    language: str = "en"

    def __str__(self) -> str:
        """As it stands in ids."""
        return f"{self.country}-{self.language}"


@dataclass(frozen=True, slots=True)
class Names:
    """What a provider calls the parts of a result; `thumbnail` may be a path (`thumbnail.src`)."""

    url: str
    title: str = "title"
    snippet: str = ""
    score: str = ""
    thumbnail: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A hit, with the address of its thumbnail where the provider gave one."""

    hit: Hit
    thumbnail: str = ""


async def ask(
    method: str,
    url: str,
    *,
    spent: re.Pattern[str],
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    payload: Any = None,
    secrets: tuple[str, ...] = (),
) -> Mapping[str, Any]:
    """One request of a provider; its reply is a JSON object.

    A refusal whose words match `spent` is of class `auth`: the key is wrong or its credit is used up, whatever the
    status. Raises `ServiceError`.
    """
    try:
        reply = await call_json(
            method, url, headers=headers, params=params, payload=payload, secrets=secrets, limit_bytes=LIMIT_BYTES
        )
    except ServiceError as error:
        if spent.search(error.detail):
            raise ServiceError(FailureClass.AUTH, error.detail) from None
        raise
    if not isinstance(reply, dict):
        raise ServiceError(FailureClass.MALFORMED, "the reply is no JSON object")
    return reply


def found_in(rows: object, names: Names, top_k: int) -> tuple[Found, ...]:
    """The first `top_k` results, in the reply's order, each address once; rows without a web address are left out.

    Texts are bounded, on one line, without markup of the provider's and control characters; a score counts only from
    0 to 1. Raises `ServiceError` (`malformed`) when `rows` is no list.
    """
    if not isinstance(rows, list):
        raise ServiceError(FailureClass.MALFORMED, "the reply has no list of results")
    found: dict[str, Found] = {}
    for row in rows:
        if len(found) >= top_k:
            break
        url = clean(_text(row, names.url), URL + 1) if isinstance(row, dict) else ""
        if not url.startswith(("http://", "https://")) or len(url) > URL or url in found:
            continue
        hit = Hit(
            rank=len(found) + 1,
            title=_plain(_text(row, names.title), TITLE),
            url=url,
            snippet=_plain(_text(row, names.snippet), SNIPPET),
            score=_score(row.get(names.score)) if names.score else None,
        )
        found[url] = Found(hit, _text(row, names.thumbnail))
    return tuple(found.values())


def hits_in(rows: object, names: Names, top_k: int) -> tuple[Hit, ...]:
    """The hits of `found_in`."""
    return tuple(found.hit for found in found_in(rows, names, top_k))


def result_of(urls: Sequence[Any], title: Any, texts: Sequence[Any]) -> dict[str, str]:
    """What an engine shows above its results as one of them: `url` (the first web address), `title`, `content`."""
    addresses = (url for url in urls if isinstance(url, str) and url.startswith(("http://", "https://")))
    said = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
    return {
        "url": next(addresses, ""),
        "title": title if isinstance(title, str) else "",
        "content": "; ".join(said[:20]),
    }


def listed(value: Any) -> list[Any]:
    """A list as it is; anything else is none."""
    return value if isinstance(value, list) else []


def shortened(query: str, characters: int, count: int) -> str:
    """A query on one line within what a provider takes: characters and words."""
    return " ".join(clean(query, characters).split()[:count])


def _text(row: Mapping[str, Any], path: str) -> str:
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) and path else ""


def _plain(text: str, limit: int) -> str:
    # Bounded first: what comes may be megabytes.
    return clean(html.unescape(_MARKS.sub("", text[: 8 * limit])), limit)


def _score(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None
