"""Brave: what is sent, and what is made of the documented replies."""

from searching import KEY, answered, brave, refusal

from gog.schemas import FailureClass, Hit
from gog.transforms.services.search.brave import BraveSearch
from gog.transforms.services.search.results import Locale

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
        "country": "CH",
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
