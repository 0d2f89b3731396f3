"""What holds of every search provider: no keys where they do not belong, and no reply that breaks it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from searching import KEY, LOCALE, Work, brave, lens, searxng, serpapi, serper, serper_lens, tavily
from strategies import json_values
from websites import run, site

from gog.schemas import Hit
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.protocols import ServiceError, TextSearch
from gog.transforms.services.search import results
from gog.transforms.services.search.brave import BraveSearch
from gog.transforms.services.search.results import Locale
from gog.transforms.services.search.searxng import SearxngSearch
from gog.transforms.services.search.serpapi import SerpApiLens
from gog.transforms.services.search.serper import SerperLens, SerperSearch
from gog.transforms.services.search.tavily import TavilySearch
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store

TEXT: list[TextSearch] = [
    SerperSearch(KEY, LOCALE),
    BraveSearch(KEY, LOCALE),
    TavilySearch(KEY),
    SearxngSearch("https://sx.example", "de"),
]


@pytest.mark.parametrize("service", [*TEXT, lens(SerperLens)[0], lens(SerpApiLens)[0]], ids=lambda s: s.id)
def test_no_key_in_an_id_or_a_repr(service: Any) -> None:
    assert KEY not in service.id + repr(service)


def test_ids_have_the_locale() -> None:
    assert SerperSearch(KEY, LOCALE).id == "serper:ch-de"
    assert lens(SerperLens)[0].id == "serper:lens:ch-de"
    assert lens(SerpApiLens)[0].id == "serpapi:lens:ch-de"
    assert BraveSearch(KEY, Locale()).id == "brave:us-en"


def test_no_key_in_the_store(tmp_path: Path) -> None:
    """Neither of an answer nor of a refusal that repeats it."""

    async def answer(request: web.Request) -> web.Response:
        key = request.headers.get("X-API-KEY") or request.query.get("api_key", "")
        return web.json_response({"message": f"{key} is not allowed", "error": f"bad {key}"}, status=400)

    async def go() -> None:
        async with site({"*": answer}) as base:
            with Store(tmp_path, Mode.RECORD) as store:
                door = Gateway(store)
                image_search, sha256 = lens(SerpApiLens, base)
                with pytest.raises(ServiceError):
                    await door.text_search(SerperSearch(KEY, LOCALE, url=base), "Chad", 5, "episode")
                with pytest.raises(ServiceError):
                    await door.image_search(image_search, sha256, 5, "episode")

    run(go())
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"is not allowed" in kept
    assert KEY.encode() not in kept


LISTS = ("organic", "visual_matches", "results", "web")
OBJECTS = ("searchParameters", "search_metadata", "type", "error", "unresponsive_engines")
urls = st.sampled_from(["https://a.example/", "http://b.example/", "x"])
row = st.dictionaries(
    st.sampled_from(
        ["url", "link", "title", "snippet", "content", "description", "source", "score", "thumbnailUrl", "thumbnail"]
    ),
    urls | json_values,
    max_size=6,
)
replies = json_values | st.dictionaries(
    st.sampled_from(LISTS + OBJECTS),
    st.lists(row | json_values, max_size=4)
    | st.dictionaries(st.just("results"), st.lists(row, max_size=3))
    | json_values,
    max_size=4,
)


@settings(max_examples=150)
@given(replies, st.sampled_from([serper, serper_lens, serpapi, searxng, brave, tavily]))
def test_any_reply_is_hits_or_a_failure(reply: Any, work: Work) -> None:
    async def given_reply(*args: Any, **options: Any) -> Any:
        return reply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "call_json", given_reply)
        try:
            hits = asyncio.run(work("https://api.example"))
        except ServiceError:
            return
    assert all(isinstance(hit, Hit) and hit.url.startswith("http") for hit in hits)
