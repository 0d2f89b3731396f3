"""`look`: the picture of a search's result, shown as an image of the episode. Off by default."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from pydantic import JsonValue

from gog.schemas import WHOLE, EpisodeImage, Evidence, FailureClass, Frame
from gog.transforms.dialect.turns import Call, Mistake
from gog.transforms.episode.tool import EpisodeTools, Scene, Tool, ToolRequest, ToolResult, evidence_of
from gog.transforms.images import ImageError
from gog.transforms.services.protocols import ServiceError

_LARGEST: Final = 10**6


class LookTool(Tool):
    """Shows what a search has brought along: nobody is asked, so no answer is grounded in it."""

    name = "look"
    about = "Look at the picture of a result: it becomes an image with a number of its own."
    label = "look"
    says = "result"
    behaviour = None
    takes_result = True
    hint = (
        "look(result), when the picture of a result must be seen: searches say which of their results have one. "
        "It gets the next number, as a crop does."
    )
    required = ("result",)

    def properties(self, frame: Frame) -> dict[str, JsonValue]:
        """The number of a result."""
        return {"result": {"type": "integer", "description": "Number of a result that has a picture."}}

    def read(self, arguments: Mapping[str, Any]) -> dict[str, JsonValue] | str:
        """The number, whichever way models write it."""
        number = arguments.get("result")
        if isinstance(number, list) and len(number) == 1:
            number = number[0]
        if isinstance(number, str) and len(number) < 20 and (digits := number.strip("[]#. ")).isdecimal():
            number = int(digits)
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < _LARGEST:
            return "look needs result: the number of a result that has a picture."
        return {"result": number}

    def resolve(self, call: Call, scene: Scene) -> ToolRequest | Mistake:
        """The picture of that number."""
        number = call.arguments["result"]
        assert isinstance(number, int)
        picture = scene.results[number - 1] if number <= len(scene.results) else None
        if picture is None:
            there = ", ".join(str(number) for number, picture in enumerate(scene.results, 1) if picture)
            detail = f"Result {number} has no picture; {f'these have: {there}' if there else 'none has'}."
            return Mistake("no_picture", detail, call.call_id)
        if len(scene.images) >= scene.max_images:
            return Mistake("too_many_images", "No more images: search otherwise or answer.", call.call_id)
        return ToolRequest(self, call.call_id, call.arguments, picture=picture)

    async def run(self, request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> ToolResult:
        """Measure the picture, which was kept with the search."""
        try:
            width, height = await asyncio.to_thread(services.cropper.size, request.picture)
        except KeyError:
            raise ServiceError(FailureClass.NOT_FOUND, f"the picture {request.picture[:12]} is not kept") from None
        except ImageError:
            return ToolResult(evidence_of(request, (), ""))
        picture = EpisodeImage(sha256=request.picture, width=width, height=height, box=WHOLE, origin=request.picture)
        return ToolResult(evidence_of(request, (), "", pictures=(picture,)))

    def show(self, evidence: Evidence, budget: int) -> str:
        """That this is all: the picture is shown beside it."""
        if not evidence.pictures:
            return "look shows nothing: the picture cannot be read."
        return "look shows the picture of the result; nothing was searched."


TOOL = LookTool()
