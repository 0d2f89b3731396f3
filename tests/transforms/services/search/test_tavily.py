"""Tavily: what is sent, and what is made of the documented replies."""

import pytest
from searching import KEY, answered, refusal, tavily

from gog.schemas import FailureClass

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
