"""Who is let in: by token, cookie and proxy, over real sockets; and what a link that only reads cannot do."""

import errno
import hashlib
import http.client
import ipaddress
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from browsers import chromium
from lakes import small_run
from playwright.sync_api import Browser, expect
from viewing import Reply, View, viewed, with_manifest

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import read_reviews
from gog.pipelines.show.web import access as access_module
from gog.pipelines.show.web.access import MOST_WRONG, Access, Door
from gog.pipelines.show.web.security import TOKEN_HEADER
from gog.pipelines.show.web.server import Viewer

TOKEN = "a-token-of-our-own-choice"
HERE = (ipaddress.ip_network("127.0.0.1/32"),)
SECRET = b"Which country"
ACCEPT = {"decision": "accept"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return with_manifest(small_run(tmp_path / "lake", seeds=4), "small")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def ask(view: View, path: str, **headers: str) -> Reply:
    """A request of somebody without a token."""
    return view.ask("GET", path, None, headers)


def send(view: View, path: str, body: bytes, **headers: str) -> Reply:
    """What a page of ours would send, without a token."""
    own = {"Content-Type": "application/json", TOKEN_HEADER: view.viewer.page_token}
    return view.ask("POST", path, body, own | headers)


def cookie_of(reply: Reply) -> str:
    return reply.headers["set-cookie"].partition(";")[0]


def page_of(view: View, lake: Lake) -> str:
    """Path of a trajectory."""
    return f"/runs/small/t/{next(lake.read_rows('small', 'trajectories'))['trajectory_id']}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def everything(view: View) -> list[tuple[str, str]]:
    """Method and path of each route that the application has, with the lake's own names in it."""
    routes = []
    app = view.viewer.application()
    lake = view.viewer.lake.lake
    row = next(lake.read_rows("small", "trajectories"))
    picture = next(lake.root.glob("images/*/*.jpg")).stem
    values = {"run": "small", "other": "small", "id": row["trajectory_id"], "seed": row["seed_id"], "kind": "unsolved"}
    values |= {"sha256": picture, "name": "app.css"}
    for route in app.router.routes():
        pattern = route.resource.canonical if route.resource else ""
        routes.append((route.method, re.sub(r"\{(\w+)\}", lambda found: values[found[1]], pattern)))
    return routes


def state_of_files(root: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()}


def test_nothing_of_the_lake_is_shown_without_a_token(lake: Lake) -> None:
    with viewed(lake.root) as view:
        assert view.viewer.access.token, "a token is asked for unless somebody says otherwise"
        for method, path in everything(view):
            if path.startswith("/static/"):
                continue
            reply = view.ask(method, path, b"{}", {})
            assert reply.status in (401, 403), (method, path)
            assert SECRET not in reply.body
        page = ask(view, "/runs/small", Accept="text/html").text
        assert "<form" in page
        assert lake.root.name not in page.replace("gog view", "")
        assert send(view, page_of(view, lake) + "/review", b'{"decision": "accept"}').status == 401
    assert read_reviews(lake, "small") == {}


def test_the_link_gives_a_cookie_which_opens_the_pages(lake: Lake) -> None:
    with viewed(lake.root) as view:
        link = view.viewer.access.links(view.address)[0]
        entered = ask(view, f"/runs/small?kept=yes&token={link.partition('token=')[2]}")
        assert entered.status == 200
        assert 'content="0; url=/runs/small?kept=yes"' in entered.text, "the token is not in the next address"
        assert SECRET not in entered.body
        set_cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in set_cookie
        assert "SameSite=Strict" in set_cookie
        assert "Secure" not in set_cookie
        assert view.viewer.access.token not in set_cookie
        assert SECRET in ask(view, "/runs/small", Cookie=cookie_of(entered)).body


@pytest.mark.parametrize("given", ["wrong", "x" * 200, "\xff", "%00", ""])
def test_a_wrong_token_opens_nothing(lake: Lake, given: str) -> None:
    with viewed(lake.root) as view:
        for reply in (
            ask(view, f"/runs/small?token={given}".encode("ascii", "ignore").decode()),
            ask(view, "/runs/small", Authorization=f"Bearer {given}"),
            ask(view, "/runs/small", Authorization=f"Basic {view.viewer.access.token}"),
            ask(view, "/runs/small", Cookie=f"gog_view_{view.port}={view.viewer.access.token}"),
        ):
            assert (reply.status, SECRET in reply.body) == (401, False)
            assert "set-cookie" not in reply.headers


def test_a_cookie_is_of_one_host_one_server_and_one_right(lake: Lake) -> None:
    names = Access(TOKEN, names=("review.example.org", "https://safe.example.org"))
    with viewed(lake.root, access=names) as view, viewed(lake.root, access=names) as other:
        stolen = cookie_of(ask(view, f"/?token={TOKEN}"))
        assert ask(view, "/runs/small", Cookie=stolen).status == 200
        for host in ("review.example.org", f"review.example.org:{view.port}", "localhost", "safe.example.org"):
            assert ask(view, "/runs/small", Cookie=stolen, Host=host).status == 401, host
        assert ask(view, "/runs/small", Cookie=stolen, Host="evil.example").status == 403
        value = stolen.partition("=")[2]
        assert ask(other, "/runs/small", Cookie=f"gog_view_{other.port}={value}").status == 401
        safe = ask(view, f"/?token={TOKEN}", Host="safe.example.org").headers["set-cookie"]
        assert safe.startswith("gog_view=")
        assert "Secure" in safe


def test_two_people_review_each_under_a_name_of_their_own(lake: Lake) -> None:
    with viewed(lake.root, "owner") as view:
        token = view.viewer.access.token
        people = {}
        for name in ("ana", "ben"):
            door = cookie_of(ask(view, f"/?token={token}"))
            named = send(view, "/reviewer", b'{"name": "%s"}' % name.encode(), Cookie=door)
            people[name] = f"{door}; {cookie_of(named)}"
        page = page_of(view, lake)
        for name, decision in (("ana", b"accept"), ("ben", b"reject")):
            said = send(view, f"{page}/review", b'{"decision": "%s"}' % decision, Cookie=people[name])
            assert said.status == 200, said.text
    assert {n: r.decision for n, r in next(iter(read_reviews(lake, "small").values())).items()} == {
        "ana": "accept",
        "ben": "reject",
    }


def test_wrong_tokens_are_counted_and_cookies_go_on(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with viewed(lake.root) as view:
        good = cookie_of(ask(view, f"/?token={view.viewer.access.token}"))
        assert [ask(view, "/", **bearer(f"guess {n}")).status for n in range(MOST_WRONG + 2)] == [401] * MOST_WRONG + [
            429,
            429,
        ]
        assert ask(view, f"/?token={view.viewer.access.token}").status == 429, "also what is right is not looked at"
        assert ask(view, "/runs/small", Cookie=good).status == 200, "who is in stays in"
        monkeypatch.setattr(access_module, "WITHIN_S", 0.0)
        assert ask(view, f"/?token={view.viewer.access.token}").status == 200


def test_with_no_token_everybody_is_let_in(lake: Lake) -> None:
    with viewed(lake.root, access=Access("")) as view:
        assert view.viewer.access.links(view.address) == [view.address]
        assert SECRET in ask(view, "/runs/small").body


def test_a_path_cannot_lead_elsewhere(lake: Lake) -> None:
    with viewed(lake.root) as view:
        for path in ("//evil.example/x", "///evil.example", "/\\evil.example", "/%5Cevil.example"):
            reply = ask(view, f"{path}?token={view.viewer.access.token}")
            target = re.search(r'content="0; url=([^"]*)"', reply.text)
            assert target is None or re.match(r"/(?![/\\])", target[1]), path
        there = ask(view, f"/runs/a%22b?x=%22%3E&token={view.viewer.access.token}").text
        assert there.count("<meta http-equiv") == 1
        assert '"b?' not in there


# A proxy that names the user


def test_the_proxys_user_is_the_reviewer_and_cannot_be_another(lake: Lake) -> None:
    given = Access(TOKEN, user_header="X-Forwarded-User", proxies=HERE)
    with viewed(lake.root, "owner", access=given) as view:
        assert view.viewer.access.links(view.address) == [view.address]
        page = page_of(view, lake)
        for user in ("ana@example.org", "ben@example.org"):
            sent = bearer(TOKEN) | {"X-Forwarded-User": user, "Cookie": "gog_reviewer=eve"}
            assert user in ask(view, "/runs/small", **sent).text
            assert '<button type="button" id="who"' not in ask(view, "/runs/small", **sent).text
            assert send(view, f"{page}/review", b'{"decision": "accept"}', **sent).status == 200
            refused = send(view, "/reviewer", b'{"name": "eve"}', **sent)
            assert (refused.status, refused.text) == (403, "your login says who reviews\n")
    assert set(next(iter(read_reviews(lake, "small").values()))) == {"ana@example.org", "ben@example.org"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Forwarded-User": "ana"}, 403),
        (bearer(TOKEN), 401),
        (bearer(TOKEN) | {"X-Forwarded-User": " "}, 401),
        (bearer(TOKEN) | {"X-Forwarded-User": "x" * 61}, 401),
        (bearer("wrong") | {"X-Forwarded-User": "ana"}, 403),
        (bearer(TOKEN) | {"X-Forwarded-User": "ana"}, 200),
    ],
)
def test_another_account_of_this_machine_is_no_proxy(lake: Lake, headers: dict[str, str], status: int) -> None:
    with viewed(lake.root, access=Access(TOKEN, user_header="X-Forwarded-User", proxies=HERE)) as view:
        reply = ask(view, "/runs/small", **headers)
        assert (reply.status, SECRET in reply.body) == (status, status == 200)


@pytest.mark.parametrize(("bound", "here"), [(0, True), (errno.EADDRNOTAVAIL, False), (errno.EMFILE, True)])
@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::7", "fe80::7"])
def test_every_address_of_this_machine_has_to_send_the_token(
    monkeypatch: pytest.MonkeyPatch, lake: Lake, address: str, bound: int, here: bool
) -> None:
    """Another account of it reaches the server by the machine's own address, and then comes from there."""

    def bind(self: socket.socket, to: tuple[object, ...]) -> None:
        assert to[:2] == (address, 0)
        assert to[2:] in ((), (0, 3)), "the zone of the link goes along"
        if bound:
            raise OSError(bound, "no")

    monkeypatch.setattr(socket.socket, "bind", bind)
    proxies = tuple(map(ipaddress.ip_network, ("203.0.113.0/24", "2001:db8::/64", "fe80::/10")))
    viewer = Viewer(lake, "owner", access=Access(TOKEN, user_header="X-User", proxies=proxies))
    peer = (address, 5, 0, 3) if ":" in address else (address, 5)
    status = {}
    for name, headers in (("keyed", bearer(TOKEN)), ("bare", {})):
        transport = mock.Mock(get_extra_info=lambda what, default=None: peer if what == "peername" else default)
        request = make_mocked_request("GET", "/", headers | {"X-User": "ana"}, transport=transport)
        found = Door(viewer.access, viewer.bare)._from_proxy(request)
        status[name] = found.status if isinstance(found, web.Response) else 200
    assert status == {"keyed": 200, "bare": 403 if here else 200}


def test_a_header_of_somebody_who_is_no_proxy_is_refused(lake: Lake) -> None:
    far = (ipaddress.ip_network("192.0.2.7/32"), ipaddress.ip_network("2001:db8::/64"))
    with viewed(lake.root, access=Access(TOKEN, user_header="X-Forwarded-User", proxies=far)) as view:
        for headers in ({"X-Forwarded-User": "ana"}, bearer(TOKEN), bearer(TOKEN) | {"X-Forwarded-User": "ana"}):
            reply = ask(view, "/runs/small", **headers, **{"X-Forwarded-For": "192.0.2.7"})
            assert (reply.status, reply.text) == (403, "this server answers its proxy alone\n")
        assert ask(view, f"/?token={TOKEN}").status == 403


def test_a_user_header_that_nobody_asked_for_says_nothing(lake: Lake) -> None:
    with viewed(lake.root, "owner") as view:
        page = view.get("/runs/small", **{"X-Forwarded-User": "mallory"}).text
        assert "owner" in page
        assert "mallory" not in page


def test_two_users_in_one_request_are_none(lake: Lake) -> None:
    with viewed(lake.root, access=Access("", user_header="X-Forwarded-User", proxies=HERE)) as view:
        connection = http.client.HTTPConnection("127.0.0.1", view.port, timeout=20)
        connection.putrequest("GET", "/runs/small")
        connection.putheader("X-Forwarded-User", "ana")
        connection.putheader("X-Forwarded-User", "eve")
        connection.endheaders()
        assert connection.getresponse().status == 401
        connection.close()


# Names


def test_a_name_that_was_given_is_answered_and_no_other(lake: Lake) -> None:
    with viewed(lake.root, access=Access(TOKEN, names=("https://review.example.org",))) as view:
        assert view.viewer.access.links(view.address)[0] == f"https://review.example.org/?token={TOKEN}"
        assert ask(view, "/runs/small", Host="review.example.org", **bearer(TOKEN)).status == 200
        assert ask(view, "/runs/small", Host="REVIEW.example.org:443", **bearer(TOKEN)).status == 200
        assert ask(view, "/runs/small", Host="example.org", **bearer(TOKEN)).status == 403
        page = page_of(view, lake)
        origin = {"Host": "review.example.org", "Origin": "https://review.example.org"}
        assert view.post(f"{page}/review", ACCEPT, **origin).status == 200
        assert view.post(f"{page}/review", ACCEPT, **origin | {"Origin": "https://evil.example"}).status == 403


def test_on_every_address_it_answers_to_the_one_that_was_reached(lake: Lake) -> None:
    with viewed(lake.root, access=Access(TOKEN, here=False), host="0.0.0.0") as view:
        assert "0.0.0.0" not in view.address
        assert ask(view, "/", Host=f"127.0.0.1:{view.port}").status == 401
        assert ask(view, "/", Host="192.0.2.1").status == 403
        own = view.address.removeprefix("http://").strip("/")
        assert ask(view, "/runs/small", Host=own, **bearer(TOKEN)).status == 200


# Links that only read


def test_a_link_that_only_reads_is_refused_by_every_route_that_writes(lake: Lake) -> None:
    """Each route of the application: one that is new is among them."""
    with viewed(lake.root, "owner") as view:
        view.post(f"{page_of(view, lake)}/review", {"decision": "reject", "why": "leak", "comment": "seen"})
        view.viewer.lake.compact()
        reading = view.viewer.access.links(view.address)[1].partition("token=")[2]
        cookie = cookie_of(ask(view, f"/?token={reading}"))
        before, seen = state_of_files(lake.root), []
        for method, path in everything(view):
            for headers in (bearer(reading), {"Cookie": cookie}):
                own = {"Content-Type": "application/json", TOKEN_HEADER: view.viewer.page_token}
                reply = view.ask(method, path, b"{}" if method == "POST" else None, own | headers)
                if method in ("GET", "HEAD"):
                    assert reply.status in (200, 302, 404), (path, reply.text)
                else:
                    assert (reply.status, reply.text) == (403, "this link only reads: nothing was changed\n"), path
                    seen.append(path)
        assert len(seen) >= 8
        assert state_of_files(lake.root) == before
        page = ask(view, page_of(view, lake), **bearer(reading)).text
        assert "Read only" in page
        assert "owner" in page, "what others said is shown to who says nothing"
        assert "<button" not in page.partition('id="review"')[2].partition("</section>")[0]
        assert "review.js" not in page


def test_a_server_that_only_reads_writes_nothing(lake: Lake) -> None:
    before = state_of_files(lake.root)
    with viewed(lake.root, access=Access(TOKEN, read_only=True)) as view:
        assert view.viewer.access.links("/") == [f"/?token={view.viewer.access.reading_token}"]
        for token in (TOKEN, view.viewer.access.reading_token):
            assert ask(view, "/runs/small", **bearer(token)).status == 200
            page = page_of(view, lake)
            assert send(view, f"{page}/review", b'{"decision": "accept"}', **bearer(token)).status == 403
    assert state_of_files(lake.root) == before


def test_the_token_that_only_reads_does_not_give_the_other(lake: Lake) -> None:
    one, two = Access(TOKEN), Access(TOKEN)
    assert one.reading_token == two.reading_token != Access().reading_token
    assert TOKEN not in one.reading_token


# A browser


def test_in_a_browser_the_link_opens_and_the_address_alone_does_not(lake: Lake, browser: Browser) -> None:
    with viewed(lake.root, "Ana") as view:
        writes, reads = view.viewer.access.links(view.address)
        owner, guest, stranger = (browser.new_context() for _ in range(3))
        page = owner.new_page()
        page.goto(writes)
        page.wait_for_url("**/runs/small")
        assert "token" not in page.url
        expect(page.locator("button#who")).to_contain_text("Ana")
        page.locator(".open").first.click()
        page.locator(".go-on").uncheck()
        page.keyboard.press("a")
        expect(page.locator("[data-decision=accept]")).to_have_attribute("aria-pressed", "true")

        reader = guest.new_page()
        reader.goto(reads)
        reader.wait_for_url("**/runs/small")
        expect(reader.locator(".top .badge")).to_have_text("Read only")
        reader.locator(".open").first.click()
        expect(reader.locator("#review")).to_contain_text("accepted")
        assert reader.locator("#review button").count() == 0

        outside = stranger.new_page()
        reply = outside.goto(f"{view.address}runs/small")
        assert reply is not None
        assert reply.status == 401
        outside.locator("input[name=token]").fill(view.viewer.access.token)
        outside.locator("button").click()
        expect(outside.locator("button#who")).to_be_visible()
        assert outside.url.endswith("/runs/small")
        for context in (owner, guest, stranger):
            context.close()


def test_a_link_on_another_site_opens_for_who_was_let_in(lake: Lake, browser: Browser, tmp_path: Path) -> None:
    """The cookie stays behind when another site's link is followed; the page that then comes asks for it."""
    with viewed(lake.root) as view, viewed(lake.root) as other:
        context = browser.new_context()
        context.add_cookies([view.cookie])  # type: ignore[list-item]
        page = context.new_page()
        page.goto(f"http://localhost:{other.port}/static/icon.svg")
        page.evaluate("(to) => location.assign(to)", f"{view.address}runs/small")
        expect(page.locator(".rows")).to_be_visible()
        fresh = browser.new_context().new_page()
        fresh.goto(f"http://localhost:{other.port}/static/icon.svg")
        fresh.evaluate("(to) => location.assign(to)", view.viewer.access.links(view.address)[0])
        expect(fresh.locator(".rows")).to_be_visible()
        stranger = browser.new_context().new_page()
        stranger.goto(f"http://localhost:{other.port}/static/icon.svg")
        stranger.evaluate("(to) => location.assign(to)", f"{view.address}runs/small")
        expect(stranger.locator("input[name=token]")).to_be_visible()
