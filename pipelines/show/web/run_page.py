"""The pages of a run as a whole: what came of it, what left it, and two runs side by side."""

from asyncio import to_thread
from typing import Any, Final

from aiohttp import web

from gog.pipelines.show.settings import settings_of
from gog.pipelines.show.web import questions
from gog.pipelines.show.web.against import results, settings_that_differ
from gog.pipelines.show.web.rejects import PAGE, Left, left_of
from gog.pipelines.show.web.served_lake import NotThereError
from gog.pipelines.show.web.site import Site, number_of
from gog.pipelines.show.web.snapshots import Snapshots

MOST_RUNS: Final = 50
"""Other runs that a page offers to put beside its own."""


class RunPages:
    """The handlers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._snapshots = Snapshots(site.lake)

    def routes(self) -> list[web.RouteDef]:
        """Where they are."""
        return [
            web.get("/runs/{run}/summary", self._summary),
            web.get("/runs/{run}/summary/live", self._live),
            web.get("/runs/{run}/rejects", self._rejects),
            web.get("/runs/{run}/questions/{kind}", self._questions),
            web.get("/runs/{run}/against/{other}", self._against),
        ]

    async def _summary(self, request: web.Request) -> web.StreamResponse:
        run = request.match_info["run"]
        shot = await to_thread(self._snapshots.of, run)
        others = [name for name in await to_thread(self._site.lake.runs) if name != run][:MOST_RUNS]
        config = settings_of(shot.manifest.config)
        return self._site.page(request, "summary.html", run=run, shot=shot, others=others, config=config)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        """What changes on the page of a run, without the page around it."""
        run = request.match_info["run"]
        return self._site.page(request, "summary_part.html", run=run, shot=await to_thread(self._snapshots.of, run))

    async def _rejects(self, request: web.Request) -> web.StreamResponse:
        run, asked = request.match_info["run"], Left.of(request.query)
        number = number_of(request.query.get("page", ""))

        def read() -> tuple[list[dict[str, Any]], int]:
            self._snapshots.manifest(run)
            return left_of(self._site.lake.lake, run, asked, (number - 1) * PAGE)

        rows, total = await to_thread(read)
        pages = max(1, -(-total // PAGE))
        return self._site.page(
            request, "rejects.html", run=run, asked=asked, rows=rows, total=total, number=number, pages=pages
        )

    async def _questions(self, request: web.Request) -> web.StreamResponse:
        run, kind = request.match_info["run"], request.match_info["kind"]
        if kind not in questions.KINDS:
            raise NotThereError(f"there is no list of questions {kind[:50]!r}; known: {', '.join(questions.KINDS)}")
        number = number_of(request.query.get("page", ""))

        def read() -> tuple[list[dict[str, Any]], int]:
            self._snapshots.manifest(run)
            return questions.questions_of(self._site.lake.lake, run, kind, (number - 1) * questions.PAGE)

        rows, total = await to_thread(read)
        pages = max(1, -(-total // questions.PAGE))
        found: dict[str, Any] = {"rows": rows, "total": total, "number": number, "pages": pages}
        return self._site.page(request, "questions.html", run=run, kind=kind, title=questions.KINDS[kind], **found)

    async def _against(self, request: web.Request) -> web.StreamResponse:
        run = request.match_info["run"]
        # One after the other: each may have to be added up.
        sides = [await to_thread(self._snapshots.of, name) for name in (run, request.match_info["other"])]
        first, second = sides
        return self._site.page(
            request,
            "against.html",
            run=run,
            sides=sides,
            settings=settings_that_differ(first.manifest, second.manifest),
            groups=results(first.facts, second.facts),
        )
