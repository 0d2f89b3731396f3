"""Serper, text and Lens: what is sent, and what is made of the documented replies."""

from typing import Any

from fakes import MemoryImages, picture
from searching import KEY, answered, refusal, serper, serper_lens

from gog.schemas import FailureClass

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
    assert seen.body == {"q": "capital of Chad", "gl": "ch", "hl": "de", "num": 10}
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
    assert seen.body == {"url": f"https://lent.example/{sha256}.png", "gl": "ch", "hl": "de"}
    assert seen.headers["x-api-key"] == KEY
    assert answered({"searchParameters": {"type": "lens"}}, serper_lens)[0] == ()


def test_what_stands_above_the_results_are_hits() -> None:
    above = {
        "answerBox": {"title": "Chad / Capital", "answer": "N'Djamena", "link": "https://answer.example/"},
        "knowledgeGraph": {
            "title": "Chad",
            "type": "Country in Africa",
            "description": "Chad is a landlocked country.",
            "descriptionLink": "https://en.wikipedia.org/wiki/Chad",
            "attributes": {"Population": "19 million"},
        },
    }
    hits, _ = answered(SERPER | above, serper)
    assert [(hit.rank, hit.title, hit.snippet) for hit in hits] == [
        (1, "Chad / Capital", "N'Djamena"),
        (2, "Chad", "Country in Africa; Chad is a landlocked country.; Population: 19 million"),
    ]
    alone = {"searchParameters": {"q": "x"}, "answerBox": above["answerBox"]}
    assert [hit.url for hit in answered(alone, serper)[0]] == ["https://answer.example/"]
    odd = {"organic": [], "answerBox": "x", "knowledgeGraph": {"title": 3, "attributes": [1]}}
    assert answered(odd, serper)[0] == ()
