"""`image_search`, the glance: what the whole image shows. With `image_query` it also finds pictures by words."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import JsonValue

from gog.schemas import Behaviour, EpisodeImage, FailureClass, Frame
from gog.transforms.dialect.turns import Call, Mistake
from gog.transforms.episode.tool import (
    NO_IMAGE_NUMBER,
    EpisodeTools,
    Scene,
    Tool,
    ToolRequest,
    ToolResult,
    evidence_of,
    read_image_number,
    read_text,
)
from gog.transforms.episode.tools.text_search import MAX_QUERY
from gog.transforms.services.protocols import ImageSearch, ServiceError, words_of


class ImageSearchTool(Tool):
    """Searches with a whole picture of the question: the original, unless another one is named."""

    name = "image_search"
    about = "Search with the whole image: the glance."
    label = "glance"
    says = "query"
    behaviour = Behaviour.GLANCE
    asks = "image_search"
    tag = r"<image_search\s*/?>(?:\s*</image_search>)?|<search>\s*<img>\s*</search>"

    def properties(self, frame: Frame) -> dict[str, JsonValue]:
        """None, or which picture where a question may have several."""
        if self.question_images == 1:
            return {}
        about = "Number of the image of the question to search with; 0 unless it is given."
        return {"image": {"type": "integer", "description": about}}

    def read(self, arguments: Mapping[str, Any]) -> dict[str, JsonValue] | str:
        """`image`, where it is another than the original; nothing where a question has one picture."""
        if self.question_images == 1:
            return {}
        number = read_image_number(arguments)
        if number is None:
            return NO_IMAGE_NUMBER
        return {"image": number} if number else {}

    def resolve(self, call: Call, scene: Scene) -> ToolRequest | Mistake:
        """The picture of the question."""
        number = call.arguments.get("image", 0)
        assert isinstance(number, int)
        if number >= scene.asked_about:
            there = "0" if scene.asked_about == 1 else f"0 to {scene.asked_about - 1}"
            detail = f"image_search searches with a whole image of the question: {there}. For others there is gaze."
            return Mistake("unknown_image", detail, call.call_id)
        return ToolRequest(self, call.call_id, call.arguments, on_image=number)

    def behaviour_of(self, arguments: Mapping[str, JsonValue]) -> Behaviour | None:
        """With words nothing of the image is looked at."""
        return Behaviour.TEXT if arguments.get("query") else Behaviour.GLANCE

    def shown_as(self, arguments: Mapping[str, JsonValue]) -> tuple[str, str]:
        """A glance, or pictures by words."""
        label, query = super().shown_as(arguments)
        return ("pictures by words" if query else label), query

    async def run(self, request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> ToolResult:
        """Ask the image search about the picture."""
        search = services.image_search
        hits = await services.gateway.image_search(search, original.sha256, services.top_k, services.purpose)
        return ToolResult(evidence_of(request, hits, search.id, original))


class WithQueryTool(ImageSearchTool):
    """Searches with the original, or with words."""

    about = "Search with the whole image: the glance. With a query: search for pictures by words."
    takes_words = True
    hint = (
        "image_search(query), when you need to know what something that you can name looks like: it finds pictures "
        "that fit your words, and does not look at the image."
    )
    tag = (
        r"<image_search>([^<]*(?:<(?!/?image_search>)[^<]*)*)</image_search>"
        r"|<image_search\s*/?>|<search>\s*<img>\s*</search>"
    )

    def properties(self, frame: Frame) -> dict[str, JsonValue]:
        """A query, and what there is besides."""
        about = "What pictures are to show; without it: the whole image."
        return {"query": {"type": "string", "description": about}, **super().properties(frame)}

    def read_tag(self, body: str) -> dict[str, JsonValue]:
        """The query, where there is one."""
        return {"query": body.strip()} if body.strip() else {}

    def read(self, arguments: Mapping[str, Any]) -> dict[str, JsonValue] | str:
        """The query on one line, cut; nothing where the whole image is meant."""
        written = arguments.get("query")
        if not written or (isinstance(written, str) and not written.strip()):
            return super().read(arguments)
        query = read_text(written, MAX_QUERY)
        if not query:
            return "image_search takes a query, a text that is not empty, or nothing: then it searches with the image."
        boxed = any(arguments.get(name) is not None for name in ("bbox_2d", "bbox"))
        if boxed or super().read(arguments):
            return "image_search takes a query or looks at the image, not both; gaze searches with a box."
        return {"query": query}

    async def run(self, request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> ToolResult:
        """Ask the image search by words, or about the original."""
        query = str(request.arguments.get("query") or "")
        if not query:
            return await super().run(request, original, services)
        search = words_of(services.image_search)
        if search is None:
            raise ServiceError(FailureClass.SETUP, f"words find no pictures in {services.image_search.id}")
        hits = await services.gateway.text_search(search, query, services.top_k, services.purpose)
        return ToolResult(evidence_of(request, hits, search.id, query=query))


def unanswered(offered: Iterable[Tool], search: ImageSearch) -> str:
    """Why a run cannot begin with these tools and this image search: words would find nothing. Empty where it can."""
    if words_of(search) is not None or not any(tool.takes_words for tool in offered):
        return ""
    return (
        f"episode.image_query: words find no pictures in {search.id}: name a gallery: whose encoder reads texts, too, "
        "or leave it out"
    )


TOOL = ImageSearchTool()
WITH_QUERY = WithQueryTool()
"""What it is where the run's image search answers words (`EpisodeSettings.image_query`)."""
