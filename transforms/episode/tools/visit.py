"""`visit`: one page, read by its address through the run's reader of pages (`pages:`). Off by default."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import JsonValue

from gog.schemas import Behaviour, EpisodeImage, Evidence, FailureClass, Frame, Hit
from gog.transforms.dialect.observations import clip_tokens, one_line
from gog.transforms.episode.tool import EpisodeTools, Tool, ToolRequest, ToolResult, evidence_of, read_text
from gog.transforms.services.pages.reading import relevant
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.public_web import MAX_URL
from gog.transforms.services.search.index_folder import clean

MAX_GOAL: Final = 200
"""Characters of what is looked for."""
MAX_TEXT: Final = 4000
"""Characters of a page that are kept as evidence; of these the model reads what its budget allows."""


class VisitTool(Tool):
    """Reads a page: what it says of the goal, or its beginning. The readers refuse addresses that are not public."""

    name = "visit"
    about = "Read one page of the web by its address."
    label = "visit"
    says = "url"
    behaviour = Behaviour.TEXT
    asks = "page"
    hint = "visit(url, goal), when a page that a search named must be read."
    required = ("url",)

    def properties(self, frame: Frame) -> dict[str, JsonValue]:
        """An address and what is looked for there."""
        return {
            "url": {"type": "string", "description": "Address of the page, as a search showed it."},
            "goal": {"type": "string", "description": "What you look for there."},
        }

    def read(self, arguments: Mapping[str, Any]) -> dict[str, JsonValue] | str:
        """`url` without its fragment, and `goal`."""
        url = read_text(arguments.get("url"), MAX_URL + 1).partition("#")[0]
        if not url.startswith(("http://", "https://")) or " " in url or len(url) > MAX_URL:
            return "visit needs a url: the address of a page, which begins with http:// or https://."
        return {"url": url, "goal": read_text(arguments.get("goal"), MAX_GOAL)}

    async def run(self, request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> ToolResult:
        """Read the page. One that cannot be read is evidence without hits: the run goes on."""
        if services.pages is None:
            raise ServiceError(FailureClass.BAD_REQUEST, "nobody reads pages: set `pages`")
        url, goal = str(request.arguments["url"]), str(request.arguments["goal"])
        try:
            page = await services.gateway.read_page(services.pages, url, services.purpose)
        except ServiceError as error:
            if error.failure.unasked:
                raise
            return ToolResult(evidence_of(request, (), services.pages.id, query=url))
        text = relevant(page.text, goal, MAX_TEXT) or clean(page.text, MAX_TEXT)
        hits = (Hit(rank=1, title=urlsplit(page.url).hostname or "", url=page.url, snippet=text),) if text else ()
        return ToolResult(evidence_of(request, hits, services.pages.id, query=url))

    def show(self, evidence: Evidence, budget: int) -> str:
        """The address and what was read."""
        if not evidence.hits:
            return "visit read nothing: the page is empty, or cannot be read."
        page = evidence.hits[0]
        return clip_tokens(f"visit read {one_line(page.url)[:200]}\n{one_line(page.snippet)}", budget)


TOOL = VisitTool()
