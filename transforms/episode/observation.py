"""What a model is told of a tool's result: its text, the numbers of results, and the pictures before it."""

import re
from collections.abc import Sequence

from gog.schemas import WHOLE, EpisodeImage, Evidence, FrameSpec, ImagePart, TextPart
from gog.schemas.boxes import shown_size
from gog.transforms.dialect.observations import estimate_tokens, render_failure
from gog.transforms.episode.tool import Tool, ToolResult

Results = tuple[str | None, ...]
"""Of each result that was shown with a number, from number 1, the picture that it has."""

_NUMBERED = re.compile(r"^\[(\d{1,6})\] ", re.MULTILINE)


def shown(tool: Tool, evidence: Evidence, budget: int, before: Results, numbered: bool) -> tuple[str, Results]:
    """What a tool shows of its evidence, in about `budget` tokens, and the results that have a number.

    Where they are `numbered`, they are so from the first to the last search of an episode, and those that have a
    picture are named below.
    """
    if evidence.failure is not None:
        return render_failure(tool.name, evidence.failure), before
    if not numbered:
        return tool.show(evidence, budget), before
    hits = [hit.model_copy(update={"rank": number}) for number, hit in enumerate(evidence.hits, len(before) + 1)]
    budget -= estimate_tokens(_with_a_picture([hit.rank for hit in hits if hit.thumbnail_sha256]))
    text = tool.show(evidence.model_copy(update={"hits": tuple(hits)}), budget)
    there = {int(number) for number in _NUMBERED.findall(text)} & {hit.rank for hit in hits}
    if not there:
        return text, before
    text += _with_a_picture([hit.rank for hit in hits if hit.thumbnail_sha256 and hit.rank in there])
    return text, (*before, *(hit.thumbnail_sha256 if hit.rank in there else None for hit in hits))


def _with_a_picture(numbers: Sequence[int]) -> str:
    return f"\nResults with a picture: {', '.join(map(str, numbers))}." if numbers else ""


def illustrated(
    text: str, result: ToolResult, images: int, max_images: int, spec: FrameSpec
) -> tuple[tuple[ImagePart | TextPart, ...], tuple[EpisodeImage, ...]]:
    """A message's content, and the pictures in it, which become images of an episode that has `images` of at most
    `max_images`: pictures first, then the text, which begins with the number of each.
    """
    crop = (result.crop,) if result.crop is not None else ()
    found = result.evidence.pictures
    room = max(0, max_images - images - len(crop))
    pictures = (*crop, *found[:room])
    lines = [_head(number, picture, max_images, spec) for number, picture in enumerate(pictures, images)]
    lines.append(text)
    if len(found) > room:
        lines.append("(Further pictures are not shown: there is no room for more images.)")
    return (*(ImagePart(image=picture.sha256) for picture in pictures), TextPart(text="\n".join(lines))), pictures


def _head(number: int, picture: EpisodeImage, max_images: int, spec: FrameSpec) -> str:
    found = picture.origin is not None and picture.box == WHOLE
    width, height = shown_size(spec, picture.width, picture.height)
    head = f"Image {number}: {'a picture that was found' if found else 'the crop'} ({width} x {height} pixels)."
    if number + 1 >= max_images:
        head += f" It is the last {'image' if found else 'crop'}."
    return head
