"""SearXNG: what is sent, and what is made of the documented replies."""

import pytest
from searching import answered, refusal, searxng

from gog.schemas import FailureClass
from gog.transforms.services.search.searxng import SearxngSearch

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
    assert SearxngSearch("http://localhost:8888/searx/?language=b#c", "en").id == "searxng:localhost:8888/searx:en"
    for address in ("sx.example", "ftp://sx.example", "https://u:p@sx.example", "https://"):
        with pytest.raises(ValueError, match=r"address|URL|host"):
            SearxngSearch(address, "en")


def test_infoboxes_and_answers_with_an_address_are_hits() -> None:
    box = {
        "infobox": "Chad",
        "id": "https://en.wikipedia.org/wiki/Chad",
        "content": "Country in Africa",
        "urls": [{"title": "Official", "url": "https://chad.example/"}],
        "attributes": [{"label": "Capital", "value": "N'Djamena"}, {"label": 3}],
    }
    above = {
        "infoboxes": [box, {"infobox": "Other", "id": 3, "urls": [{"url": "https://chad.example/"}]}, None],
        "answers": [{"answer": "5 km", "url": "https://answer.example/", "engine": "units"}, "no address"],
    }
    found = answered({"results": [], "unresponsive_engines": [["google", "x"]]} | above, searxng)[0]
    assert [(hit.title, hit.url, hit.snippet) for hit in found] == [
        ("Chad", "https://en.wikipedia.org/wiki/Chad", "Country in Africa; Capital: N'Djamena"),
        ("Other", "https://chad.example/", ""),
    ]
