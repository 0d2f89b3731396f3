"""`zoom`: one region, cropped and shown; nothing is searched. Off by default."""

from gog.schemas import Behaviour, EpisodeImage, Evidence
from gog.transforms.episode.region import RegionTool, crop_of, region_result
from gog.transforms.episode.tool import EpisodeTools, ToolRequest, ToolResult, evidence_of


class ZoomTool(RegionTool):
    """Shows the crop of a region. Nobody is asked, so no answer is grounded in it: the model has seen it."""

    name = "zoom"
    about = "Crop one region of an image and look at it, without a search."
    label = "zoom"
    behaviour = Behaviour.GAZE
    hint = "zoom(bbox_2d, label, image), when one region must be seen larger: it is cropped and shown, not searched."
    aliases = ("image_zoom_in_tool",)

    async def run(self, request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> ToolResult:
        """Crop."""
        crop = await crop_of(request, original, services)
        return region_result(evidence_of(request, (), "", crop), crop)

    def show(self, evidence: Evidence, budget: int) -> str:
        """That this is all: the crop is shown beside it."""
        return "zoom shows the region; nothing was searched."


TOOL = ZoomTool()
