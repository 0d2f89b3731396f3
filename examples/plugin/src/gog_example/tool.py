"""A tool of the agent: `measure` tells how large a region is, in pixels, and asks nobody.

episode: {tools: [text_search, image_search, gaze, measure]}
"""

from gog.schemas import Behaviour, EpisodeImage, Evidence, Hit
from gog.transforms.episode.region import RegionTool
from gog.transforms.episode.tool import EpisodeTools, ToolRequest, ToolResult, evidence_of


class Measure(RegionTool):
    """A box, a label and the number of an image come from `RegionTool`: described, read and resolved."""

    name = "measure"
    about = "Measure one region of an image, in pixels of the original."
    label = "measure"
    behaviour = Behaviour.GAZE
    hint = "measure(bbox_2d, label, image), when it matters how large something is."
    crops = False

    async def run(self, request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> ToolResult:
        """The size as a hit; an empty provider says that nobody was asked."""
        assert request.box is not None
        x1, y1, x2, y2 = request.box
        size = f"{round((x2 - x1) * original.width)} x {round((y2 - y1) * original.height)} pixels"
        return ToolResult(evidence_of(request, (Hit(rank=1, title=size, url=""),), ""))

    def show(self, evidence: Evidence, budget: int) -> str:
        """What the model reads."""
        return f"The region is {evidence.hits[0].title}."


measure = Measure()
