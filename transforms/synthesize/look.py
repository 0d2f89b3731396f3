"""Looking before a plan is drawn: the glance and gazes at the best regions, and what each says of the target."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gog.schemas import AnswerType, EpisodeImage, Evidence, Region, Seed
from gog.schemas.boxes import Box, from_frame, same_place, to_frame
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.tool import EpisodeTools, ToolRequest
from gog.transforms.episode.tools import TOOLS
from gog.transforms.episode.trajectory import images_of
from gog.transforms.verify.grounding import answer_names, hits_text, leading, literal, names_target, target_names

AT_ONCE: Final = 4
"""Gazes that run side by side before it is asked whether one of them names the target."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A search that has run: the glance (no region) or a gaze at a region."""

    region: Region | None
    evidence: Evidence
    titles_target: bool
    """The title of a leading hit names the entity of the seed."""
    names_target: bool
    """A leading hit names the entity or an accepted answer anywhere: no search that missed."""
    holds_answer: bool
    """An accepted answer stands in its hits."""
    on_image: int = 0
    """Number of the picture of the question that it looked at."""

    @property
    def score(self) -> float:
        """Similarity of the best hit, 0 when there is none."""
        return max((hit.score or 0.0 for hit in self.evidence.hits), default=0.0)

    def overlaps(self, other: "Looked") -> bool:
        """Whether both are of one place. A glance is of none but its own, and each picture has its own."""
        if self.on_image != other.on_image:
            return False
        if self.region is None or other.region is None:
            return self.region is other.region
        return same_place(self.region.box, other.region.box)


async def look_around(
    seed: Seed, regions: Sequence[Region], searches: int, episode: EpisodeSettings, tools: EpisodeTools
) -> list[Looked]:
    """Glance at each picture and gaze at the best regions, a few at once, until the title of a hit names the target.

    At most `searches` gazes. Raises `ToolError` when one fails.
    """
    pictures = images_of(seed)
    glances = pictures if "image_search" in episode.tools else ()
    places: list[tuple[EpisodeImage, Region | None]] = [(picture, None) for picture in glances]
    gazes = tuple(regions[:searches]) if "gaze" in episode.tools else ()
    looked: list[Looked] = []
    for start in range(0, max(1, len(gazes)), AT_ONCE):
        some = [(pictures[region.on_image], region) for region in gazes[start : start + AT_ONCE]]
        # All of them end before the first failure is raised: none is left running behind the attempt.
        outcomes = await asyncio.gather(
            *(_look(seed, picture, region, episode, tools) for picture, region in (*places, *some)),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            looked.append(outcome)
        places = []
        if any(look.titles_target for look in looked):
            break
    return looked


async def _look(
    seed: Seed, picture: EpisodeImage, region: Region | None, episode: EpisodeSettings, tools: EpisodeTools
) -> Looked:
    tool = TOOLS["image_search" if region is None else "gaze"]
    box = _as_written(region, picture, episode) if region else None
    request = ToolRequest(tool, "", box=box, on_image=picture.on_image)
    evidence = (await tools.run(request, picture)).evidence
    titles = "\n".join(hit.title for hit in leading(evidence.hits))
    # A number stands in many a snippet by chance.
    holds = seed.answer_type is AnswerType.STRING and literal(seed.answers, hits_text([evidence]))
    return Looked(
        region,
        evidence,
        titles_target=literal(target_names(seed), titles),
        names_target=names_target((*target_names(seed), *answer_names(seed)), evidence),
        holds_answer=holds,
        on_image=picture.on_image,
    )


def _as_written(region: Region, picture: EpisodeImage, episode: EpisodeSettings) -> Box:
    """The region's box as the frame can write it, so that a planned gaze finds the very crop that was searched."""
    values = to_frame(region.box, episode.spec, picture.width, picture.height)
    return from_frame(values, episode.spec, picture.width, picture.height)
