"""The web application: routes, pages, and the two requests that write."""

import asyncio
import json
import secrets
from asyncio import to_thread
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote, unquote

import duckdb
from aiohttp import web

from gog.pipelines.lake.lake import Lake, LakeError
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.lake.review_files import reviewer_name
from gog.pipelines.lake.reviews import audited, can_answer, review_stats, said_by
from gog.pipelines.show.audit import SAID, TITLES, question_of, told
from gog.pipelines.show.trajectory import TrajectoryView, view_of
from gog.pipelines.show.web.bulk import Bulk, bulk_of, rate_by_chance
from gog.pipelines.show.web.changes import read_change
from gog.pipelines.show.web.filters import QUEUE, Filter, FilterError
from gog.pipelines.show.web.index import Progress, RunIndex
from gog.pipelines.show.web.pace import minutes_left
from gog.pipelines.show.web.pages import environment
from gog.pipelines.show.web.records import attempts_elsewhere, verdicts_of
from gog.pipelines.show.web.security import Handler, add_headers, guard
from gog.pipelines.show.web.served_lake import NotThereError, ServedLake
from gog.schemas.rows import SchemaError
from gog.transforms.evaluate.audit import in_order, report
from gog.transforms.place import is_remote
from gog.transforms.services.request_log import REQUESTS

