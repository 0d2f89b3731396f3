"""The local reader: what becomes of HTML, text and PDF, and what it does not read."""

import asyncio
import sys

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from pdfs import pdf_of
from websites import anywhere, endless, failure, refused, run, site

from gog.schemas import FailureClass
from gog.transforms.services.pages import pdf
from gog.transforms.services.pages.html import main_text
from gog.transforms.services.pages.local import A_HOST, HTML_BYTES, LocalReader
from gog.transforms.services.pages.pdf import pdf_text
from gog.transforms.services.protocols import Page, ServiceError
from gog.transforms.services.public_web import Contact

FACT = "The capital of Chad is N'Djamena, a city of more than a million people where two rivers meet."
MORE = "It was founded in 1900 and called Fort-Lamy until 1973, after an officer who had died in battle nearby."
ARTICLE = f"""<html><head><title>Chad</title><script>var tracking = "TRACK";</script></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/shop">Shop</a></li><li><a href="/login">Log in</a></li></ul></nav>
<div class="cookie-banner">We value your privacy. Accept all cookies.</div>
<article><h1>Chad</h1><p>{FACT}</p><p>{MORE}</p></article>
<footer>Copyright 2026 Example Corporation. <a href="/imprint">Imprint</a> <a href="/terms">Terms</a></footer>
</body></html>"""


def read(body: bytes | str, media_type: str = "text/html", **headers: str) -> Page:
    """A page of that body."""
    data = body.encode() if isinstance(body, str) else body
    page = web.Response(body=data, headers={"Content-Type": media_type, **headers})

    async def go() -> Page:
        async with site({"/page": page}) as base:
            return await LocalReader(allow=anywhere).read(f"{base}/page")

    return run(go())


def test_boilerplate_is_cut() -> None:
    page = read(ARTICLE)
    assert FACT in page.text
    assert MORE in page.text
    for noise in ("Log in", "cookies", "TRACK", "Copyright", "Imprint", "<p>"):
        assert noise not in page.text
    assert page.cut == ""
    assert page.url.endswith("/page")


def test_a_wrong_charset_does_not_matter() -> None:
    accents = ARTICLE.replace("Fort-Lamy", "Fort-Lamy, größer")
    assert "größer" in read(accents.encode(), "text/html; charset=iso-8859-1").text
    assert "größer" in read(accents.encode("cp1252"), "text/html; charset=utf-8").text
    assert FACT in read(accents.encode("cp1252"), "text/html; charset=nonsense").text


def test_plain_text_is_left_as_it_is() -> None:
    assert read("a  b\n\n<c>", "text/plain; charset=utf-8").text == "a  b\n\n<c>"


def test_a_page_without_text_is_an_empty_one() -> None:
    assert read("<html><body><script>document.write('x')</script></body></html>").text == ""
    assert read("").text == ""


def test_a_page_that_never_ends_is_read_as_far_as_it_is_taken() -> None:
    paragraph = f"<p>{FACT}</p>".encode() * 500

    async def go() -> Page:
        async with site({"*": endless(paragraph), "/robots.txt": web.Response(status=404)}) as base:
            return await LocalReader(allow=anywhere).read(base)

    page = run(go())
    assert FACT in page.text
    assert page.cut == f"cut at {HTML_BYTES:,} bytes"
    assert len(page.text) == pdf.MAX_TEXT


@pytest.mark.parametrize("media_type", ["image/png", "application/zip", "video/mp4", "application/octet-stream"])
def test_other_media_are_not_read(media_type: str) -> None:
    with pytest.raises(ServiceError, match="is not taken"):
        read(b"x", media_type)


def test_robots_are_respected_unless_told_otherwise() -> None:
    async def go(robots: bool) -> Page:
        forbids = web.Response(text="User-agent: *\nDisallow: /")
        pages: dict[str, web.Response | str] = {"/robots.txt": forbids, "*": ARTICLE}
        async with site(pages) as base:
            return await LocalReader(robots=robots, allow=anywhere).read(base)

    assert failure(go(True)).failure is FailureClass.REFUSED
    assert FACT in run(go(False)).text
    assert LocalReader(robots=False).id == LocalReader().id + "+norobots"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://localhost/", "http://169.254.169.254/", "file:///etc/passwd", "http://[::1]/"]
)
def test_addresses_that_are_not_public_are_not_read(url: str) -> None:
    async def go() -> None:
        await LocalReader().read(url)

    assert refused(go())


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_site_does_not_slow_the_others(status: int) -> None:
    """These are no refusals of the reader's: the gate would hold up the pages of every site."""

    async def go() -> None:
        async with site({"*": web.Response(status=status, headers={"Retry-After": "60"})}) as base:
            await LocalReader(allow=anywhere, robots=False).read(base)

    error = failure(go())
    assert (error.failure, error.retry_after) == (FailureClass.SERVER, None)
    assert f"HTTP {status}" in error.detail


