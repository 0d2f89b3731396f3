"""The web application: its routes, the pages to look at, and the server."""

import asyncio
import socket
from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import duckdb
from aiohttp import web

from gog.pipelines.lake.lake import Lake, LakeError
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.lake.saved_filters import read_filters
from gog.pipelines.show.web.access import Access, Door
from gog.pipelines.show.web.filters import Filter, FilterError, SqlError
from gog.pipelines.show.web.index import SeedListing
from gog.pipelines.show.web.records import attempts_elsewhere
from gog.pipelines.show.web.reviewing import Reviewing
from gog.pipelines.show.web.run_page import RunPages
from gog.pipelines.show.web.saving import Saving
from gog.pipelines.show.web.security import Handler, add_headers, guard
from gog.pipelines.show.web.served_lake import NotThereError
from gog.pipelines.show.web.site import STATIC, Site, number_of
from gog.schemas.rows import SchemaError
from gog.transforms.episode.trajectory import images_of
from gog.transforms.services.request_log import REQUESTS

ADDRESS: Final = "127.0.0.1"
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  # what a link cannot name
PAGE: Final = 40
"""Seeds on a page of the list."""
BODY_BYTES: Final = 64 << 10
"""Longest body of a request that is read."""
_FOR_EVER: Final = {"Cache-Control": "private, max-age=31536000, immutable"}


