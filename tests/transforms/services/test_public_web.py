"""The guarded fetcher: where it goes, how much it takes, and how it reads what it got."""

import asyncio
import gzip
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from websites import Handler, anywhere, endless, failure, moved, refused, run, site
from yarl import URL

from gog.schemas import FailureClass
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.public_addresses import Address, is_public
from gog.transforms.services.public_web import (
    MAX_REDIRECTS,
    Contact,
    Fetched,
    _redirected,
    check_url,
    fetch_public,
    text_of,
)

Pages = Mapping[str, Handler | web.Response | str]


async def fetched(pages: Pages, path: str = "/", **options: Any) -> Fetched:
    """What a site with these pages gives."""
    values: dict[str, Any] = {"limit_bytes": 100_000, "timeout_s": 20.0, "types": ("text/html",), "allow": anywhere}
    async with site(pages) as base:
        return await fetch_public(base + path, **(values | options))


async def true_fetch(url: str) -> Fetched:
    """With the predicate that is used in earnest."""
    return await fetch_public(url, limit_bytes=1000, timeout_s=20, types=("text/html",))


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "10.1.2.3",
            "169.254.169.254",
            "[fe80::1]",
            "[fe80::1%25lo]",
            "0.0.0.0",
        ),
        *("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "017700000001", "127.0.0.1.", "１２７.0.0.1"),
    ],
)
def test_hosts_written_as_numbers_lead_nowhere(host: str) -> None:
    assert refused(true_fetch(f"http://{host}/"))
    assert refused(true_fetch(f"https://{host}:8443/x?y#z"))


@pytest.mark.parametrize(
    "url",
    [
        *("", "/etc/passwd", "file:///etc/passwd", "ftp://example.org/", "gopher://example.org/", "data:text/html,x"),
        *("javascript:alert(1)", "http://", "http:///x", "https://user@example.org/", "https://u:p@example.org/"),
        *("http://example.org:0x50/", "http://example.org:99999/", "http://[::1", "https://example.org/" + "a" * 3000),
        "//example.org/",
    ],
)
def test_addresses_that_are_not_of_the_web(url: str) -> None:
    assert refused(true_fetch(url))


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda rest: f"http://{rest}"))
def test_any_text_is_an_address_or_is_refused(text: str) -> None:
    with suppress(ServiceError):
        url = check_url(text)
        assert url.scheme in ("http", "https")
        assert url.host
        assert not url.fragment


def test_a_name_that_leads_to_this_machine() -> None:
    """The port is let through, so that it is the address that is refused."""
    options: dict[str, Any] = {"limit_bytes": 1000, "timeout_s": 20, "types": ("text/html",)}

    async def go() -> None:
        async with site({"*": "secret"}) as base:
            url = f"http://localhost:{URL(base).port}/"
            assert (await fetch_public(url, allow=anywhere, **options)).data == b"secret"
            await fetch_public(url, allow=lambda address, port: is_public(address, 80), **options)

    assert refused(go()) == "the address is not public"


