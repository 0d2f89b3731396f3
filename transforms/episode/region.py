"""Tools that look at one region of an image: how its box is described, read and resolved."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import JsonValue

from gog.schemas import BoxError, EpisodeImage, Evidence, Frame
from gog.schemas.boxes import from_frame, resolve
from gog.transforms.dialect.turns import FRAME_TEXT, Call, Mistake
from gog.transforms.episode.tool import (
    NO_IMAGE_NUMBER,
    EpisodeTools,
    Scene,
    Tool,
    ToolRequest,
    ToolResult,
    read_image_number,
    read_number,
)

_LIMIT: Final = 10**9
_LISTED = re.compile(r"\s*[\[(]?([-+0-9., eE\s]*)[\])]?\s*")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_LABEL: Final = 200
"""Characters of a label."""


class RegionTool(Tool):
    """A tool with a box, a label and the number of an image."""

    looks = True
    says = "label"
    required = ("bbox_2d",)
    crops: ClassVar[bool] = True
    """Whether what comes back has the crop as a further image."""

    def properties(self, frame: Frame) -> dict[str, JsonValue]:
        """A box in the frame, a label, and the number of an image."""
        first = "0 is the original" if self.question_images == 1 else "first those of the question, from 0"
        return {
            "bbox_2d": {
                "type": "array",
                "items": {"type": "number"},
                "minItems": 4,
                "maxItems": 4,
                "description": f"[x1, y1, x2, y2], {FRAME_TEXT[frame]}, origin at the top left.",
            },
            "label": {"type": "string", "description": "What you expect to see there."},
            "image": {"type": "integer", "description": f"Number of the image: {first}, then each crop."},
        }

    def read_tag(self, body: str) -> dict[str, JsonValue]:
        """The numbers of a box."""
        numbers = [float(number) for number in _NUMBER.findall(body)]
        return {"bbox_2d": [int(number) if number.is_integer() else number for number in numbers]}

    def read(self, arguments: Mapping[str, Any]) -> dict[str, JsonValue] | str:
        """`bbox_2d` as four numbers, `label` and `image`, whichever way models write them."""
        raw = _listed(arguments.get("bbox_2d", arguments.get("bbox")))
        if not (isinstance(raw, list) and len(raw) == 4 and all(_is_number(value) for value in raw)):
            return f"{self.name} needs bbox_2d: a list of four numbers [x1, y1, x2, y2]."
        image = read_image_number(arguments)
        if image is None:
            return NO_IMAGE_NUMBER
        label = arguments.get("label")
        words = " ".join(label.split())[:_LABEL].strip() if isinstance(label, str) else ""
        return {"bbox_2d": list(raw), "label": words, "image": image}

    def resolve(self, call: Call, scene: Scene) -> ToolRequest | Mistake:
        """The box on the picture of the question, or on the one that was found."""
        number, values = call.arguments["image"], call.arguments["bbox_2d"]
        assert isinstance(number, int)
        assert isinstance(values, list)
        if number >= len(scene.images):
            last = len(scene.images) - 1
            return Mistake("unknown_image", f"There is no image {number}; the last one is {last}.", call.call_id)
        if self.crops and len(scene.images) >= scene.max_images:
            return Mistake("too_many_images", "No more crops: search otherwise or answer.", call.call_id)
        parent = scene.images[number]
        if scene.spec.frame is Frame.PER_MILLE and all(0 <= float(str(value)) <= 1 for value in values):
            detail = "bbox_2d is in thousandths, 0 to 1000; these look like fractions of 1."
            return Mistake("bad_box", detail, call.call_id)
        try:
            drawn = from_frame([float(str(value)) for value in values], scene.spec, parent.width, parent.height)
            box = resolve(drawn, parent.box)
            found = next((image for image in scene.images if image.sha256 == parent.origin), None)
            return ToolRequest(self, call.call_id, call.arguments, box, parent.on_image, found)
        except BoxError as error:
            return Mistake("bad_box", f"{error}.", call.call_id)


async def crop_of(request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> EpisodeImage:
    """The crop of the region that is asked for."""
    assert request.box is not None
    if request.found is None:
        return await services.cropper.crop(original, request.box)
    crop = await services.cropper.crop(request.found, request.box)
    return crop.model_copy(update={"origin": request.found.origin})


def region_result(evidence: Evidence, crop: EpisodeImage) -> ToolResult:
    """What a look gives back: a crop of a picture that was found is among the evidence's pictures."""
    return ToolResult(evidence, crop if crop.origin is None else None)


def _listed(raw: object) -> object:
    """A box as a list of numbers, where its meaning is plain: numbers as text, two corners, named corners."""
    if isinstance(raw, str):
        listed = _LISTED.fullmatch(raw[:200])
        return [read_number(part) for part in listed[1].split(",")] if listed else None
    if isinstance(raw, dict):
        return [read_number(raw.get(name)) for name in ("x1", "y1", "x2", "y2")]
    if isinstance(raw, list) and 1 <= len(raw) <= 2 and all(isinstance(part, list) and len(part) <= 4 for part in raw):
        raw = [number for part in raw for number in part]
    return [read_number(part) for part in raw] if isinstance(raw, list) and len(raw) == 4 else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LIMIT
