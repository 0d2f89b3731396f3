"""What other sites, other names and hostile paths get."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lakes import small_run
from viewing import View, ids, viewed, with_manifest

from gog.pipelines.show.web.security import TOKEN_HEADER

REVIEW = {"decision": "accept"}


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    root = tmp_path_factory.mktemp("lake")
    with_manifest(small_run(root), "small")
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "runs" / "escaped").symlink_to(outside)
    (outside / "manifest.json").write_text((root / "runs" / "small" / "manifest.json").read_text())
    (root / "secret.txt").write_text("secret")
    with viewed(root) as made:
        yield made


@pytest.fixture
def page(view: View) -> str:
    """Path of a trajectory."""
    return f"/runs/small/t/{ids(view.get('/runs/small').text)[0]}"


def test_it_listens_on_the_loopback_alone(view: View) -> None:
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = {line.split()[1] for line in table if line.split()[1].endswith(f":{view.port:04X}")}
    assert "0100007F" in {address.partition(":")[0] for address in listening}
    assert "00000000" not in {address.partition(":")[0] for address in listening}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8322",
        "0.0.0.0",
        "[::2]",
        "x:y",
    ],
)
def test_foreign_hosts_are_refused(view: View, page: str, host: str) -> None:
    for reply in (view.get("/", Host=host), view.get(page, Host=host), view.post(f"{page}/review", REVIEW, Host=host)):
        assert reply.status == 403
        assert b"Which country" not in reply.body


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost", "LOCALHOST:8322", "[::1]:1"])
def test_its_own_names_are_answered_on_any_port(view: View, host: str) -> None:
    assert view.get("/runs/small", Host=host).status == 200


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, "another site"),
        ({"Sec-Fetch-Site": "same-site"}, "another site"),
        ({"Origin": "http://evil.example"}, "another origin"),
        ({"Origin": "null"}, "another origin"),
        ({"Origin": "http://127.0.0.1:1"}, "another origin"),
        ({"Content-Type": "text/plain"}, "only JSON"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "only JSON"),
        ({TOKEN_HEADER: ""}, "reload"),
        ({TOKEN_HEADER: "wrong\xff"}, "reload"),
    ],
)
def test_cross_site_writes_are_refused_and_write_nothing(
    view: View, page: str, headers: dict[str, str], why: str
) -> None:
    for path, body in ((f"{page}/review", REVIEW), ("/reviewer", {"name": "eve"})):
        reply = view.post(path, body, **headers)
        assert (reply.status, why in reply.text) == (403, True), reply.text
        assert "set-cookie" not in reply.headers
    assert not list(view.viewer.lake.lake.run_folder("small").glob("reviews/journal*"))


def test_other_sites_may_link_but_not_embed(view: View, page: str) -> None:
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert view.get(page, **cross, **{"Sec-Fetch-Mode": "navigate"}).status == 200
    assert view.get(page, **cross, **{"Sec-Fetch-Mode": "no-cors"}).status == 403
    headers = view.get(page).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/", "/runs/small", "/static/app.js", "/images/zz", "/nowhere", "/runs/none"])
def test_every_answer_has_the_headers(view: View, path: str) -> None:
    headers = view.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["server"] == "gog"


@pytest.mark.parametrize(
    "path",
    [
        "/images/../secret.txt",
        "/images/..%2f..%2fsecret.txt",
        "/images/%2e%2e%2fsecret.txt",
        "/thumbs/..%2fsecret.txt",
        "/static/..%2fserver.py",
        "/static/../server.py",
        "/static/%2fetc%2fpasswd",
        "/runs/..%2f..",
        "/runs/../secret.txt",
        "/runs/%00",
        "/runs/escaped",
        "/runs/escaped/reviews",
        "/runs/small/t/..%2f..%2fmanifest.json",
        "/runs/small/t/%00%ff",
        "/runs/small%2f..%2fsmall",
        "/compare?a=../small/x&b=small/y",
        "/compare",
        "//etc/passwd",
    ],
)
def test_paths_do_not_leave_the_lake(view: View, path: str) -> None:
    reply = view.get(path)
    assert reply.status in (400, 404), reply.text
    assert b"secret" not in reply.body.replace(b"secret.txt", b"")
    assert b"root:" not in reply.body


def test_a_picture_is_served_by_its_hash_alone(view: View) -> None:
    lake = view.viewer.lake.lake
    path = next(lake.root.glob("images/*/*.jpg"))
    reply = view.get(f"/images/{path.stem}")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/jpeg")
    assert reply.body == path.read_bytes()
    assert view.get(f"/images/{path.stem[:-1]}").status == 404
    assert view.get(f"/images/{path.name}").status == 404


def test_a_file_that_is_no_picture_is_never_a_page(view: View) -> None:
    images = view.viewer.lake.lake.images
    sha256 = images.put(b"<html><script>alert(1)</script>", "png")
    reply = view.get(f"/images/{sha256}")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/png")
    assert view.get(f"/thumbs/{sha256}").status == 404
    other = images.put(b"other", "png")
    images.path(other).write_bytes(b"changed")
    assert view.get(f"/images/{other}").status == 500


def test_a_link_out_of_the_lake_is_not_followed_into_a_page(view: View) -> None:
    root = view.viewer.lake.lake.root
    name = "f" * 64
    (root / "images" / "ff").mkdir(exist_ok=True)
    (root / "images" / "ff" / f"{name}.jpg").symlink_to("/etc/passwd")
    reply = view.get(f"/images/{name}")
    assert reply.status == 500
    assert b"root:" not in reply.body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_do_nothing(view: View, page: str, method: str) -> None:
    headers = view.key | {TOKEN_HEADER: view.viewer.page_token, "Content-Type": "application/json"}
    assert view.ask(method, page, b"{}", headers).status in (403, 404, 405)


def test_a_body_is_bounded(view: View, page: str) -> None:
    assert view.post(f"{page}/review", {"comment": "x" * 100_000}).status == 413
