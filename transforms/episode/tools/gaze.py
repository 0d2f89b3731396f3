"""`gaze`: one region, cropped and searched with."""

from gog.schemas import Behaviour, EpisodeImage
from gog.transforms.episode.region import RegionTool, crop_of, region_result
from gog.transforms.episode.tool import EpisodeTools, ToolRequest, ToolResult, evidence_of


class GazeTool(RegionTool):
    """Searches with the crop of a region, and shows it."""

    name = "gaze"
    about = "Crop one region of an image and search with the crop."
    label = "gaze"
    behaviour = Behaviour.GAZE
    asks = "image_search"
    aliases = ("image_zoom_in_tool",)
    tag = r"<gaze>([^<]*)</gaze>"

    async def run(self, request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> ToolResult:
        """Crop, and ask the image search about the crop."""
        crop, search = await crop_of(request, original, services), services.image_search
        hits = await services.gateway.image_search(search, crop.sha256, services.top_k, services.purpose)
        return region_result(evidence_of(request, hits, search.id, crop), crop)


TOOL = GazeTool()