@pytest.mark.parametrize("address", ["10.0.0.7", "169.254.169.254", "192.168.0.1", "100.64.3.4", "127.0.0.1"])
def test_a_name_that_leads_to_a_private_network(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        assert str(host) == "innocent.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert refused(true_fetch("http://innocent.example/")) == "the address is not public"


def test_of_several_addresses_none_that_is_not_public_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a name resolves to, the check is of the address that is connected to."""
    tried: list[str] = []

    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        both = ("192.168.0.1", "127.0.0.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in both]

    def allow(address: Address, port: int) -> bool:
        tried.append(str(address))
        return address.is_loopback

    async def go() -> Fetched:
        async with site({"/": "mine"}) as base:
            monkeypatch.setattr(socket, "getaddrinfo", look_up)
            url = f"http://two.example:{URL(base).port}/"
            return await fetch_public(url, limit_bytes=100, timeout_s=20, types=("text/html",), allow=allow)

    assert run(go()).data == b"mine"
    assert sorted(tried) == ["127.0.0.1", "192.168.0.1"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status: int) -> None:
    got = run(fetched({"/": moved("b?c=d#e", status), "/b": "<p>here"}))
    assert got.data == b"<p>here"
    assert URL(got.url).path_qs == "/b?c=d"
    assert got.media_type == "text/html"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("http://10.0.0.1/", "redirected: the address is not public"),
        ("http://169.254.169.254/latest/meta-data/", "redirected: the address is not public"),
        ("http://[::ffff:169.254.169.254]/", "redirected: the address is not public"),
        ("http://2852039166/", "redirected: '2852039166' is no address and no name"),
        ("//192.168.0.1/x", "redirected: the address is not public"),
        ("file:///etc/passwd", "redirected: not an http or https address"),
        ("http://u:p@8.8.8.8/", "redirected: the address has a user name"),
        ("http://[", "redirected to what is no URL"),
    ],
)
def test_redirects_are_checked_again(target: str, said: str) -> None:
    def allow(address: Address, port: int) -> bool:
        return address.is_loopback or is_public(address, port)

    assert refused(fetched({"/": moved(target)}, allow=allow)).startswith(said)


def test_a_redirect_to_a_name_is_checked_where_it_leads() -> None:
    """The site itself may be fetched, the one that it leads to may not."""
    asked: list[str] = []

    async def inner(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text="secret", content_type="text/html")

    async def go() -> None:
        async with site({"*": inner}) as other:
            port = URL(other).port
            target = f"http://localhost:{port}/secret"
            await fetched({"/": moved(target)}, allow=lambda address, at: at != port)

    assert refused(go()) == "the address is not public"
    assert asked == []


def test_a_redirect_does_not_give_up_encryption() -> None:
    assert _redirected(URL("http://a.example/"), "https://a.example/x", is_public) == URL("https://a.example/x")
    assert _redirected(URL("https://a.example/y/"), "../x", is_public) == URL("https://a.example/x")
    with pytest.raises(ServiceError, match="from https to http"):
        _redirected(URL("https://a.example/"), "http://a.example/x", is_public)


def test_redirects_end() -> None:
    hops: list[str] = []

    async def round_and_round(request: web.Request) -> web.Response:
        hops.append(request.path_qs)
        return web.Response(status=302, headers={"Location": f"/?{len(hops)}"})

    assert refused(fetched({"/": round_and_round})) == "more than 5 redirects"
    assert len(hops) == MAX_REDIRECTS + 1


def test_a_visitor_is_asked_before_each_request() -> None:
    seen: list[str] = []

    async def visit(url: URL) -> None:
        seen.append(url.path)
        if url.path == "/c":
            raise ServiceError(FailureClass.REFUSED, "no")

    error = failure(fetched({"/": moved("/b"), "/b": moved("/c"), "/c": "never"}, visit=visit))
    assert error.failure is FailureClass.REFUSED
    assert seen == ["/", "/b", "/c"]


def five_gigabytes(media_type: str = "text/html") -> Handler:
    return endless(headers={"Content-Length": str(5 << 30), "Content-Type": media_type}, pause=0.01)


def test_a_body_that_says_it_is_enormous_is_refused_unread() -> None:
    started = time.perf_counter()
    assert refused(fetched({"/": five_gigabytes()})) == "5,368,709,120 bytes, more than 100,000"
    assert time.perf_counter() - started < 5


def test_a_body_that_says_it_is_enormous_is_cut() -> None:
    got = run(fetched({"/": five_gigabytes()}, cut=True))
    assert len(got.data) == 100_000
    assert got.cut == "cut at 100,000 bytes"


def test_a_body_that_never_ends() -> None:
    assert refused(fetched({"/": endless()})) == "more than 100,000 bytes"
    got = run(fetched({"/": endless()}, cut=True))
    assert (len(got.data), got.cut) == (100_000, "cut at 100,000 bytes")


def test_a_body_that_trickles() -> None:
    slow = endless(b"x", pause=0.01)
    error = failure(fetched({"/": slow}, timeout_s=0.4))
    assert error.failure is FailureClass.TIMEOUT
    assert error.detail == "no answer within 0.4 s"
    got = run(fetched({"/": slow}, timeout_s=0.4, cut=True))
    assert 0 < len(got.data) < 100
    assert set(got.data) == {ord("x")}
    assert got.cut == "cut after 0.4 s"


def test_a_server_that_says_nothing() -> None:
    async def silent(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    assert failure(fetched({"/": silent}, timeout_s=0.3, cut=True)).failure is FailureClass.TIMEOUT


@pytest.mark.parametrize("cut", [False, True])
def test_a_gzip_bomb_is_counted_as_what_it_becomes(cut: bool) -> None:
    bomb = web.Response(
        body=gzip.compress(b"x" * 60_000_000), headers={"Content-Encoding": "gzip", "Content-Type": "text/html"}
    )
    if cut:
        got = run(fetched({"/": bomb}, cut=True))
        assert (len(got.data), got.cut) == (100_000, "cut at 100,000 bytes")
    else:
        assert refused(fetched({"/": bomb})) == "more than 100,000 bytes"


@pytest.mark.parametrize(
    ("header", "types", "taken"),
    [
        ("text/html; charset=utf-8", ("text/html",), True),
        ("TEXT/HTML", ("text/html",), True),
        ("image/png", ("image/",), True),
        ("text/html", ("image/",), False),
        ("application/zip", ("text/html", "text/plain"), False),
        ("text/htmlx", ("text/html",), False),
    ],
)
def test_media_types(header: str, types: tuple[str, ...], taken: bool) -> None:
    page = web.Response(body=b"x", headers={"Content-Type": header})
    if taken:
        assert run(fetched({"/": page}, types=types)).media_type == header.lower().partition(";")[0]
    else:
        assert "is not taken" in refused(fetched({"/": page}, types=types))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, FailureClass.NOT_FOUND),
        (403, FailureClass.AUTH),
        (429, FailureClass.RATE_LIMITED),
        (500, FailureClass.SERVER),
    ],
)
def test_statuses_are_failure_classes(status: int, kind: FailureClass) -> None:
    error = failure(fetched({"/": web.Response(status=status, headers={"Retry-After": "3"})}))
    assert (error.failure, error.retry_after) == (kind, 3.0)


def test_nothing_is_sent_that_tells_who_asks() -> None:
    sent: dict[str, str] = {}

    async def look(request: web.Request) -> web.Response:
        sent.update(request.headers)
        return web.Response(text="x", content_type="text/html", headers={"Set-Cookie": "a=b"})

    run(fetched({"/": look}))
    assert set(sent) == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert sent["User-Agent"] == "glance-or-gaze"


LAKE = "Der Tschadsee — größer"


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        (LAKE.encode(), "utf-8"),
        (LAKE.encode(), ""),
        (LAKE.encode(), "iso-8859-1"),
        (LAKE.encode(), "no-such-charset"),
        (LAKE.encode("utf-8-sig"), "latin-1"),
        (b"\xff\xfe" + LAKE.encode("utf-16-le"), "utf-8"),
        (b"\xfe\xff" + LAKE.encode("utf-16-be"), ""),
        (LAKE.encode("utf-16-le"), "utf-16le"),
        (LAKE.encode("cp1252"), "iso-8859-1"),
        (LAKE.encode("cp1252"), ""),
        (LAKE.encode("cp1252"), "ascii"),
        (LAKE.encode("cp1252"), "utf-8"),
    ],
)
def test_charsets(data: bytes, charset: str) -> None:
    assert text_of(data, charset) == LAKE


def test_a_charset_that_the_document_names() -> None:
    page = '<html><head><meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS"></head>日本'
    assert text_of(page.encode("shift_jis")) == page
    page = "<?xml version='1.0' encoding='koi8-r'?><html>Чад"
    assert text_of(page.encode("koi8-r")) == page


@pytest.mark.parametrize(
    "label", ["utf-7", "zip", "hex", "rot13", "punycode", "unicode_escape", "undefined", "idna", "mbcs"]
)
def test_what_python_decodes_and_is_no_charset(label: str) -> None:
    assert text_of(b"+ADw-script+AD4- \\x41", label) == "+ADw-script+AD4- \\x41"


def test_data_that_was_cut_within_a_character() -> None:
    assert text_of("größ".encode()[:-1]) == "grö"


def test_a_broken_byte_spoils_no_more_than_itself() -> None:
    assert text_of("größer".encode() * 5 + b"\xff!" + "ü".encode(), "utf-8") == "größer" * 5 + "\ufffd!ü"


@given(st.binary(max_size=300), st.text(max_size=20) | st.sampled_from(["utf-16", "gb18030", "iso2022_jp", "hz"]))
def test_any_bytes_are_text(data: bytes, charset: str) -> None:
    text = text_of(data, charset)
    assert text.encode("utf-8", "replace").decode("utf-8") == text  # no half of a surrogate pair


@pytest.mark.parametrize(
    "header", ["", ";", "text/html; charset", "text/html; charset*=utf-8'en'%FF", "/", '"', "x" * 4000]
)
def test_odd_content_types_do_no_harm(header: str) -> None:
    page = web.Response(body=b"x", headers={"Content-Type": header} if header else {})

    async def go() -> Fetched:
        return await fetched({"/": page}, types=("text/html", "application/octet-stream"))

    with suppress(ServiceError):
        assert run(go()).data == b"x"


def test_a_contact_is_told_where_one_is_named() -> None:
    sent: list[str] = []

    async def look(request: web.Request) -> web.Response:
        sent.append(request.headers["User-Agent"])
        return web.Response(text="x", content_type="text/html")

    run(fetched({"/": look}, contact=Contact("me@example.org")))
    assert sent == ["glance-or-gaze (me@example.org)"]
