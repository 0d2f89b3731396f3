"""`text_search`: a fact by words."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import JsonValue

from gog.schemas import Behaviour, EpisodeImage, Frame
from gog.transforms.episode.tool import EpisodeTools, Tool, ToolRequest, ToolResult, evidence_of, read_text

MAX_QUERY: Final = 400
"""Characters of a text query."""


class TextSearchTool(Tool):
    """Searches text; what it found is one line a hit, with a snippet."""

    name = "text_search"
    about = "Search text for a fact."
    label = "text search"
    says = "query"
    behaviour = Behaviour.TEXT
    asks = "text_search"
    required = ("query",)
    aliases = ("search",)
    tag = r"<text_search>([^<]*(?:<(?!/?text_search>)[^<]*)*)</text_search>"

    def properties(self, frame: Frame) -> dict[str, JsonValue]:
        """A query."""
        return {"query": {"type": "string", "description": "What to search for."}}

    def read_tag(self, body: str) -> dict[str, JsonValue]:
        """The query."""
        return {"query": body.strip()}

    def read(self, arguments: Mapping[str, Any]) -> dict[str, JsonValue] | str:
        """The query on one line, cut."""
        query = read_text(arguments.get("query"), MAX_QUERY)
        return {"query": query} if query else "text_search needs a query: a text that is not empty."

    async def run(self, request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> ToolResult:
        """Ask the text search."""
        query = str(request.arguments["query"])
        hits = await services.gateway.text_search(services.text_search, query, services.top_k, services.purpose)
        return ToolResult(evidence_of(request, hits, services.text_search.id, query=query))


TOOL = TextSearchTool()
