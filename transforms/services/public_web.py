"""One file from the public web, for addresses that nobody vouches for: those in rows, hits and redirects.

The address is checked where the connection is made, after the name was resolved, so neither a name nor a redirect
leads to loopback, a private network or a cloud's metadata. Bytes are counted after decompression. Nothing is sent
that tells who asks but the contact that a user names, and proxies of the environment are not used.
"""

import asyncio
import codecs
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from email.message import Message as Headers
from typing import Any, Final

import aiohttp
from yarl import URL

from gog.schemas import FailureClass
from gog.transforms.services.http import refusal
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.public_addresses import Address, is_public

Allow = Callable[[Address, int], bool]
"""Whether a connection to an address and port may be made."""

USER_AGENT: Final = "glance-or-gaze"
MAX_REDIRECTS: Final = 5
MAX_URL: Final = 2000
_CONNECT_S: Final = 10.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom a site may write to about what is fetched: an e-mail address or a URL; empty for nobody.

    Some sites, Wikimedia's among them, refuse whoever names none.
    """

    name: str = ""

    @property
    def user_agent(self) -> str:
        """What is sent as `User-Agent`."""
        return f"{USER_AGENT} ({self.name})" if self.name else USER_AGENT


NOBODY: Final = Contact()


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an address answered.

    `media_type` is lower-case without parameters, empty where the server names none; `charset` is as the server
    wrote it; `url` is the address after redirects; `cut` says why the data ends early, where it does.
    """

    data: bytes = field(repr=False)
    media_type: str
    charset: str
    url: str
    cut: str = ""


def check_url(url: str, allow: Allow = is_public) -> URL:
    """The address, without fragment, if it may be asked for at all; no name is resolved here.

    Raises `ServiceError` (`bad_request`): not http or https, with credentials, too long, or a host that is written as
    a number and is no allowed address.
    """
    if len(url) > MAX_URL:
        raise _bad(f"the address is longer than {MAX_URL} characters")
    try:
        parsed = URL(url.strip())
        host, port = parsed.raw_host, parsed.port
    except ValueError:
        raise _bad("the address is no URL") from None
    if parsed.scheme not in ("http", "https") or not host or port is None:
        raise _bad(f"not an http or https address: {url[:100]!r}")
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise _bad("the address has a user name or a password in it")
    # What inet_aton reads as an address (2130706433, 0x7f.1, 0177.0.0.1) ends in a number; no public name does.
    if ":" in host or re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]*", host.rstrip(".").rpartition(".")[2]):
        _check_address(host, port, allow)
    return parsed.with_fragment(None)


async def fetch_public(
    url: str,
    *,
    limit_bytes: int,
    timeout_s: float,
    types: Sequence[str],
    allow: Allow = is_public,
    cut: bool = False,
    visit: Callable[[URL], Awaitable[None]] | None = None,
    contact: Contact = NOBODY,
) -> Fetched:
    """The file at a public http or https address, following at most five redirects.

    `types` are media types that are taken (`text/html`), whole families among them (`image/`); a body without a type
    is taken. A body over `limit_bytes` (decompressed) is refused, and all must be done within `timeout_s`; with `cut`
    what has come until then is returned, and `Fetched.cut` says why it ends. `allow` says which addresses and ports
    may be connected to; `visit` is called before each request, those of redirects among them, and may raise; `contact`
    is told to the site.

    Raises `ServiceError`: bad_request (address, redirect, size or type not taken), timeout, network, not_found, auth,
    rate_limited, overloaded, server.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    connector = aiohttp.TCPConnector(limit=0, socket_factory=_guarded(allow), force_close=True)
    try:
        async with (
            asyncio.timeout_at(deadline),
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
                headers={"User-Agent": contact.user_agent, "Accept-Encoding": "gzip, deflate"},
            ) as session,
        ):
            taken = _Taken(tuple(types), limit_bytes, timeout_s, deadline, cut)
            return await _follow(session, check_url(url, allow), allow, taken, visit)
    except TimeoutError:
        raise ServiceError(FailureClass.TIMEOUT, f"no answer within {timeout_s:g} s") from None
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, _NotPublicError):
            raise _bad(str(error.os_error)) from None
        raise ServiceError(FailureClass.NETWORK, f"no connection: {error.os_error}") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise ServiceError(FailureClass.NETWORK, str(error)[:300] or type(error).__name__) from None


def text_of(data: bytes, charset: str = "") -> str:
    """A document's text; never fails, what cannot be read becomes U+FFFD.

    In this order: the byte order mark, UTF-8 where most of the bytes beyond ASCII are UTF-8 (wrong labels are common),
    the charset that the server named, the one that the document names in its first 1,024 bytes, and Windows-1252.
    """
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    if not data.isascii():
        # Not final: data that was cut may end within a character.
        text = codecs.getincrementaldecoder("utf-8")("replace").decode(data, final=False)
        # One broken byte among many good ones makes no other charset of it.
        if text.count("\ufffd") <= sum(not ch.isascii() for ch in text) // 2:
            return text
    declared = _META.search(data[:1024])
    for label in (charset, declared[1].decode("ascii") if declared else ""):
        name = _codec(label)
        if name and (name != "utf-8" or data.isascii()):
            return data.decode(name, "replace")
    return data.decode("utf-8" if data.isascii() else "cp1252", "replace")


_META: Final = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,300}?(?:charset|encoding)\s{0,9}=\s{0,9}["']?\s{0,9}([\w.:-]{1,40})""", re.I
)
_CODECS: Final = re.compile(
    r"utf-(?:8|16|16-le|16-be)|ascii|iso8859-\d+|cp(?:125\d|874|866|932|949|950)|koi8-[ru]|gbk?|gb2312|gb18030|big5(?:hkscs)?|"
    r"euc_(?:jp|kr)|shift_jis|iso2022_jp|mac-(?:roman|cyrillic)|tis-620|hz"
)
"""Python's names of the charsets of the Encoding Standard; others (`utf-7`, `zip`, `punycode`) are no charsets."""


