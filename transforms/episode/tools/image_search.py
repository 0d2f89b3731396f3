"""`image_search`, the glance: what the whole image shows."""

from pydantic import JsonValue

from gog.schemas import Behaviour, EpisodeImage, Frame
from gog.transforms.episode.tool import EpisodeTools, Tool, ToolRequest, ToolResult, evidence_of


class ImageSearchTool(Tool):
    """Searches with the original."""

    name = "image_search"
    about = "Search with the whole image: the glance."
    label = "glance"
    behaviour = Behaviour.GLANCE
    asks = "image_search"
    tag = r"<image_search\s*/?>(?:\s*</image_search>)?|<search>\s*<img>\s*</search>"

    def properties(self, frame: Frame) -> dict[str, JsonValue]:
        """None."""
        return {}

    async def run(self, request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> ToolResult:
        """Ask the image search about the original."""
        search = services.image_search
        hits = await services.gateway.image_search(search, original.sha256, services.top_k, services.purpose)
        return ToolResult(evidence_of(request, hits, search.id, original))


TOOL = ImageSearchTool()
