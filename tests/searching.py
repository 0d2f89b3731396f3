"""Search providers on the loopback: what was asked of them, and what is made of their replies."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from fakes import MemoryImages, picture
from websites import failure, run, site

from gog.schemas import Hit
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.search.brave import BraveSearch
from gog.transforms.services.search.lens import Lens
from gog.transforms.services.search.results import Locale
from gog.transforms.services.search.searxng import SearxngSearch
from gog.transforms.services.search.serpapi import SerpApiLens
from gog.transforms.services.search.serper import SerperLens, SerperSearch
from gog.transforms.services.search.tavily import TavilySearch

KEY = "planted-key-1234"
LOCALE = Locale("ch", "de")
"""The country's code is not the language's: who confuses them is seen."""

Work = Callable[[str], Coroutine[Any, Any, tuple[Hit, ...]]]
"""A search at the root of an API."""


class Lender:
    """An uploader that puts nothing anywhere."""

    @asynccontextmanager
    async def lent(self, data: bytes, sha256: str) -> AsyncIterator[str]:
        """An address."""
        yield f"https://lent.example/{sha256}.png"


def lens(kind: type[Lens], url: str = "") -> tuple[Lens, str]:
    """An image search over a store with one picture, and the picture's hash."""
    images = MemoryImages()
    sha256 = images.put(picture(), "png")
    return kind(KEY, LOCALE, images, Lender(), url=url), sha256


@dataclass
class Seen:
    """A request as the provider saw it."""

    method: str = ""
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


def answered(reply: Any, work: Work) -> tuple[tuple[Hit, ...], Seen]:
    """The hits that a provider's reply becomes, and what was asked; `work` is given the API's root."""
    seen = Seen()

    async def answer(request: web.Request) -> web.Response:
        seen.method, seen.path, seen.query = request.method, request.path, dict(request.query)
        seen.headers = {name.lower(): value for name, value in request.headers.items()}
        seen.body = await request.json() if request.can_read_body else None
        return web.json_response(reply)

    async def go() -> tuple[Hit, ...]:
        async with site({"*": answer}) as base:
            return await work(base)

    return run(go()), seen


def refusal(reply: Any, status: int, work: Work) -> ServiceError:
    """The failure that a provider's reply becomes."""

    async def go() -> None:
        async with site({"*": web.json_response(reply, status=status)}) as base:
            await work(base)

    error = failure(go())
    assert KEY not in str(error)
    return error


async def serper(base: str) -> tuple[Hit, ...]:
    return await SerperSearch(KEY, LOCALE, url=base).search("capital of  Chad", 2)


async def serper_lens(base: str) -> tuple[Hit, ...]:
    service, sha256 = lens(SerperLens, base)
    return await service.search(sha256, 5)


async def serpapi(base: str) -> tuple[Hit, ...]:
    service, sha256 = lens(SerpApiLens, base)
    return await service.search(sha256, 5)


async def searxng(base: str) -> tuple[Hit, ...]:
    return await SearxngSearch(base + "/searx/", "de").search("capital of Chad", 2)


async def brave(base: str) -> tuple[Hit, ...]:
    return await BraveSearch(KEY, LOCALE, url=base).search("capital of Chad", 2)


async def tavily(base: str) -> tuple[Hit, ...]:
    return await TavilySearch(KEY, url=base).search("capital of Chad", 2)
