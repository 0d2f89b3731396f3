"""SerpApi: what is sent, and what is made of the documented replies."""

from fakes import MemoryImages, picture
from searching import KEY, answered, refusal, serpapi

from gog.schemas import FailureClass

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
        "country": "ch",
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
