"""Pages and requests of people's work: the queue, reviews, bulk, agreement and audits."""

from asyncio import to_thread
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from gog.pipelines.lake.one_line import one_line
from gog.pipelines.lake.review_files import reviewer_name
from gog.pipelines.lake.reviews import audited, can_answer, review_stats, said_by
from gog.pipelines.show.audit import SAID, TITLES, question_of, told
from gog.pipelines.show.web.access import guest
from gog.pipelines.show.web.bulk import Bulk, bulk_of, rate_by_chance
from gog.pipelines.show.web.changes import read_change
from gog.pipelines.show.web.filters import QUEUE, Filter, FilterError
from gog.pipelines.show.web.index import Progress, RunIndex
from gog.pipelines.show.web.pace import minutes_left
from gog.pipelines.show.web.records import verdicts_of
from gog.pipelines.show.web.site import COOKIE, Site, json_body, number_of
from gog.schemas.rows import SchemaError
from gog.transforms.episode.steps import by_turn
from gog.transforms.evaluate.audit import in_order, report

AUDITED: Final = 50
"""Verdicts that an audit draws unless its address says otherwise."""


class Reviewing:
    """The handlers."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[web.RouteDef]:
        """Where they are."""
        return [
            web.get("/runs/{run}/queue", self._queue),
            web.get("/runs/{run}/bulk", self._bulk),
            web.get("/runs/{run}/reviews", self._stats),
            web.get("/runs/{run}/audit", self._audit),
            web.post("/runs/{run}/t/{id}/review", self._review),
            web.post("/runs/{run}/t/{id}/audit", self._say),
            web.post("/runs/{run}/bulk", self._accept_all),
            web.post("/reviewer", self._name_reviewer),
        ]

    async def _queue(self, request: web.Request) -> web.StreamResponse:
        """The first that is left to decide; at the end, a page that says so."""
        run, who = request.match_info["run"], self._site.who(request)
        wanted = Filter.of(request.query or QUEUE)

        def read() -> tuple[str | None, Progress]:
            index = self._site.lake.index(run)
            index.check(wanted)
            return index.first(wanted, who), index.progress(wanted, who)

        first, progress = await to_thread(read)
        if first is not None:
            raise web.HTTPFound(f"/runs/{quote(run, safe='')}/t/{quote(first, safe='')}{wanted.query()}")
        return self._site.page(request, "done.html", run=run, wanted=wanted, progress=progress)

    async def _bulk(self, request: web.Request) -> web.StreamResponse:
        run, most = request.match_info["run"], number_of(request.query.get("most", ""), 5)
        return self._site.page(
            request, "bulk.html", run=run, **await to_thread(self._sampled, run, most, self._site.who(request))
        )

    def _sampled(self, run: str, most: int, who: str) -> dict[str, Any]:
        """How far the sample of what rule and judge agree on has come; `most` is the highest error in percent."""
        agreed = self._site.lake.index(run).drawn(agreed=True)
        return {"bulk": bulk_of(agreed, self._site.lake.reviews(run), most / 100, who), "most": most}

    async def _accept_all(self, request: web.Request) -> web.StreamResponse:
        run, who, body = request.match_info["run"], self._site.who(request), await json_body(request)
        if body.get("take_back") is True:
            changed = await to_thread(self._site.lake.take_back_all, run, who)
        else:
            most = body.get("most")
            if type(most) is not int or not 0 < most <= 50:
                raise web.HTTPUnprocessableEntity(text="most is the highest error in percent, from 1 to 50\n")
            bulk: Bulk = (await to_thread(self._sampled, run, most, who))["bulk"]
            if not bulk.proven:
                raise web.HTTPConflict(text=f"not accepted: {bulk.advice}\n")
            changed = await to_thread(self._site.lake.accept_all, run, bulk.left, who)
        self._site.compact_later()
        return web.json_response({"changed": changed})

    async def _review(self, request: web.Request) -> web.StreamResponse:
        run, name, who = request.match_info["run"], request.match_info["id"], self._site.who(request)
        body, wanted = await json_body(request), Filter.of(request.query)

        def write() -> dict[str, Any]:
            records = self._site.lake.records(run, name)
            trajectory = records.trajectory
            turns = by_turn(trajectory.steps)
            gazes = {(step.turn, call): step for turn in turns for call, step in enumerate(turn) if step.box}
            answers = can_answer(trajectory)
            self._site.lake.add_review(run, name, trajectory.seed_id, who, read_change(body, gazes, answers=answers))
            index = self._site.lake.index(run)
            kept = records.curated is not None
            return self.panel(run, name, wanted, who, index) | {"can_answer": answers, "kept": kept}

        try:
            shown = await to_thread(write)
        except FilterError:
            raise
        except (TypeError, ValueError) as error:
            if isinstance(error, SchemaError):
                raise
            raise web.HTTPUnprocessableEntity(text=f"{one_line(error, 200)}\n") from None
        self._site.compact_later()
        return self._site.page(request, "review.html", run=run, wanted=wanted, **shown)

    async def _name_reviewer(self, request: web.Request) -> web.StreamResponse:
        if guest().user is not None:
            raise web.HTTPForbidden(text="your login says who reviews\n")
        wanted = (await json_body(request)).get("name")
        try:
            name = reviewer_name(wanted if isinstance(wanted, str) else "")
        except ValueError as error:
            raise web.HTTPUnprocessableEntity(text=f"{error}\n") from None
        response = web.Response(status=204)
        response.set_cookie(COOKIE, quote(name), max_age=31536000, httponly=True, samesite="Strict", path="/")
        return response

    def panel(self, run: str, name: str, wanted: Filter, who: str, index: RunIndex) -> dict[str, Any]:
        """What stands in the panel of a review besides the trajectory."""
        reviews = self._site.lake.reviews(run)
        progress = index.progress(wanted, who)
        left = minutes_left(reviews, who, progress.total - progress.own)
        return {"reviews": reviews.get(name, {}), "progress": progress, "minutes": left}

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        run = request.match_info["run"]

        def read() -> dict[str, Any]:
            latest = self._site.lake.reviews(run)
            kept = self._site.lake.index(run).drawn(agreed=False)
            return {
                "stats": review_stats(latest, verdicts_of(self._site.lake.lake, run, list(latest))),
                "kept": len(kept),
                "by_chance": rate_by_chance([name for name, _ in kept], latest),
            }

        return self._site.page(request, "reviews.html", run=run, **await to_thread(read))

    async def _audit(self, request: web.Request) -> web.StreamResponse:
        run, who, query = request.match_info["run"], self._site.who(request), request.query
        size, seed = number_of(query.get("size", ""), AUDITED), number_of(query.get("seed", ""), 0)

        def read() -> dict[str, Any]:
            groups, sample = self._site.lake.sample(run, size, seed)
            audits = self._site.lake.audits(run)
            said = said_by(who, audits)
            order, front = in_order(sample, said)
            at = min(number_of(query.get("place", ""), front + 1), len(order)) - 1
            values = {"order": order, "at": at, "front": front, "size": size, "seed": seed, "said": said}
            if "report" in query or not guest().writes or (front == len(order) and "place" not in query):
                words = audited({name: by for name, by in audits.items() if name in groups})
                return values | {"report": report(groups, words.said), "words": words}
            view = self._site.view_of(run, order[at])
            return values | {"report": None, "view": view, "question": question_of(view.records)}

        return self._site.page(request, "audit.html", run=run, TITLES=TITLES, told=told, **await to_thread(read))

    async def _say(self, request: web.Request) -> web.StreamResponse:
        run, name, who = request.match_info["run"], request.match_info["id"], self._site.who(request)
        outcome = SAID.get(str((await json_body(request)).get("word")))
        if outcome is None:
            raise web.HTTPUnprocessableEntity(text=f"an audit says one of {', '.join(SAID)}\n")
        trajectory = (await to_thread(self._site.lake.records, run, name)).trajectory
        await to_thread(self._site.lake.add_audit, run, name, trajectory.seed_id, who, outcome)
        self._site.compact_later()
        return web.Response(status=204)
