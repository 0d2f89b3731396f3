"""Each provider's wire format: what is sent, what is made of the documented replies, and of any other."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fakes import MemoryImages, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import json_values
from websites import failure, run, site

from gog.schemas import FailureClass, Hit
from gog.transforms.services.outside import Outside
from gog.transforms.services.protocols import ServiceError, TextSearch
from gog.transforms.services.search import results
from gog.transforms.services.search.brave import BraveSearch
from gog.transforms.services.search.lens import Lens
from gog.transforms.services.search.results import Locale
from gog.transforms.services.search.searxng import SearxngSearch
from gog.transforms.services.search.serpapi import SerpApiLens
from gog.transforms.services.search.serper import SerperLens, SerperSearch
from gog.transforms.services.search.tavily import TavilySearch
from gog.transforms.services.store import Mode, Store

KEY = "planted-key-1234"
LOCALE = Locale("de", "de")


@dataclass
class Lender:
    """An uploader that puts nothing anywhere."""

    lent_out: list[str] = field(default_factory=list)

    def lent(self, data: bytes, sha256: str) -> Any:
        """An address."""
        return self._lent(sha256)

    def _lent(self, sha256: str) -> Any:
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def block() -> Any:
            self.lent_out.append(sha256)
            yield f"https://lent.example/{sha256}.png"

        return block()


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


def answered(
    reply: Any, work: Callable[[str], Coroutine[Any, Any, tuple[Hit, ...]]], status: int = 200
) -> tuple[tuple[Hit, ...], Seen]:
    """The hits that a provider's reply becomes, and what was asked; `work` is given the API's root."""
    seen = Seen()

    async def answer(request: web.Request) -> web.Response:
        seen.method, seen.path, seen.query = request.method, request.path, dict(request.query)
        seen.headers = {name.lower(): value for name, value in request.headers.items()}
        seen.body = await request.json() if request.can_read_body else None
        return web.json_response(reply, status=status)

    async def go() -> tuple[Hit, ...]:
        async with site({"*": answer}) as base:
            return await work(base)

    return run(go()), seen


def refusal(reply: Any, status: int, work: Callable[[str], Coroutine[Any, Any, tuple[Hit, ...]]]) -> ServiceError:
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


SERPER: dict[str, Any] = {
    "searchParameters": {
        "q": "capital of Chad",
        "gl": "de",
        "hl": "de",
        "type": "search",
        "num": 10,
        "engine": "google",
    },
    "knowledgeGraph": {"title": "N'Djamena", "type": "Capital of Chad"},
    "organic": [
        {
            "title": "N'Djamena - Wikipedia",
            "link": "https://en.wikipedia.org/wiki/N%27Djamena",
            "snippet": "N'Djamena is the capital and largest city of Chad.",
            "sitelinks": [{"title": "History", "link": "https://en.wikipedia.org/wiki/N%27Djamena#History"}],
            "position": 1,
        },
        {
            "title": "Chad",
            "link": "https://www.britannica.com/place/Chad",
            "snippet": "Chad, landlocked.",
            "position": 2,
        },
        {"title": "Third", "link": "https://third.example/", "snippet": "Not asked for.", "position": 3},
    ],
    "peopleAlsoAsk": [{"question": "What is Chad?", "snippet": "…", "title": "…", "link": "https://x.example/"}],
    "credits": 1,
}


def test_serper() -> None:
    hits, seen = answered(SERPER, serper)
    assert [(h.rank, h.title, h.url, h.snippet, h.score) for h in hits] == [
        (
            1,
            "N'Djamena - Wikipedia",
            "https://en.wikipedia.org/wiki/N%27Djamena",
            SERPER["organic"][0]["snippet"],
            None,
        ),
        (2, "Chad", "https://www.britannica.com/place/Chad", "Chad, landlocked.", None),
    ]
    assert (seen.method, seen.path) == ("POST", "/search")
    assert seen.body == {"q": "capital of Chad", "gl": "de", "hl": "de", "num": 10}
    assert seen.headers["x-api-key"] == KEY


def test_serper_finds_nothing() -> None:
    assert answered({"searchParameters": {"q": "x"}, "organic": [], "credits": 1}, serper)[0] == ()
    assert answered({"searchParameters": {"q": "x"}, "credits": 1}, serper)[0] == ()
    assert refusal({"results": []}, 200, serper).failure is FailureClass.MALFORMED, "another form is not nothing"


def test_serper_refuses() -> None:
    assert refusal({"message": "Not enough credits", "statusCode": 400}, 400, serper).failure is FailureClass.AUTH
    assert refusal({"message": "Unauthorized.", "statusCode": 403}, 403, serper).failure is FailureClass.AUTH
    assert refusal({"message": "Missing query parameter"}, 400, serper).failure is FailureClass.BAD_REQUEST
    assert refusal({"message": "Too many requests"}, 429, serper).failure is FailureClass.RATE_LIMITED


SERPER_LENS = {
    "searchParameters": {"url": "https://lent.example/x.png", "type": "lens", "engine": "google-lens"},
    "organic": [
        {
            "title": "Flag of Chad",
            "source": "Wikipedia",
            "link": "https://en.wikipedia.org/wiki/Flag_of_Chad",
            "imageUrl": "https://upload.example/chad.png",
            "thumbnailUrl": "https://encrypted-tbn1.gstatic.com/images?q=tbn:1",
        },
        {
            "title": "Flag of Romania",
            "source": "Britannica",
            "link": "https://www.britannica.com/topic/flag-of-Romania",
        },
    ],
    "credits": 3,
}


def test_serper_lens() -> None:
    hits, seen = answered(SERPER_LENS, serper_lens)
    assert [(h.title, h.snippet, h.score, h.thumbnail_sha256) for h in hits] == [
        ("Flag of Chad", "Wikipedia", None, None),
        ("Flag of Romania", "Britannica", None, None),
    ]
    sha256 = MemoryImages().put(picture(), "png")
    assert (seen.method, seen.path) == ("POST", "/lens")
    assert seen.body == {"url": f"https://lent.example/{sha256}.png", "gl": "de", "hl": "de"}
    assert seen.headers["x-api-key"] == KEY
    assert answered({"searchParameters": {"type": "lens"}}, serper_lens)[0] == ()


SERPAPI = {
    "search_metadata": {"id": "6", "status": "Success", "google_lens_url": "https://lens.google.com/uploadbyurl?url=x"},
    "search_parameters": {"engine": "google_lens", "url": "https://lent.example/x.png"},
    "visual_matches": [
        {
            "position": 1,
            "title": "Flag of Chad",
            "link": "https://en.wikipedia.org/wiki/Flag_of_Chad",
            "source": "Wikipedia",
            "source_icon": "https://serpapi.com/i.png",
            "thumbnail": "https://encrypted-tbn2.gstatic.com/images?q=tbn:2",
            "thumbnail_width": 275,
            "image": "https://upload.example/chad.png",
        },
    ],
}


def test_serpapi() -> None:
    hits, seen = answered(SERPAPI, serpapi)
    assert [(h.rank, h.title, h.url, h.snippet) for h in hits] == [
        (1, "Flag of Chad", "https://en.wikipedia.org/wiki/Flag_of_Chad", "Wikipedia")
    ]
    sha256 = MemoryImages().put(picture(), "png")
    assert (seen.method, seen.path, seen.body) == ("GET", "/search.json", None)
    assert seen.query == {
        "engine": "google_lens",
        "type": "visual_matches",
        "url": f"https://lent.example/{sha256}.png",
        "hl": "de",
        "country": "de",
        "api_key": KEY,
    }


def test_serpapi_finds_nothing() -> None:
    said = "Google Lens hasn't returned any results for this query."
    assert answered({"search_metadata": {"status": "Success"}, "error": said}, serpapi)[0] == ()
    assert answered({"search_metadata": {"status": "Success"}}, serpapi)[0] == ()
    assert refusal({"search_metadata": {"status": "Processing"}}, 200, serpapi).failure is FailureClass.MALFORMED


def test_serpapi_refuses() -> None:
    spent = {"error": "Your account has run out of searches."}
    assert refusal(spent, 429, serpapi).failure is FailureClass.AUTH
    assert refusal(spent, 200, serpapi).failure is FailureClass.AUTH
    assert refusal({"error": f"Invalid API key {KEY}."}, 401, serpapi).failure is FailureClass.AUTH
    odd = refusal({"error": f"We could not\ud800 process {KEY}"}, 200, serpapi)
    assert odd.failure is FailureClass.SERVER
    odd.detail.encode()
    throughput = {"error": "You are exceeding 20% of your plan searches per hour."}
    assert refusal(throughput, 429, serpapi).failure is FailureClass.RATE_LIMITED


SEARXNG = {
    "query": "capital of Chad",
    "number_of_results": 0,
    "results": [
        {
            "url": "https://en.wikipedia.org/wiki/N%27Djamena",
            "title": "N'Djamena",
            "content": "Capital &amp; largest city of Chad.",
            "engine": "wikipedia",
            "engines": ["wikipedia", "brave"],
            "parsed_url": ["https", "en.wikipedia.org", "/wiki/N%27Djamena", "", "", ""],
            "template": "default.html",
            "positions": [1, 2],
            "score": 6.0,
            "category": "general",
        }
    ],
    "answers": [],
    "corrections": [],
    "infoboxes": [],
    "suggestions": ["chad"],
    "unresponsive_engines": [["google", "CAPTCHA"]],
}


def test_searxng() -> None:
    hits, seen = answered(SEARXNG, searxng)
    assert [(h.title, h.snippet, h.score) for h in hits] == [("N'Djamena", "Capital & largest city of Chad.", None)]
    assert (seen.method, seen.path) == ("GET", "/searx/search")
    assert seen.query == {"q": "capital of Chad", "format": "json", "language": "de"}


def test_searxng_without_engines_failed_and_did_not_find_nothing() -> None:
    silent = {"results": [], "unresponsive_engines": [["google", "CAPTCHA"], ["bing", "timeout"]]}
    error = refusal(silent, 200, searxng)
    assert error.failure is FailureClass.OVERLOADED
    assert "google: CAPTCHA, bing: timeout" in error.detail
    assert answered({"results": [], "unresponsive_engines": []}, searxng)[0] == ()


def test_searxng_that_does_not_speak_json() -> None:
    error = refusal({}, 403, searxng)
    assert error.failure is FailureClass.AUTH
    assert "search.formats" in error.detail


def test_searxng_ids_and_addresses() -> None:
    assert SearxngSearch("https://sx.example", "en").id == "searxng:sx.example:en"
    assert SearxngSearch("http://localhost:8888/searx/?a=b#c", "en").id == "searxng:localhost:8888/searx:en"
    for address in ("sx.example", "ftp://sx.example", "https://u:p@sx.example", "https://"):
        with pytest.raises(ValueError, match=r"address|URL|host"):
            SearxngSearch(address, "en")


BRAVE = {
    "type": "search",
    "query": {"original": "capital of Chad", "more_results_available": True},
    "mixed": {"type": "mixed", "main": [{"type": "web", "index": 0, "all": False}]},
    "web": {
        "type": "search",
        "results": [
            {
                "title": "N'Djamena | Chad",
                "url": "https://www.britannica.com/place/NDjamena",
                "is_source_local": False,
                "description": "<strong>N&#x27;Djamena</strong>, city, capital of Chad.",
                "page_age": "2026-01-01T00:00:00",
                "profile": {"name": "Britannica"},
                "language": "en",
                "thumbnail": {"src": "https://imgs.search.brave.com/x", "original": "https://x.example/1.jpg"},
            }
        ],
    },
}


def test_brave() -> None:
    hits, seen = answered(BRAVE, brave)
    assert [(h.title, h.snippet) for h in hits] == [("N'Djamena | Chad", "N'Djamena, city, capital of Chad.")]
    assert (seen.method, seen.path) == ("GET", "/res/v1/web/search")
    assert seen.query == {
        "q": "capital of Chad",
        "count": "2",
        "country": "DE",
        "search_lang": "de",
        "result_filter": "web",
        "text_decorations": "false",
    }
    assert seen.headers["x-subscription-token"] == KEY
    assert answered({"type": "search", "query": {"original": "x"}}, brave)[0] == ()
    assert refusal({"results": []}, 200, brave).failure is FailureClass.MALFORMED


def test_brave_refuses() -> None:
    wrong = {
        "type": "ErrorResponse",
        "error": {
            "id": "5",
            "status": 422,
            "code": "SUBSCRIPTION_TOKEN_INVALID",
            "detail": "The provided token is invalid.",
        },
    }
    assert refusal(wrong, 422, brave).failure is FailureClass.AUTH
    limited = {
        "type": "ErrorResponse",
        "error": {
            "status": 429,
            "code": "RATE_LIMITED",
            "detail": "Request rate limit exceeded for plan.",
            "meta": {"plan": "Free", "rate_limit": 1, "rate_current": 1, "quota_limit": 2000, "quota_current": 7},
        },
    }
    assert refusal(limited, 429, brave).failure is FailureClass.RATE_LIMITED
    assert refusal({"error": {"code": "VALIDATION", "detail": "q"}}, 422, brave).failure is FailureClass.BAD_REQUEST


def test_brave_takes_no_more_than_it_says() -> None:
    async def long(base: str) -> tuple[Hit, ...]:
        return await BraveSearch(KEY, Locale("jp", "ja"), url=base).search("word " * 500, 50)

    _, seen = answered(BRAVE, long)
    assert len(seen.query["q"]) <= 400
    assert len(seen.query["q"].split()) == 50
    assert (seen.query["count"], seen.query["search_lang"]) == ("20", "jp")


TAVILY = {
    "query": "capital of Chad",
    "follow_up_questions": None,
    "answer": None,
    "images": [],
    "results": [
        {
            "url": "https://en.wikipedia.org/wiki/Chad",
            "title": "Chad",
            "content": "Its capital is N'Djamena.",
            "score": 0.91,
            "raw_content": None,
        }
    ],
    "response_time": 1.1,
    "request_id": "1",
}


def test_tavily() -> None:
    hits, seen = answered(TAVILY, tavily)
    assert [(h.title, h.snippet, h.score) for h in hits] == [("Chad", "Its capital is N'Djamena.", 0.91)]
    assert (seen.method, seen.path) == ("POST", "/search")
    assert seen.body == {"query": "capital of Chad", "search_depth": "basic", "max_results": 2}
    assert seen.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (432, FailureClass.AUTH),
        (433, FailureClass.AUTH),
        (401, FailureClass.AUTH),
        (429, FailureClass.RATE_LIMITED),
        (400, FailureClass.BAD_REQUEST),
        (500, FailureClass.SERVER),
    ],
)
def test_tavily_refuses(status: int, kind: FailureClass) -> None:
    assert refusal({"detail": {"error": f"This request exceeds the plan of {KEY}."}}, status, tavily).failure is kind


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
    assert SerperSearch(KEY, LOCALE).id == "serper:de-de"
    assert lens(SerperLens)[0].id == "serper:lens:de-de"
    assert lens(SerpApiLens)[0].id == "serpapi:lens:de-de"
    assert BraveSearch(KEY, Locale()).id == "brave:us-en"


def test_no_key_in_the_store(tmp_path: Path) -> None:
    """Neither of an answer nor of a refusal that repeats it."""

    async def answer(request: web.Request) -> web.Response:
        key = request.headers.get("X-API-KEY") or request.query.get("api_key", "")
        return web.json_response({"message": f"{key} is not allowed", "error": f"bad {key}"}, status=400)

    async def go() -> None:
        async with site({"*": answer}) as base:
            with Store(tmp_path, Mode.RECORD) as store:
                door = Outside(store)
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
def test_any_reply_is_hits_or_a_failure(
    reply: Any, work: Callable[[str], Coroutine[Any, Any, tuple[Hit, ...]]]
) -> None:
    async def given_reply(*args: Any, **options: Any) -> Any:
        return reply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "call_json", given_reply)
        try:
            hits = asyncio.run(work("https://api.example"))
        except ServiceError:
            return
    assert all(isinstance(hit, Hit) and hit.url.startswith("http") for hit in hits)
