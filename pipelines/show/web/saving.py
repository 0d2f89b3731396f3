"""The requests that keep a filter of the list under a name, and forget it."""

from asyncio import to_thread
from urllib.parse import parse_qsl

from aiohttp import web

from gog.pipelines.lake.disk import LakeError
from gog.pipelines.lake.review_files import is_text
from gog.pipelines.lake.saved_filters import LONGEST_QUERY, filter_name, remove_filter, save_filter
from gog.pipelines.show.web.filters import Filter
from gog.pipelines.show.web.site import Site, json_body


class Saving:
    """The handlers."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[web.RouteDef]:
        """Where they are."""
        return [web.post("/runs/{run}/filters", self._save), web.post("/runs/{run}/filters/remove", self._remove)]

    async def _save(self, request: web.Request) -> web.StreamResponse:
        run, who, body = request.match_info["run"], self._site.who(request), await json_body(request)
        name, query = _named(body.get("name")), body.get("query")
        if not isinstance(query, str) or len(query) > LONGEST_QUERY or not is_text(query):
            raise web.HTTPUnprocessableEntity(text="query is that of the list's address\n")
        wanted = Filter.of(dict(parse_qsl(query.removeprefix("?"))))
        if wanted.empty:
            raise web.HTTPUnprocessableEntity(text="nothing is filtered\n")

        def write() -> None:
            self._site.lake.index(run).check(wanted)
            try:
                save_filter(self._site.lake.lake, run, name, wanted.query(), who)
            except LakeError as error:
                raise web.HTTPConflict(text=f"{error}\n") from error

        await to_thread(write)
        return web.Response(status=204)

    async def _remove(self, request: web.Request) -> web.StreamResponse:
        run, name = request.match_info["run"], _named((await json_body(request)).get("name"))

        def write() -> None:
            self._site.lake.check(run)
            remove_filter(self._site.lake.lake, run, name)

        await to_thread(write)
        return web.Response(status=204)


def _named(name: object) -> str:
    try:
        return filter_name(name if isinstance(name, str) else "")
    except ValueError as error:
        raise web.HTTPUnprocessableEntity(text=f"{error}\n") from None
