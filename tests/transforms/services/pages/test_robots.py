"""robots.txt: what sites allow, what is kept, and what happens where it cannot be had."""

import asyncio

import pytest
from aiohttp import web
from websites import Handler, anywhere, endless, failure, moved, run, site
from yarl import URL

from gog.schemas import FailureClass
from gog.transforms.services.pages.robots import KEPT_S, Robots
from gog.transforms.services.protocols import ServiceError

RULES = """User-agent: *
Disallow: /private
Allow: /private/open
Disallow: /*.pdf$

User-agent: glance-or-gaze
Disallow: /notus
Disallow: /private
Allow: /private/open
"""


async def ask(robots: Handler | web.Response, path: str) -> None:
    """Raises where the path may not be read, or the site cannot be asked."""
    async with site({"/robots.txt": robots}) as base:
        await Robots(allow=anywhere).check(URL(base + path))


def may_read(robots: Handler | web.Response, path: str) -> bool:
    try:
        run(ask(robots, path))
    except ServiceError as error:
        if error.failure is FailureClass.REFUSED:
            return False
        raise
    return True


def plain(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status)


@pytest.mark.parametrize("path", ["/", "/private/open/x", "/elsewhere?x=/notus", "/a.pdf"])
def test_what_is_allowed(path: str) -> None:
    assert may_read(plain(RULES), path)


@pytest.mark.parametrize("path", ["/private", "/private/x", "/notus/y"])
def test_what_is_not(path: str) -> None:
    error = failure(ask(plain(RULES), path))
    assert error.failure is FailureClass.REFUSED
    assert error.detail == "robots.txt of 127.0.0.1 does not allow it"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_where_there_is_none_all_may_be_read(status: int) -> None:
    assert may_read(plain("User-agent: *\nDisallow: /", status), "/x")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, FailureClass.SERVER), (503, FailureClass.OVERLOADED), (429, FailureClass.RATE_LIMITED)],
)
def test_where_it_cannot_be_reached_nothing_may_for_now(status: int, kind: FailureClass) -> None:
    error = failure(ask(plain("", status), "/x"))
    assert error.failure is kind
    assert error.failure.passing
    assert "robots.txt of 127.0.0.1 cannot be read" in error.detail


def test_redirects_are_followed_and_too_many_count_as_none() -> None:
    async def go() -> None:
        async with site({"/robots.txt": moved("/r"), "/r": plain("User-agent: *\nDisallow: /x")}) as base:
            await Robots(allow=anywhere).check(URL(base + "/x"))

    assert failure(go()).failure is FailureClass.REFUSED
    assert may_read(moved("/robots.txt"), "/x")


def test_an_endless_one_is_read_as_far_as_it_must_be() -> None:
    filler = b"# nothing of interest here\n" * 2000
    rules = endless(b"User-agent: *\nDisallow: /x\n" + filler, {"Content-Type": "text/plain"})
    assert not may_read(rules, "/x")


@pytest.mark.parametrize(
    "body", [b"", b"\x00" * 5000, b"\xff\xfe\xfd", "Disallow: /".encode("utf-16"), b"<html>none</html>"]
)
def test_nonsense_forbids_nothing(body: bytes) -> None:
    assert may_read(web.Response(body=body, content_type="text/html"), "/x")


def test_a_site_is_asked_once_a_day() -> None:
    asked: list[str] = []
    now = [0.0]

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        await asyncio.sleep(0.02)
        return web.Response(text="User-agent: *\nDisallow: /x")

    async def go() -> None:
        async with site({"/robots.txt": answer}) as base:
            rules = Robots(allow=anywhere, clock=lambda: now[0])
            await asyncio.gather(*(rules.check(URL(f"{base}/{n}")) for n in range(5)))
            now[0] = KEPT_S - 1
            await rules.check(URL(base))
            assert asked == ["/robots.txt"]
            now[0] = KEPT_S
            await rules.check(URL(base))
            assert len(asked) == 2

    run(go())


def test_a_failure_is_not_kept() -> None:
    answers = [plain("", 503), plain("User-agent: *\nAllow: /")]

    async def answer(request: web.Request) -> web.Response:
        return answers.pop(0)

    async def go() -> None:
        async with site({"/robots.txt": answer}) as base:
            rules = Robots(allow=anywhere)
            with pytest.raises(ServiceError):
                await rules.check(URL(base))
            await rules.check(URL(base))
            assert not answers

    run(go())


def test_only_so_many_sites_are_kept() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(str(request.url.port))
        return web.Response(text="")

    async def go() -> None:
        pages = {"/robots.txt": answer}
        async with site(pages) as a, site(pages) as b, site(pages) as c:
            rules = Robots(allow=anywhere, hosts=2)
            for base in (a, b, a, c, a, b):  # c pushes b out, which was asked about before a
                await rules.check(URL(base))
            assert asked == [str(URL(base).port) for base in (a, b, c, b)]

    run(go())
