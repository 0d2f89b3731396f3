"""HTTP as every service over the network uses it: one client a process and event loop, failures as `ServiceError`.

aiohttp, by measurement: 2,000 calls of 50 ms at 64 in flight took it 1.75 s, the `openai` client 4.57, httpx 19.2.
Timeouts and retries are the caller's (`gog.transforms.services.gateway`). Redirects are not followed: a key must not
travel to another host. Proxies of the environment are not used.
"""

import asyncio
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote_plus, urlsplit
from weakref import WeakKeyDictionary

import aiohttp
from pydantic_core import PydanticSerializationError, to_json
from yarl import URL

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.waits import named_wait

LIMIT_BYTES: Final = 32 << 20
"""Longest body that is read, decompressed."""
_CONNECT_S: Final = 15.0
_SHOWN: Final = 300
_READ_OF_A_REFUSAL: Final = 4096
"""Bytes; more than is shown, so that a key that is cut in the middle is not among what is."""
HIDDEN: Final = "***"
_SHORTEST_KEY: Final = 16
"""Characters from which on a key is cut out of answers, too."""

_HARMLESS: Final = frozenset(
    {
        *("api-version", "api_version", "version", "model", "model_id", "deployment", "engine", "task", "profile"),
        *("language", "lang", "locale", "hl", "gl", "region", "location", "format", "size", "conf", "iou", "imgsz"),
        *("timeout", "max_tokens", "stream", "safe", "safesearch", "name", "uploadtype"),
        # Of a signed address at Azure and S3, all but the signature and who signed.
        *("sv", "ss", "srt", "sr", "sp", "se", "st", "spr", "comp", "x-amz-algorithm", "x-amz-date", "x-amz-expires"),
        *("x-amz-signedheaders", "x-amz-acl"),
    }
)
"""Parameters that an endpoint's address may have: names of keys are too many to be listed."""
_LONGEST_HARMLESS: Final = 64
"""Characters of such a parameter's value."""
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z_.-]{0,29}")

_FAILURES: Final = {
    429: FailureClass.RATE_LIMITED,
    **dict.fromkeys((503, 529), FailureClass.OVERLOADED),
    **dict.fromkeys((408, 504), FailureClass.TIMEOUT),
    **dict.fromkeys((401, 402, 403, 407), FailureClass.AUTH),
    **dict.fromkeys((404, 410), FailureClass.NOT_FOUND),
}
_WAITING: Final = frozenset({FailureClass.RATE_LIMITED, FailureClass.OVERLOADED})
"""Failures whose words may name a time to come again."""
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An answer of status 2xx. `headers` have lower-case names; `body` is decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def client() -> aiohttp.ClientSession:
    """The client of the running event loop; made on the first call, closed by `close_client`."""
    loop = asyncio.get_running_loop()
    session = _clients.get(loop)
    if session is None or session.closed:
        session = _clients[loop] = aiohttp.ClientSession(
            # The gate limits what is in flight; cookies would make one call depend on another.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            headers={"User-Agent": "glance-or-gaze"},
        )
    return session


async def close_client() -> None:
    """Close the running loop's client, if it has one."""
    session = _clients.pop(asyncio.get_running_loop(), None)
    if session is not None:
        await session.close()


async def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    data: Any = None,
    secrets: tuple[str, ...] = (),
    limit_bytes: int = LIMIT_BYTES,
) -> HttpReply:
    """One request. `data` is bytes or an aiohttp form; `secrets` (keys) are cut out of every error and answer.

    Raises `ServiceError`: rate_limited, overloaded (both with `retry_after` where it was named), server, timeout,
    auth, not_found, bad_request, network, malformed (the body is longer than `limit_bytes`, or is cut short).
    """
    try:
        async with client().request(
            method, url, headers=headers, params=params, data=data, allow_redirects=False
        ) as response:
            if not 200 <= response.status < 300:
                shown = (await response.content.read(_READ_OF_A_REFUSAL)).decode("utf-8", "replace")
                raise refusal(response.status, response.headers, hide(shown, secrets))
            body = _without(await _body(response, limit_bytes), secrets)
            return HttpReply(response.status, {name.lower(): value for name, value in response.headers.items()}, body)
    except aiohttp.ClientPayloadError as error:
        raise ServiceError(FailureClass.NETWORK, hide(f"the answer was cut short: {error}", secrets)) from None
    except aiohttp.ServerTimeoutError:
        raise ServiceError(FailureClass.TIMEOUT, f"no connection within {_CONNECT_S:g} s") from None
    except aiohttp.InvalidURL:
        raise ServiceError(FailureClass.BAD_REQUEST, "the address is no URL") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        why = str(error) or type(error).__name__
        raise ServiceError(FailureClass.NETWORK, hide(why, secrets)) from None