class Viewer(Site):
    """The application: pages to look at, and how it starts and ends."""

    def __init__(self, lake: Lake, reviewer: str, run: str | None = None, access: Access | None = None) -> None:
        """`reviewer` is who reviews until a browser or a proxy says otherwise; `run` the one to open first.

        Without `access`, it opens with a token of its own.
        """
        super().__init__(lake, reviewer, access or Access())
        self._run = run
        self._warming: asyncio.Future[Any] | None = None
        self._reviewing = Reviewing(self)
        self._run_pages = RunPages(self)
        self._saving = Saving(self)

    def application(self) -> web.Application:
        """The routes, behind the guard and the door."""
        known = guard(self.page_token, self.access.answers_to)
        admitted = Door(self.access, self.bare).middleware()
        app = web.Application(client_max_size=BODY_BYTES, middlewares=[known, admitted, self._errors])
        app.router.add_get("/", self._home)
        app.router.add_get("/runs/{run}", self._list)
        app.router.add_get("/runs/{run}/t/{id}", self._trajectory)
        app.router.add_get("/runs/{run}/seeds/{seed}", self._seed)
        app.router.add_get("/compare", self._compare)
        app.router.add_get("/images/{sha256}", self._image)
        app.router.add_get("/thumbs/{sha256}", self._thumb)
        app.router.add_get("/static/{name}", self._static_file)
        app.router.add_routes([*self._reviewing.routes(), *self._saving.routes(), *self._run_pages.routes()])
        app.on_response_prepare.append(add_headers)
        app.on_startup.append(self._warm)
        app.on_cleanup.append(self._close)
        return app

    async def _home(self, request: web.Request) -> web.StreamResponse:
        runs = await to_thread(self.lake.runs)
        chosen = self._run if self._run in runs else runs[0] if len(runs) == 1 else None
        if chosen is not None and "all" not in request.query:
            raise web.HTTPFound(f"/runs/{quote(chosen)}")
        states = await to_thread(lambda: [(run, self.lake.manifest(run), self.lake.state(run)) for run in runs])
        return self.page(request, "home.html", runs=states)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        run, wanted, who = request.match_info["run"], Filter.of(request.query), self.who(request)
        number = number_of(request.query.get("page", ""))

        def read() -> dict[str, Any]:
            index = self.lake.index(run)
            shown = {"index": index, "saved": read_filters(self.lake.lake, run), "error": ""}
            try:
                index.check(wanted)
                listing = index.seeds_page(wanted, who, (number - 1) * PAGE, PAGE)
            except SqlError as error:
                return shown | {"listing": SeedListing([], 0, 0), "error": str(error)}
            return shown | {"listing": listing}

        values = await to_thread(read)
        pages = max(1, -(-values["listing"].seeds // PAGE))
        status = 400 if values["error"] else 200
        return self.page(request, "list.html", status, run=run, wanted=wanted, number=number, pages=pages, **values)

    async def _trajectory(self, request: web.Request) -> web.StreamResponse:
        run, name = request.match_info["run"], request.match_info["id"]
        wanted, who = Filter.of(request.query), self.who(request)

        def read() -> dict[str, Any]:
            index = self.lake.index(run)
            index.check(wanted)
            view = self.view_of(run, name)
            return self._reviewing.panel(run, name, wanted, who, index) | {
                "can_answer": view.answered,
                "view": view,
                "beside": index.neighbours(name, wanted, who),
                "attempts": index.attempts(view.records.trajectory.seed_id),
                "doubts": index.doubts(name),
            }

        return self.page(request, "trajectory.html", run=run, wanted=wanted, **await to_thread(read))

    async def _seed(self, request: web.Request) -> web.StreamResponse:
        run, seed = request.match_info["run"], request.match_info["seed"]

        def read() -> dict[str, Any]:
            attempts = self.lake.index(run).attempts(seed)
            if not attempts:
                raise NotThereError(f"the run {run} has no attempt at a seed {seed[:100]!r}")
            others = [other for other in self.lake.runs() if other != run]
            known = self.lake.records(run, attempts[0]["trajectory_id"]).seed
            return {
                "attempts": attempts,
                "seed": known,
                "images": images_of(known) if known else (),
                "elsewhere": attempts_elsewhere(self.lake.lake, others, seed),
            }

        return self.page(request, "seed.html", run=run, **await to_thread(read))

    async def _compare(self, request: web.Request) -> web.StreamResponse:
        sides = []
        for side in ("a", "b"):
            run, _, name = request.query.get(side, "").partition("/")
            sides.append((run, name))
        # One after the other: both may need a list that is not in memory.
        views = [(run, await to_thread(self.view_of, run, name)) for run, name in sides]
        reviews = [(await to_thread(self.lake.reviews, run)).get(name, {}) for run, name in sides]
        return self.page(request, "compare.html", run=sides[0][0], sides=views, reviews_of=reviews)

    async def _image(self, request: web.Request) -> web.StreamResponse:
        data, kind = await to_thread(self.lake.picture, request.match_info["sha256"])
        return web.Response(body=data, content_type=kind, headers=_FOR_EVER)

    async def _thumb(self, request: web.Request) -> web.StreamResponse:
        data = await to_thread(self.lake.thumb, request.match_info["sha256"])
        return web.Response(body=data, content_type="image/jpeg", headers=_FOR_EVER)

    async def _static_file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in STATIC:
            raise NotThereError(f"there is no file {name[:100]!r}")
        return web.Response(body=self.static[name], content_type=STATIC[name], charset="utf-8", headers=_FOR_EVER)

    async def _warm(self, app: web.Application) -> None:
        """Make the first run's list while the browser is being opened; what goes wrong is told when it is asked for."""
        if self._run is not None:
            self._warming = asyncio.gather(to_thread(self.lake.index, self._run), return_exceptions=True)

    async def _close(self, app: web.Application) -> None:
        if self._warming is not None:
            await self._warming
        await self.close()

    @web.middleware
    async def _errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors as a page of one line; of a request that writes, as the line alone."""
        try:
            return await handler(request)
        except NotThereError as error:
            status, line = 404, str(error)
        except web.HTTPNotFound:
            status, line = 404, "there is no such page"
        except FilterError as error:
            status, line = 400, str(error)
        except (LakeError, SchemaError, duckdb.Error) as error:
            status, line = 500, one_line(error, 400)
        if request.method != "GET" or request.path.startswith(("/images/", "/thumbs/", "/static/")):
            return web.Response(status=status, text=f"{line}\n")
        return self.page(request, "error.html", status, line=line, code=status)


@asynccontextmanager
async def serving(viewer: Viewer, port: int, host: str = ADDRESS) -> AsyncIterator[str]:
    """Serve meanwhile; gives the address, by this machine's name where it listens everywhere. Port 0 takes a free one.

    Raises `OSError`.
    """
    runner = web.AppRunner(viewer.application(), access_log=None, logger=REQUESTS, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        (name, number, *_) = runner.addresses[0]
        if name in EVERYWHERE:
            name = socket.gethostname()
        yield f"http://{f'[{name}]' if ':' in name else name}:{number}/"
    finally:
        await runner.cleanup()
