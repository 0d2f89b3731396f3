"""Propose: regions worth a gaze, from the detector and, if asked for, from the teacher."""

import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from gog.prompts import render
from gog.schemas import BoxError, EpisodeImage, ImagePart, Message, Region, Seed, TextPart
from gog.schemas.boxes import from_frame
from gog.transforms.dialect.observations import neutralise
from gog.transforms.dialect.replies import object_in
from gog.transforms.dialect.turns import FRAME_TEXT
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.trajectory import images_of
from gog.transforms.services.protocols import ChatRequest, Detection, Sampling, ServiceError
from gog.transforms.synthesize.regions import drop_twins, merge_regions
from gog.transforms.synthesize.services import Services

_STOP_WORDS = frozenset(
    """a an and are at by did do does for from has have how in is it its many of on or the their this to was were
    what when where which who whose why with shown image picture photo""".split()  # noqa: SIM905
)


class ProposeSettings(BaseModel):
    """How regions are found and merged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=8, ge=0)
    """Regions of a picture, at most."""
    iou: float = Field(default=0.5, gt=0, le=1)
    """Overlap from which two regions are one."""
    min_side: float = Field(default=0.02, ge=0, lt=1)
    """Least side of a region, as a share of the image's."""
    twin_distance: int = Field(default=4, ge=0)
    """Crops whose perceptual hashes differ by at most so many bits are twins."""
    teacher: bool = False
    """Ask the teacher for regions as well."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """Regions of a seed; `failed` names the sources that could not be asked."""

    regions: tuple[Region, ...]
    failed: tuple[str, ...] = ()


async def propose_regions(
    services: Services, seed: Seed, settings: ProposeSettings, episode: EpisodeSettings
) -> Proposed:
    """Regions of the seed's pictures, best first. A failing source leaves the others: the glance is always there."""
    of_each = [await _of_image(services, seed, image, settings, episode) for image in images_of(seed)]
    regions = sorted((region for one in of_each for region in one.regions), key=lambda region: -region.score)
    return Proposed(tuple(regions), tuple(dict.fromkeys(source for one in of_each for source in one.failed)))


async def _of_image(
    services: Services, seed: Seed, image: EpisodeImage, settings: ProposeSettings, episode: EpisodeSettings
) -> Proposed:
    """Regions of one of the question's pictures."""
    found: dict[str, tuple[Detection, ...]] = {}
    failed: list[str] = []
    if services.detector is not None:
        try:
            found[services.detector.id] = await services.gateway.detect(
                services.detector, image.sha256, phrases_of(seed.question), "propose"
            )
        except ServiceError:
            failed.append(services.detector.id)
    if settings.teacher:
        try:
            found[services.teacher.id] = await _teacher_regions(services, seed, image, settings, episode)
        except ServiceError:
            failed.append(services.teacher.id)
    merged = merge_regions(
        seed.seed_id,
        found,
        iou_limit=settings.iou,
        limit=2 * settings.limit,
        min_side=settings.min_side,
        on_image=image.on_image,
    )
    if len(merged) > 1:
        hashes = await services.cropper.hashes(image, [region.box for region in merged])
        by_id = {region.region_id: value for region, value in zip(merged, hashes, strict=True)}
        merged = drop_twins(merged, by_id, distance=settings.twin_distance)
    return Proposed(merged[: settings.limit], tuple(failed))


def phrases_of(question: str) -> tuple[str, ...]:
    """Content words of the question, for detectors that look for phrases."""
    words = re.findall(r"[^\W\d_]{3,}", question.lower())
    return tuple(dict.fromkeys(word for word in words if word not in _STOP_WORDS))[:8]


async def _teacher_regions(
    services: Services, seed: Seed, image: EpisodeImage, settings: ProposeSettings, episode: EpisodeSettings
) -> tuple[Detection, ...]:
    prompt = render(
        "propose/regions",
        limit=settings.limit,
        frame_text=FRAME_TEXT[episode.frame],
        question=neutralise(seed.question),
    )
    message = Message(role="user", content=(ImagePart(image=image.sha256), TextPart(text=prompt.text)))
    request = ChatRequest(messages=(message,), sampling=Sampling(max_tokens=1024), prompt_hash=prompt.hash)
    reply = await services.gateway.chat(services.teacher, request, "propose")
    return parse_regions(reply.message.text, image, episode)


def parse_regions(text: str, image: EpisodeImage, episode: EpisodeSettings) -> tuple[Detection, ...]:
    """Regions out of a model's JSON; entries that are not boxes are left out."""
    entries = (object_in(text) or {}).get("regions")
    regions = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            box = from_frame([float(v) for v in entry["bbox_2d"]], episode.spec, image.width, image.height)
            score = min(1.0, max(0.0, float(entry.get("score", 0.5))))
            label = entry.get("label")
            regions.append(Detection(box, label[:100] if isinstance(label, str) else "", score))
        except (BoxError, TypeError, ValueError, KeyError, AttributeError, OverflowError):
            continue
    return tuple(regions)
