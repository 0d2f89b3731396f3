"""How long a refusal asks to be left alone."""

import json
import time

import pytest

from gog.transforms.services.waits import named_wait

RETRY_INFO = (
    '[{"error": {"code": 429, "message": "You exceeded your current quota.", "details": '
    '[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20s"}]}}]'
)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, "", 7),
        ({"retry-after-ms": "1500", "retry-after": "2"}, "", 1.5),
        ({}, RETRY_INFO, 20),
        ({}, RETRY_INFO.replace('"', '\\"'), 20),
        ({}, '{"retryDelay": "0.5s"}', 0.5),
        ({}, '{"error": {"retry_after_ms": 2500}}', 2.5),
        ({}, '{"message": "You are being rate limited.", "retry_after": 3.5}', 3.5),
        ({}, "Please retry in 20.721s.", 20.721),
        ({}, "retry in 20s", 20),
        ({}, "Rate limit reached for gpt-4o. Please try again in 6m0s.", 360),
        ({}, "Please try again in 1m26.4s. Visit", 86.4),
        ({}, "Please try again in 20ms.", 0.02),
        ({}, "Please retry after 20 seconds.", 20),
        ({}, "Try again in 2 minutes", 120),
        ({"retry-after": "5"}, "Please retry in 20s.", 5),
        ({}, "Rate limit: 20 requests in 60 s", None),
        ({}, "Please retry your request later", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "-3"}, "", 0),
        ({"retry-after": "nan"}, "", None),
        ({"x-ratelimit-reset": "3"}, "", None),
    ],
)
def test_waits(headers: dict[str, str], body: str, seconds: float | None) -> None:
    found = named_wait(headers, body)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_times_at_which_a_limit_ends() -> None:
    reset = int((time.time() + 30) * 1000)
    body = json.dumps({"metadata": {"headers": {"X-RateLimit-Limit": "20", "X-RateLimit-Reset": str(reset)}}})
    assert named_wait({}, body) == pytest.approx(30, abs=5)
    assert named_wait({"x-ratelimit-reset": str(int(time.time()) + 30)}, "") == pytest.approx(30, abs=5)


def test_hostile_bodies_take_no_time() -> None:
    began = time.perf_counter()
    for text in ("retry in 1" * 400, "retry_after" * 400, "try again in " + "1m" * 2000, '"' * 4000):
        named_wait({}, text)
    assert time.perf_counter() - began < 1