async def call_json(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    payload: Any = None,
    secrets: tuple[str, ...] = (),
    limit_bytes: int = LIMIT_BYTES,
) -> Any:
    """One request with JSON both ways (`payload` None sends no body). Raises `ServiceError`, as `call` does."""
    sent = dict(headers or {})
    data = None
    if payload is not None:
        sent["Content-Type"] = "application/json"
        data = io.BytesIO(_encoded(payload))  # as a file: aiohttp sends it in pieces, and warns of long bodies in one
    answer = await call(method, url, headers=sent, params=params, data=data, secrets=secrets, limit_bytes=limit_bytes)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        shown = answer.body[:_SHOWN].decode("utf-8", "replace")
        raise ServiceError(FailureClass.MALFORMED, f"the answer is not JSON: {' '.join(shown.split())!r}") from None


def hide(text: str, secrets: tuple[str, ...]) -> str:
    """The text without the secrets, also where they stand in it as part of a URL."""
    for secret in secrets:
        for written in _written(secret):
            text = text.replace(written, HIDDEN)
    return text


def key_in(address: str) -> str:
    """What of an address may be a key: `a user name or password`, or a parameter that is not known to be harmless, by
    its name; empty where nothing may be.

    Addresses stand in configs, which are kept with the run.
    """
    parts = urlsplit(address)
    if parts.username is not None or parts.password is not None:
        return "a user name or password"
    for pair in parts.query.split("&"):
        name, named, value = pair.partition("=")
        if pair and (unquote_plus(name).lower() not in _HARMLESS or len(value) > _LONGEST_HARMLESS):
            # What has no name, or is no word, may be the key itself.
            return name if named and _WORD.fullmatch(name) else "what is behind the ?"
    return ""


def _written(secret: str) -> list[str]:
    """The ways in which a secret may stand in a text: as it is, and encoded for a URL; the longest first."""
    if not secret:
        return []
    ways = {secret, quote(secret, safe=""), quote_plus(secret), quote(secret), str(URL.build(query={"": secret}))[2:]}
    return sorted(ways, key=lambda way: (-len(way), way))


def _without(body: bytes, secrets: tuple[str, ...]) -> bytes:
    """A body without the secrets: some services repeat what they were sent, and answers are kept."""
    for secret in secrets:
        # What is shorter is no key but a word, such as the `EMPTY` that local servers are given.
        if len(secret) >= _SHORTEST_KEY:
            for written in _written(secret):
                body = body.replace(written.encode(), HIDDEN.encode())
    return body


def _encoded(payload: Any) -> bytes:
    """JSON in UTF-8; what of a text is no Unicode becomes a question mark."""
    try:
        return to_json(payload)  # several times faster, where a picture is in it
    except PydanticSerializationError:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


async def _body(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(1 << 16):
        size += len(part)
        if size > limit_bytes:
            raise ServiceError(FailureClass.MALFORMED, f"the answer is longer than {limit_bytes:,} bytes")
        parts.append(part)
    return b"".join(parts)


def refusal(status: int, headers: Mapping[str, str], shown: str) -> ServiceError:
    """The failure of an answer that is not 2xx, with what it says, and how long it asks to be left alone."""
    detail = f"HTTP {status}: {' '.join(shown.split())[:_SHOWN]}".rstrip(": ")
    failure = _FAILURES.get(status, FailureClass.SERVER if status >= 500 else FailureClass.BAD_REQUEST)
    return ServiceError(failure, detail, named_wait(headers, shown if failure in _WAITING else ""))