def test_few_pages_of_a_site_are_in_flight() -> None:
    now = [0, 0]
    full = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        now[0] += 1
        now[1] = max(now)
        if now[0] == A_HOST:
            full.set()
        await asyncio.wait_for(full.wait(), 30)
        await asyncio.sleep(0.01)
        now[0] -= 1
        return web.Response(text=ARTICLE, content_type="text/html")

    async def go() -> list[Page]:
        async with site({"*": answer}) as base:
            reader = LocalReader(allow=anywhere, robots=False)
            pages = await asyncio.gather(*(reader.read(f"{base}/{n}") for n in range(3 * A_HOST)))
            assert reader._hosts == {}, "nothing is kept of sites that nobody reads"
            return pages

    assert all(FACT in page.text for page in run(go()))
    assert now[1] == A_HOST


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 50_000 + FACT + "</div>" * 50_000,
        "<" * 200_000,
        "<table><tr><td>" * 10_000,
        "<p " + "a=b " * 50_000 + ">x",
        "<!DOCTYPE x [<!ENTITY a '" + "x" * 50 + "'><!ENTITY b '" + "&a;" * 50 + "'>]><p>&b;",
        "\x00\ud800".encode("utf-8", "replace").decode() * 1000,
    ],
    ids=["deep", "brackets", "tables", "attributes", "entities", "nothing"],
)
def test_html_made_to_break_parsers(html: str) -> None:
    assert len(main_text(html)[0]) < 200_000


@settings(max_examples=60)
@given(st.text(max_size=200) | st.text(alphabet="<>/=\"' &;abdivp!-[]\n", max_size=300))
def test_any_text_is_html(text: str) -> None:
    assert isinstance(main_text(text)[0], str)


def test_the_text_of_a_pdf() -> None:
    page = read(pdf_of([[(72, 720, "Fort-Lamy was the capital of Chad.")]]), "application/pdf")
    assert page.text.strip() == "Fort-Lamy was the capital of Chad."


@pytest.mark.parametrize("kind", ["application/octet-stream", "binary/octet-stream", "application/x-pdf"])
def test_a_pdf_by_any_name_is_read_and_other_bytes_are_not(kind: str) -> None:
    assert read(pdf_of([[(72, 720, "Fort-Lamy was the capital of Chad.")]]), kind).text.strip().startswith("Fort-Lamy")
    with pytest.raises(ServiceError, match="is not taken, but for PDF"):
        read(b"\x00\x01" * 100, kind)


def test_sites_are_told_the_contact() -> None:
    sent: list[str] = []

    async def look(request: web.Request) -> web.Response:
        sent.append(request.headers["User-Agent"])
        return web.Response(text="<p>Chad</p>", content_type="text/html")

    async def go() -> None:
        async with site({"*": look}) as base:
            await LocalReader(allow=anywhere, contact=Contact("me@example.org")).read(f"{base}/page")

    run(go())
    assert sent == ["glance-or-gaze (me@example.org)"] * 2, "robots.txt and the page"


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4\n", b"%PDF-1.7\n" + b"\x00" * 1000, pdf_of([[(72, 720, "x")]])[:200]])
def test_what_is_no_pdf(data: bytes) -> None:
    assert refused(pdf_text(data)) == "the PDF cannot be read"


def test_a_pdf_that_was_cut_is_not_read() -> None:
    async def go() -> None:
        pages = {"*": endless(b"%PDF-1.4\n" + b"x" * (1 << 20), {"Content-Type": "application/pdf"})}
        async with site(pages) as base:
            await LocalReader(allow=anywhere, robots=False).read(base)

    assert refused(go()) == "the PDF was cut at 8,388,608 bytes"


def test_without_pdftext_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pdftext", None)
    assert "[pdf]'" in refused(pdf_text(pdf_of([[(72, 720, "x")]])))
    assert "pdftext" not in LocalReader().id
