"""How long a service asks to be left alone: in a header of its refusal, or in words in the body. Pure."""

import email.utils
import math
import re
import time
from collections.abc import Mapping
from typing import Final

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = r"\d{1,9}(?:\.\d{1,9})?\s?(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)(?![a-z])"
_IN_WORDS: Final = re.compile(
    rf"(?:try(?:ing)?(?: again)?|retry(?:ing)?|wait|available|resets?)(?: again)?(?: in| after| for| at least)?"
    rf"[: ]{{1,2}}((?:{_PART}\s?){{1,3}})",
    re.IGNORECASE,
)
"""`Please try again in 6m0s.` (OpenAI, Groq), `retry after 20 seconds` (Azure), `Please retry in 20.7s.` (Gemini)."""
_IN_JSON: Final = re.compile(
    r"[\"'\\]{1,3}(retry_?delay|retry_?after(?:_?(?:ms|seconds?|s))?)[\"'\\]{1,3}\s{0,3}:\s{0,3}[\"'\\]{0,3}(\d{1,9}(?:\.\d{1,9})?)\s?(ms|s)?",
    re.IGNORECASE,
)
"""`"retryDelay": "20s"` (google.rpc.RetryInfo), `"retry_after": 20`, `"retry_after_ms": 20000`."""

_RESET: Final = re.compile(r"X-RateLimit-Reset[\"'\\]{1,3}\s{0,3}:\s{0,3}[\"'\\]{0,3}(\d{10,13})", re.IGNORECASE)
"""OpenRouter's, in the headers that it repeats in the body."""


def named_wait(headers: Mapping[str, str], body: str) -> float | None:
    """Seconds from now, where a refusal names a time; the headers come before the body. Never negative."""
    ms = _number(headers.get("retry-after-ms"))
    if ms is not None:
        return ms / 1000
    if (seconds := _header(headers.get("retry-after"))) is not None:
        return seconds
    for reset in (headers.get("x-ratelimit-reset"), *_RESET.findall(body)):
        if (seconds := _until(reset)) is not None:
            return seconds
    if found := _IN_JSON.search(body):
        in_ms = found[3] == "ms" or found[1].lower().endswith("ms")
        return float(found[2]) / (1000 if in_ms else 1)
    if found := _IN_WORDS.search(body):
        return _added(found[1])
    return None


def _until(value: str | None) -> float | None:
    """Seconds to a time since 1970, in seconds or milliseconds; numbers too small for one are no time."""
    moment = _number(value)
    if moment is None or moment < 1e9:
        return None
    return max(0.0, (moment / 1000 if moment > 1e11 else moment) - time.time())


def _added(written: str) -> float:
    """`1m26.4s` in seconds."""
    seconds = 0.0
    for number, unit in re.findall(r"(\d+(?:\.\d+)?)\s?([a-z]+)", written.lower()):
        seconds += float(number) * _UNITS["ms" if unit.startswith(("ms", "milli")) else unit[0]]
    return seconds


def _header(value: str | None) -> float | None:
    """A `Retry-After` header (RFC 9110, section 10.2.3: seconds or a date)."""
    if not value:
        return None
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