def _codec(label: str) -> str:
    """Python's name of a charset label, empty for none; ASCII and Latin-1 are read as Windows-1252, as browsers do."""
    try:
        name = codecs.lookup(label.strip().strip("\"'")).name
    except (LookupError, ValueError):
        return ""
    if name in ("ascii", "iso8859-1"):
        return "cp1252"
    return name if _CODECS.fullmatch(name) else ""


class _NotPublicError(OSError):
    """The name leads to an address that is not allowed. The same words for all, so that several become one."""

    def __init__(self) -> None:
        super().__init__("the address is not public")


@dataclass(frozen=True, slots=True)
class _Taken:
    """What may come back."""

    types: tuple[str, ...]
    limit_bytes: int
    timeout_s: float
    deadline: float
    cut: bool


def _guarded(allow: Allow) -> Callable[[Any], socket.socket]:
    """Makes sockets, but none for an address that is not allowed: the last word before a connection is made."""

    def make(info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, proto, _, where = info
        try:
            address = ipaddress.ip_address(str(where[0]).partition("%")[0])
        except ValueError:
            raise _NotPublicError from None
        if not allow(address, int(where[1])):
            raise _NotPublicError
        return socket.socket(family, kind, proto)

    return make


def _check_address(host: str, port: int, allow: Allow) -> None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        raise _bad(f"{host[:80]!r} is no address and no name") from None
    if not allow(address, port):
        raise _bad("the address is not public")


async def _follow(
    session: aiohttp.ClientSession,
    asked: URL,
    allow: Allow,
    taken: _Taken,
    visit: Callable[[URL], Awaitable[None]] | None,
) -> Fetched:
    for _ in range(MAX_REDIRECTS + 1):
        if visit is not None:
            await visit(asked)
        async with session.get(asked, allow_redirects=False) as response:
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return await _read(response, taken)
        asked = _redirected(asked, location, allow)
    raise _bad(f"more than {MAX_REDIRECTS} redirects")


def _redirected(asked: URL, location: str, allow: Allow) -> URL:
    try:
        target = asked.join(URL(location))
    except ValueError:
        raise _bad("redirected to what is no URL") from None
    try:
        checked = check_url(str(target), allow)
    except ServiceError as error:
        raise _bad(f"redirected: {error.detail}") from None
    if asked.scheme == "https" and checked.scheme == "http":
        raise _bad("redirected from https to http")
    return checked


async def _read(response: aiohttp.ClientResponse, taken: _Taken) -> Fetched:
    if not 200 <= response.status < 300:
        raise refusal(response.status, response.headers, "")
    media_type, charset = _content_type(response.headers.get("Content-Type", ""))
    if media_type and not any(media_type == t or (t.endswith("/") and media_type.startswith(t)) for t in taken.types):
        raise _bad(f"the media type {media_type!r} is not taken, only {', '.join(taken.types)}")
    declared = response.content_length
    if declared is not None and declared > taken.limit_bytes and not taken.cut:
        raise _bad(f"{declared:,} bytes, more than {taken.limit_bytes:,}")
    data, why = await _body(response, taken)
    return Fetched(data, media_type, charset, str(response.url), why)


async def _body(response: aiohttp.ClientResponse, taken: _Taken) -> tuple[bytes, str]:
    """The body, and why it ends early if it does."""
    data = bytearray()
    # A little before the whole time is over, so that what has come can still be returned.
    margin = min(0.5, taken.timeout_s / 10) if taken.cut else 0.0
    try:
        async with asyncio.timeout_at(taken.deadline - margin):
            async for part in response.content.iter_chunked(1 << 16):
                data += part
                if len(data) > taken.limit_bytes:
                    break
    except TimeoutError:
        if not (taken.cut and data):
            raise
        return bytes(data[: taken.limit_bytes]), f"cut after {taken.timeout_s:g} s"
    if len(data) <= taken.limit_bytes:
        return bytes(data), ""
    if not taken.cut:
        raise _bad(f"more than {taken.limit_bytes:,} bytes")
    return bytes(data[: taken.limit_bytes]), f"cut at {taken.limit_bytes:,} bytes"


def _content_type(header: str) -> tuple[str, str]:
    """Media type and charset of a `Content-Type` header; both empty where it makes no sense."""
    if not header:
        return "", ""
    parsed = Headers()
    try:
        parsed["Content-Type"] = header[:500]
        named = parsed.get_param("charset")
    except ValueError:
        return "", ""
    if "/" not in header:
        return "", named if isinstance(named, str) else ""
    return parsed.get_content_type().lower(), named if isinstance(named, str) else ""


def _bad(detail: str) -> ServiceError:
    return ServiceError(FailureClass.BAD_REQUEST, detail)
