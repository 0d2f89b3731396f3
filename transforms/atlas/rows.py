"""Source rows of the bundled world, for the ingest pipeline: what a scene shows and asks, without its boxes."""

import random
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gog.schemas import AnswerType
from gog.transforms.atlas.scenes import DEFAULT_MIX, Kind, Scene, compose_scene
from gog.transforms.images import jpeg

LICENCE = "MIT AND ODbL-1.0"


class AtlasRow(NamedTuple):
    """A row. `image` is a JPEG; `answer_low` and `answer_high` bound an accepted number; `split_hint`: partition."""

    id: str
    question: str
    answers: tuple[str, ...]
    answer_type: AnswerType
    entity: str | None
    gold_page: str | None
    category: str
    image: bytes
    licence: str
    source_url: str
    split_hint: str
    extra: dict[str, Any]
    answer_unit: str = ""
    answer_low: float | None = None
    answer_high: float | None = None


def encode(scene: Scene) -> bytes:
    """The scene's picture as a JPEG of the scene's quality."""
    return jpeg(scene.image, scene.quality, subsampling=-1)


def atlas_row(seed: int, index: int, *, held_out: bool = False, kinds: Mapping[Kind, float] | None = None) -> AtlasRow:
    """Row number `index` of a seed; its kind is drawn from the weights of `kinds`."""
    mix = DEFAULT_MIX if kinds is None else kinds
    kind = random.Random(f"kind:{seed}:{index}").choices(list(mix), list(mix.values()))[0]
    scene = compose_scene(kind, seed, index, held_out=held_out)
    side = "held-out" if held_out else "train"
    return AtlasRow(
        id=f"atlas-{side}-{seed}-{index:06d}",
        question=scene.question,
        answers=scene.answers,
        answer_type=scene.answer_type,
        entity=scene.entity,
        gold_page=scene.gold_page,
        category=scene.kind,
        image=encode(scene),
        licence=LICENCE,
        source_url=f"atlas://scene/{side}/{seed}/{index}",
        split_hint=f"partition-{scene.partition}",
        extra={"kind": kind, "reference": scene.reference, "fact": scene.fact},
        answer_unit=scene.asked.unit,
        answer_low=scene.asked.low,
        answer_high=scene.asked.high,
    )


def atlas_rows(
    count: int, seed: int, held_out: bool = False, kinds: Mapping[Kind, float] | None = None
) -> Iterator[AtlasRow]:
    """Rows 0 to `count` - 1 of a seed, one at a time; more rows never change earlier ones."""
    for index in range(count):
        yield atlas_row(seed, index, held_out=held_out, kinds=kinds)
