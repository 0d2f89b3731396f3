"""`gog view` served from a thread, asked over real sockets; a lake whose every text is hostile."""

import asyncio
import http.client
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakes import make_seed, reflective, verdict_of, write

from gog.pipelines.lake.lake import Lake, Manifest
from gog.pipelines.show.web.access import Access
from gog.pipelines.show.web.security import TOKEN_HEADER
from gog.pipelines.show.web.server import ADDRESS, Viewer, serving
from gog.schemas import Hit

SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
HOSTILE = SCRIPT + "'\"&amp;</textarea>\x00\x07\x1b[31m\u202egnp.exe\u2066 {{ 7*7 }} <|im_start|>"
"""Markup, quotes, entities, controls, turned text, a template's braces."""


@dataclass(frozen=True)
class Reply:
    """An answer of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass(frozen=True)
class View:
    """A server that is running."""

    address: str
    port: int
    viewer: Viewer

    @property
    def key(self) -> dict[str, str]:
        """The header that opens the server for a program; nothing where it asks for no token."""
        token = self.viewer.access.token
        return {"Authorization": f"Bearer {token}"} if token else {}

    @property
    def cookie(self) -> dict[str, str]:
        """The cookie that a browser gets for the link, as Playwright has cookies."""
        entered = self.ask("GET", "/" + self.viewer.access.links("")[0], None, {})
        name, _, value = entered.headers["set-cookie"].partition(";")[0].partition("=")
        return {"name": name, "value": value, "url": self.address}

    def get(self, path: str, **headers: str) -> Reply:
        """The answer to a GET of somebody who has the token; the path goes out as it is."""
        return self.ask("GET", path, None, self.key | headers)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        """The answer to what one of the server's pages would send, with other headers on top."""
        own = {
            "Content-Type": "application/json",
            TOKEN_HEADER: self.viewer.page_token,
            "Sec-Fetch-Site": "same-origin",
        }
        return self.ask("POST", path, json.dumps(body).encode(), own | self.key | headers)

    def ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        """The answer to any request. Underscores in a header's name are dashes; an empty header is left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items() if value}
            connection.request(method, path, body, named)
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()


@contextmanager
def viewed(
    lake: Path, reviewer: str = "ana", run: str | None = None, access: Access | None = None, host: str = ADDRESS
) -> Iterator[View]:
    """A server over a lake, which opens with a token unless `access` says otherwise."""
    loop = asyncio.new_event_loop()
    ready, ended = threading.Event(), asyncio.Event()
    found: list[View] = []

    async def serve() -> None:
        viewer = Viewer(Lake(lake, create=False), reviewer, run, access)
        async with serving(viewer, 0, host) as address:
            found.append(View(address, int(address.rsplit(":", 1)[1].strip("/")), viewer))
            ready.set()
            await ended.wait()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(20)
        assert found, "the server did not start"
        yield found[0]
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(ended.set)
        thread.join(20)


def with_manifest(lake: Lake, run: str) -> Lake:
    """The lake, its run with a manifest."""
    lake.write_manifest(Manifest(run=run, fingerprint="f" * 16, state="done"))
    return lake


def hostile_run(root: Path, run: str = "hostile") -> str:
    """A run of one trajectory whose every text is hostile; returns its id."""
    lake = Lake(root)
    texts = dict.fromkeys(("question", "category", "dataset", "licence", "entity"), HOSTILE)
    seed = make_seed(1, lake.images, answers=(HOSTILE,), source_url="javascript:alert(1)", **texts)
    made = reflective(seed, lake.images, answer="Kenya", thought=HOSTILE)
    urls = ("javascript:document.title='owned'", "https://example.org/\u202e", "data:text/html," + SCRIPT)
    hits = tuple(Hit(rank=n, title=HOSTILE, url=url, snippet=HOSTILE, score=n * 7.0) for n, url in enumerate(urls, 1))
    evidence = [e.model_copy(update={"hits": hits, "provider": HOSTILE}) for e in made.evidence]
    trajectory = made.trajectory.model_copy(update={"answer": HOSTILE, "teacher": HOSTILE, "plan": HOSTILE})
    verdict = verdict_of(trajectory, judge_reply=HOSTILE, judge=HOSTILE, method="judge")
    for table, rows in (
        ("seeds", [seed]),
        ("trajectories", [trajectory]),
        ("evidence", evidence),
        ("verdicts", [verdict]),
    ):
        write(lake, run, table, rows)
    with_manifest(lake, run)
    return trajectory.trajectory_id


def ids(page: str) -> list[str]:
    """Ids of the trajectories that a list shows, in order."""
    return re.findall(r'class="open" href="/runs/[^/]+/t/([^"?]+)', page)
