"""What all pages of the server share: the lake, who asks, the templates, and reviews that wait for their table."""

import asyncio
import json
import secrets
from asyncio import to_thread
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import reviewer_name
from gog.pipelines.show.trajectory import TrajectoryView, view_of
from gog.pipelines.show.web.access import Access, guest
from gog.pipelines.show.web.pages import environment
from gog.pipelines.show.web.served_lake import ServedLake
from gog.transforms.place import is_remote

COMPACT_AFTER_S: Final = 2.0
"""How long after a review the journal goes into the table."""
COOKIE: Final = "gog_reviewer"
STATIC: Final = {
    "app.css": "text/css",
    "app.js": "text/javascript",
    "review.js": "text/javascript",
    "run.css": "text/css",
    "run.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


class Site:
    """The state of the application."""

    def __init__(self, lake: Lake, reviewer: str, access: Access) -> None:
        """`reviewer` is who reviews until a browser or a proxy says otherwise."""
        self.access = access
        self.lake = ServedLake(lake)
        self.page_token = secrets.token_urlsafe(24)
        """What requests of our own pages carry."""
        self.static = {name: files("gog.pipelines.show.web").joinpath("static", name).read_bytes() for name in STATIC}
        self._name = lake.root.name if is_remote(str(lake.root)) else lake.root.resolve().name
        self._reviewer = reviewer
        self._compacting: asyncio.Task[None] | None = None
        self._pages = environment(self.static)

    def who(self, request: web.Request) -> str:
        """Who reviews in this browser; nobody where it may only read."""
        if guest().user is not None or not guest().writes:
            return guest().user or ""
        try:
            return reviewer_name(unquote(request.cookies.get(COOKIE, "")))
        except ValueError:
            return self._reviewer

    def page(self, request: web.Request, template: str, status: int = 200, **values: Any) -> web.Response:
        """A page made of a template."""
        common = {"token": self.page_token, "who": self.who(request), "guest": guest(), "lake": self._name}
        page = self._pages.get_template(template).render(**common, **values)
        return web.Response(text=page, content_type="text/html", status=status)

    def bare(self, status: int, line: str, to: str = "") -> web.Response:
        """A page of one line that says nothing of the lake; it opens `to`, or of a refusal has a link to it."""
        asks = status == 401 and not self.access.user_header
        page = self._pages.get_template("bare.html").render(line=line, to=to, asks=asks, refused=status >= 400)
        return web.Response(text=page, content_type="text/html", status=status)

    def view_of(self, run: str, name: str) -> TrajectoryView:
        """A trajectory as pages show it. Raises `NotThereError`."""
        return view_of(self.lake.records(run, name), self.lake.prices(run))

    def compact_later(self) -> None:
        """Move what was said into the tables, once it has been quiet for a moment."""
        if self._compacting is None or self._compacting.done():
            self._compacting = asyncio.create_task(self._compact_soon())

    async def _compact_soon(self) -> None:
        await asyncio.sleep(COMPACT_AFTER_S)
        await to_thread(self.lake.compact)

    async def close(self) -> None:
        """Keep what is not in its table yet, and give the memory back."""
        if self._compacting is not None:
            self._compacting.cancel()
            with suppress(asyncio.CancelledError):
                await self._compacting
        if not self.access.read_only:
            await to_thread(self.lake.compact)
        await to_thread(self.lake.close)


async def json_body(request: web.Request) -> Mapping[str, Any]:
    """What a request that writes says: a JSON object."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError, web.RequestPayloadError):
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body is no JSON object\n")
    return body


def number_of(words: str, otherwise: int = 1) -> int:
    """A whole number above 0 of an address; `otherwise` where it is none."""
    return int(words) if words.isascii() and words.isdigit() and 0 < len(words) < 7 and int(words) else otherwise