ADDRESS: Final = "127.0.0.1"
PAGE: Final = 40
"""Seeds on a page of the list."""
AUDITED: Final = 50
"""Verdicts that an audit draws unless its address says otherwise."""
BODY_BYTES: Final = 64 << 10
"""Longest body of a request that is read."""
COMPACT_AFTER_S: Final = 2.0
"""How long after a review the journal goes into the table."""
COOKIE: Final = "gog_reviewer"
STATIC: Final = {
    "app.css": "text/css",
    "app.js": "text/javascript",
    "review.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_FOR_EVER: Final = {"Cache-Control": "private, max-age=31536000, immutable"}


class Viewer:
    """The application's state and its handlers."""

    def __init__(self, lake: Lake, reviewer: str, run: str | None = None) -> None:
        """`reviewer` is who reviews until a browser says otherwise; `run` the one to open first."""
        self.lake = ServedLake(lake)
        self.token = secrets.token_urlsafe(24)
        self._name = lake.root.name if is_remote(str(lake.root)) else lake.root.resolve().name
        self._reviewer = reviewer
        self._run = run
        self._compacting: asyncio.Task[None] | None = None
        self._warming: asyncio.Future[Any] | None = None
        self._static = {name: files("gog.pipelines.show.web").joinpath("static", name).read_bytes() for name in STATIC}
        self._pages = environment(self._static)

    def application(self) -> web.Application:
        """The routes, behind the guard."""
        app = web.Application(client_max_size=BODY_BYTES, middlewares=[guard(self.token), self._errors])
        app.router.add_get("/", self._home)
        app.router.add_get("/runs/{run}", self._list)
        app.router.add_get("/runs/{run}/queue", self._queue)
        app.router.add_get("/runs/{run}/bulk", self._bulk)
        app.router.add_get("/runs/{run}/t/{id}", self._trajectory)
        app.router.add_get("/runs/{run}/seeds/{seed}", self._seed)
        app.router.add_get("/runs/{run}/reviews", self._stats)
        app.router.add_get("/runs/{run}/audit", self._audit)
        app.router.add_get("/compare", self._compare)
        app.router.add_get("/images/{sha256}", self._image)
        app.router.add_get("/thumbs/{sha256}", self._thumb)
        app.router.add_get("/static/{name}", self._static_file)
        app.router.add_post("/runs/{run}/t/{id}/review", self._review)
        app.router.add_post("/runs/{run}/t/{id}/audit", self._say)
        app.router.add_post("/runs/{run}/bulk", self._accept_all)
        app.router.add_post("/reviewer", self._name_reviewer)
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
        return self._page(request, "home.html", runs=states)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        run, wanted, who = request.match_info["run"], Filter.of(request.query), self._who(request)
        number = _number(request.query.get("page", ""))
        index = await to_thread(lambda: self.lake.index(run))
        await to_thread(index.check, wanted)
        listing = await to_thread(lambda: index.seeds_page(wanted, who, (number - 1) * PAGE, PAGE))
        pages = max(1, -(-listing.seeds // PAGE))
        return self._page(
            request, "list.html", run=run, wanted=wanted, listing=listing, index=index, number=number, pages=pages
        )

    async def _trajectory(self, request: web.Request) -> web.StreamResponse:
        run, name = request.match_info["run"], request.match_info["id"]
        wanted, who = Filter.of(request.query), self._who(request)

        def read() -> dict[str, Any]:
            index = self.lake.index(run)
            index.check(wanted)
            view = self._view_of(run, name)
            return self._reviewing(run, name, wanted, who, index) | {
                "can_answer": view.answered,
                "view": view,
                "beside": index.neighbours(name, wanted, who),
                "attempts": index.attempts(view.records.trajectory.seed_id),
                "doubts": index.doubts(name),
            }

        return self._page(request, "trajectory.html", run=run, wanted=wanted, **await to_thread(read))

    def _reviewing(self, run: str, name: str, wanted: Filter, who: str, index: RunIndex) -> dict[str, Any]:
        """What stands in the panel of a review besides the trajectory."""
        reviews = self.lake.reviews(run)
        progress = index.progress(wanted, who)
        left = minutes_left(reviews, who, progress.total - progress.own)
        return {"reviews": reviews.get(name, {}), "progress": progress, "minutes": left}

    async def _queue(self, request: web.Request) -> web.StreamResponse:
        """The first that is left to decide; at the end, a page that says so."""
        run, who = request.match_info["run"], self._who(request)
        wanted = Filter.of(request.query or QUEUE)

        def read() -> tuple[str | None, Progress]:
            index = self.lake.index(run)
            index.check(wanted)
            return index.first(wanted, who), index.progress(wanted, who)

        first, progress = await to_thread(read)
        if first is not None:
            raise web.HTTPFound(f"/runs/{quote(run, safe='')}/t/{quote(first, safe='')}{wanted.query()}")
        return self._page(request, "done.html", run=run, wanted=wanted, progress=progress)

    async def _bulk(self, request: web.Request) -> web.StreamResponse:
        run, most = request.match_info["run"], _number(request.query.get("most", ""), 5)
        return self._page(
            request, "bulk.html", run=run, **await to_thread(self._sampled, run, most, self._who(request))
        )

    def _sampled(self, run: str, most: int, who: str) -> dict[str, Any]:
        """How far the sample of what rule and judge agree on has come; `most` is the highest error in percent."""
        agreed = self.lake.index(run).drawn(agreed=True)
        return {"bulk": bulk_of(agreed, self.lake.reviews(run), most / 100, who), "most": most}

    async def _accept_all(self, request: web.Request) -> web.StreamResponse:
        run, who, body = request.match_info["run"], self._who(request), await _json(request)
        if body.get("take_back") is True:
            changed = await to_thread(self.lake.take_back_all, run, who)
        else:
            most = body.get("most")
            if type(most) is not int or not 0 < most <= 50:
                raise web.HTTPUnprocessableEntity(text="most is the highest error in percent, from 1 to 50\n")
            bulk: Bulk = (await to_thread(self._sampled, run, most, who))["bulk"]
            if not bulk.proven:
                raise web.HTTPConflict(text=f"not accepted: {bulk.advice}\n")
            changed = await to_thread(self.lake.accept_all, run, bulk.left, who)
        self._compact_later()
        return web.json_response({"changed": changed})

    async def _seed(self, request: web.Request) -> web.StreamResponse:
        run, seed = request.match_info["run"], request.match_info["seed"]

        def read() -> dict[str, Any]:
            attempts = self.lake.index(run).attempts(seed)
            if not attempts:
                raise NotThereError(f"the run {run} has no attempt at a seed {seed[:100]!r}")
            others = [other for other in self.lake.runs() if other != run]
            return {
                "attempts": attempts,
                "first": self.lake.records(run, attempts[0]["trajectory_id"]),
                "elsewhere": attempts_elsewhere(self.lake.lake, others, seed),
            }

        return self._page(request, "seed.html", run=run, **await to_thread(read))

    async def _compare(self, request: web.Request) -> web.StreamResponse:
        sides = []
        for side in ("a", "b"):
            run, _, name = request.query.get(side, "").partition("/")
            sides.append((run, name))
        # One after the other: both may need a list that is not in memory.
        views = [(run, await to_thread(self._view_of, run, name)) for run, name in sides]
        reviews = [(await to_thread(self.lake.reviews, run)).get(name, {}) for run, name in sides]
        return self._page(request, "compare.html", run=sides[0][0], sides=views, reviews_of=reviews)

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        run = request.match_info["run"]

        def read() -> dict[str, Any]:
            latest = self.lake.reviews(run)
            kept = self.lake.index(run).drawn(agreed=False)
            return {
                "stats": review_stats(latest, verdicts_of(self.lake.lake, run, list(latest))),
                "kept": len(kept),
                "by_chance": rate_by_chance([name for name, _ in kept], latest),
            }

        return self._page(request, "reviews.html", run=run, **await to_thread(read))

    async def _audit(self, request: web.Request) -> web.StreamResponse:
        run, who, query = request.match_info["run"], self._who(request), request.query
        size, seed = _number(query.get("size", ""), AUDITED), _number(query.get("seed", ""), 0)

        def read() -> dict[str, Any]:
            groups, sample = self.lake.sample(run, size, seed)
            audits = self.lake.audits(run)
            said = said_by(who, audits)
            order, front = in_order(sample, said)
            at = min(_number(query.get("place", ""), front + 1), len(order)) - 1
            values = {"order": order, "at": at, "front": front, "size": size, "seed": seed, "said": said}
            if "report" in query or (front == len(order) and "place" not in query):
                words = audited({name: by for name, by in audits.items() if name in groups})
                return values | {"report": report(groups, words.said), "words": words}
            view = self._view_of(run, order[at])
            return values | {"report": None, "view": view, "question": question_of(view.records)}

        return self._page(request, "audit.html", run=run, TITLES=TITLES, told=told, **await to_thread(read))

    async def _say(self, request: web.Request) -> web.StreamResponse:
        run, name, who = request.match_info["run"], request.match_info["id"], self._who(request)
        outcome = SAID.get(str((await _json(request)).get("word")))
        if outcome is None:
            raise web.HTTPUnprocessableEntity(text=f"an audit says one of {', '.join(SAID)}\n")
        trajectory = (await to_thread(self.lake.records, run, name)).trajectory
        await to_thread(self.lake.add_audit, run, name, trajectory.seed_id, who, outcome)
        self._compact_later()
        return web.Response(status=204)

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
        return web.Response(body=self._static[name], content_type=STATIC[name], charset="utf-8", headers=_FOR_EVER)

    async def _review(self, request: web.Request) -> web.StreamResponse:
        run, name, who = request.match_info["run"], request.match_info["id"], self._who(request)
        body, wanted = await _json(request), Filter.of(request.query)

        def write() -> dict[str, Any]:
            records = self.lake.records(run, name)
            trajectory = records.trajectory
            gazes = {step.turn for step in trajectory.steps if step.box}
            answers = can_answer(trajectory)
            self.lake.add_review(run, name, trajectory.seed_id, who, read_change(body, gazes, answers=answers))
            index = self.lake.index(run)
            kept = records.curated is not None
            return self._reviewing(run, name, wanted, who, index) | {"can_answer": answers, "kept": kept}

        try:
            shown = await to_thread(write)
        except FilterError:
            raise
        except (TypeError, ValueError) as error:
            if isinstance(error, SchemaError):
                raise
            raise web.HTTPUnprocessableEntity(text=f"{one_line(error, 200)}\n") from None
        self._compact_later()
        return self._page(request, "review.html", run=run, wanted=wanted, **shown)

    async def _name_reviewer(self, request: web.Request) -> web.StreamResponse:
        wanted = (await _json(request)).get("name")
        try:
            name = reviewer_name(wanted if isinstance(wanted, str) else "")
        except ValueError as error:
            raise web.HTTPUnprocessableEntity(text=f"{error}\n") from None
        response = web.Response(status=204)
        response.set_cookie(COOKIE, quote(name), max_age=31536000, httponly=True, samesite="Strict", path="/")
        return response

    async def _warm(self, app: web.Application) -> None:
        """Make the first run's list while the browser is being opened; what goes wrong is told when it is asked for."""
        if self._run is not None:
            self._warming = asyncio.gather(to_thread(self.lake.index, self._run), return_exceptions=True)

    def _compact_later(self) -> None:
        if self._compacting is None or self._compacting.done():
            self._compacting = asyncio.create_task(self._compact_soon())

    async def _compact_soon(self) -> None:
        await asyncio.sleep(COMPACT_AFTER_S)
        await to_thread(self.lake.compact)

    async def _close(self, app: web.Application) -> None:
        if self._warming is not None:
            await self._warming
        if self._compacting is not None:
            self._compacting.cancel()
            with suppress(asyncio.CancelledError):
                await self._compacting
        await to_thread(self.lake.close)

    def _view_of(self, run: str, name: str) -> TrajectoryView:
        return view_of(self.lake.records(run, name), self.lake.prices(run))

    def _who(self, request: web.Request) -> str:
        try:
            return reviewer_name(unquote(request.cookies.get(COOKIE, "")))
        except ValueError:
            return self._reviewer

    def _page(self, request: web.Request, template: str, status: int = 200, **values: Any) -> web.Response:
        common = {"token": self.token, "who": self._who(request), "lake": self._name, "request": request}
        page = self._pages.get_template(template).render(**common, **values)
        return web.Response(text=page, content_type="text/html", status=status)

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
        return self._page(request, "error.html", status, line=line, code=status)


async def _json(request: web.Request) -> Mapping[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError, web.RequestPayloadError):
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body is no JSON object\n")
    return body


def _number(words: str, otherwise: int = 1) -> int:
    return int(words) if words.isascii() and words.isdigit() and 0 < len(words) < 7 and int(words) else otherwise


@asynccontextmanager
async def serving(viewer: Viewer, port: int) -> AsyncIterator[str]:
    """Serve on the loopback meanwhile; gives the address. Port 0 takes a free one. Raises `OSError`."""
    runner = web.AppRunner(viewer.application(), access_log=None, logger=REQUESTS, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, ADDRESS, port)
        await site.start()
        (name, number, *_) = runner.addresses[0]
        yield f"http://{name}:{number}/"
    finally:
        await runner.cleanup()
