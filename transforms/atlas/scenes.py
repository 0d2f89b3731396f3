"""The seeded composer: any number of scenes, each decided by its seed and index alone."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from PIL import Image

from gog.schemas import AnswerType, Box
from gog.transforms.atlas import paint
from gog.transforms.atlas.facts import Country, by_code, flag, members, partitions
from gog.transforms.atlas.questions import FACTS, Asked, ask_count, ask_fact, ask_name, facts_of
from gog.transforms.atlas.references import CORNERS, ENDS, clear_references, guess

Kind = Literal["direct", "glance", "gaze", "hop", "trap"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DEFAULT_MIX: dict[Kind, float] = {"direct": 0.2, "glance": 0.15, "gaze": 0.3, "hop": 0.2, "trap": 0.15}
SIZES = ((1024, 768), (1024, 768), (1152, 864), (960, 800), (768, 1024), (896, 896))
TRIES = 400


@dataclass(frozen=True)
class Scene:
    """A picture with a question about it. `boxes`, `decoys` and `target_index` are for tests, never for the engine.

    `boxes` has every flag with its country's code; `target_index` counts in it (None for a count). `reference` is
    empty when the question is about the only flag or about all.
    """

    image: Image.Image
    kind: Kind
    asked: Asked
    entity: str | None
    gold_page: str | None
    boxes: tuple[tuple[str, Box], ...]
    decoys: tuple[Box, ...]
    target_index: int | None
    reference: str
    fact: str
    partition: int
    quality: int

    @property
    def question(self) -> str:
        """The question."""
        return self.asked.question

    @property
    def answers(self) -> tuple[str, ...]:
        """Every accepted form of the answer."""
        return self.asked.answers

    @property
    def answer_type(self) -> AnswerType:
        """How the answer is compared."""
        return self.asked.answer_type


@dataclass
class _Item:
    """A flag (or a decoy: no code) with its place in pixels; the box is the picture's own, without its frame."""

    code: str
    hung: paint.Hung
    at: tuple[int, int]

    @property
    def outer(self) -> paint.Rect:
        x, y = self.at
        return x, y, x + self.hung.patch.width, y + self.hung.patch.height

    def box(self, width: int, height: int) -> Box:
        left, top, right, bottom = self.hung.inner
        x, y = self.at
        return Box((x + left) / width, (y + top) / height, (x + right) / width, (y + bottom) / height)


def compose_scene(kind: Kind, seed: int, index: int, *, held_out: bool = False) -> Scene:
    """Scene number `index` of a seed; equal arguments give equal pixels, in any order and any process."""
    rng = random.Random(f"atlas:{seed}:{index}:{kind}:{held_out}")
    part = rng.choice(partitions(held_out))
    width, height = rng.choice(SIZES[:3] if kind == "glance" else SIZES)
    for _ in range(TRIES):
        scene = _try(kind, rng, part, width, height)
        if scene is not None:
            return scene
    raise RuntimeError(f"no {kind} scene fits seed {seed}, index {index}")


def _try(kind: Kind, rng: random.Random, part: int, width: int, height: int) -> Scene | None:
    chosen = _countries(kind, rng, part)
    items = _place(kind, rng, chosen, width, height)
    if items is None:
        return None
    boxes = [item.box(width, height) for item in items]
    reference, target = _point(kind, rng, chosen, boxes)
    if target is None and kind != "direct":
        return None
    decoys = _decoys(kind, rng, items, reference, width, height)
    if decoys is None:
        return None
    fact, asked = _ask(kind, rng, chosen, target, reference)
    if asked is None:
        return None
    image = _draw(kind, rng, items + decoys, width, height)
    country = chosen[target] if target is not None else None
    return Scene(
        image=image,
        kind=kind,
        asked=asked,
        entity=country.name if country else None,
        gold_page=country.page if country else None,
        boxes=tuple((item.code, box) for item, box in zip(items, boxes, strict=True)),
        decoys=tuple(item.box(width, height) for item in decoys),
        target_index=target,
        reference=reference,
        fact=fact,
        partition=part,
        quality=rng.randint(82, 92),
    )


def _countries(kind: Kind, rng: random.Random, part: int) -> list[Country]:
    """The countries of a scene: no two twins together; a trap begins with a target and a look-alike of it."""
    pool = list(members(part))
    rng.shuffle(pool)
    if kind == "glance":
        return pool[:1]
    count = rng.randint(1, 7) if kind == "direct" else rng.randint(3, 6)
    chosen: list[Country] = []
    if kind == "trap":
        first = next(c for c in pool if c.lookalikes and not c.twins)
        chosen = [first, by_code()[rng.choice(first.lookalikes)]]
    for country in pool:
        if len(chosen) < count and country not in chosen and not any(c.code in country.twins for c in chosen):
            chosen.append(country)
    return chosen


def _place(kind: Kind, rng: random.Random, chosen: Sequence[Country], width: int, height: int) -> list[_Item] | None:
    items: list[_Item] = []
    for number, country in enumerate(chosen):
        if kind == "glance":
            w = round(min(width, height * 1.25) * rng.uniform(0.8, 0.93))
        elif kind == "trap" and number < 2:
            w = rng.randint(90, 140) if number == 0 else rng.randint(160, 230)
        else:
            w = rng.randint(90, 220)
        item = _fit(kind, rng, flag(country.code), country.code, w, items, (width, height))
        if item is None:
            return None
        items.append(item)
    return items


def _fit(
    kind: Kind,
    rng: random.Random,
    picture: Image.Image,
    code: str,
    w: int,
    taken: Sequence[_Item],
    size: tuple[int, int],
    tries: int = 40,
) -> _Item | None:
    """The picture hung at a free place, or None."""
    tilt = rng.uniform(-5, 5) if rng.random() < 0.35 and kind != "glance" else 0.0
    hung = paint.hang(rng, picture, w, round(w / rng.uniform(1.3, 1.5)), tilt)
    gap = 14
    room_x, room_y = size[0] - hung.patch.width - gap, size[1] - hung.patch.height - gap
    if room_x < gap or room_y < gap:
        return None
    for _ in range(tries):
        x, y = rng.randint(gap, room_x), rng.randint(gap, room_y)
        if kind == "glance":
            x, y = ((gap + room) // 2 + rng.randint(-18, 18) for room in (room_x, room_y))
        item = _Item(code, hung, (x, y))
        if not any(_touch(item.outer, other.outer, gap) for other in taken):
            return item
    return None


def _touch(a: paint.Rect, b: paint.Rect, gap: int) -> bool:
    return a[0] - gap < b[2] and b[0] - gap < a[2] and a[1] - gap < b[3] and b[1] - gap < a[3]


def _point(kind: Kind, rng: random.Random, chosen: Sequence[Country], boxes: Sequence[Box]) -> tuple[str, int | None]:
    if kind == "direct":
        return "", None
    if kind == "glance":
        return "", 0
    references = clear_references(boxes)
    if kind == "trap":
        references = [(reference, index) for reference, index in references if index == 0]
    if kind == "hop":
        references = [(reference, index) for reference, index in references if facts_of(chosen[index])]
    if not references:
        return "", None
    families = sorted({_family(reference) for reference, _ in references})
    family = rng.choice(families)
    return rng.choice([pair for pair in references if _family(pair[0]) == family])


def _family(reference: str) -> str:
    if reference in CORNERS or reference == "centre":
        return "corner"
    return "end" if reference in ENDS else reference.split()[0]


def _decoys(
    kind: Kind, rng: random.Random, items: Sequence[_Item], reference: str, width: int, height: int
) -> list[_Item] | None:
    """Cards that are no flags. In most traps one stands where a hasty look takes it for the flag that is meant."""
    trap = kind == "trap" and rng.random() < 0.7
    if not trap and (kind == "glance" or rng.random() > 0.25):
        return []
    boxes = [item.box(width, height) for item in items]
    for _ in range(40):
        w = rng.randint(90, 220) if reference != "largest" else rng.randint(200, 280)
        card = paint.decoy(rng, w, round(w / 1.35))
        item = _fit(kind, rng, card, "", w, items, (width, height), tries=6)
        if item is None:
            continue
        misleads = bool(reference) and guess(reference, [*boxes, item.box(width, height)]) == len(boxes)
        if misleads or not trap:
            return [item]
    return None if trap else []


def _ask(
    kind: Kind, rng: random.Random, chosen: Sequence[Country], target: int | None, reference: str
) -> tuple[str, Asked | None]:
    if target is None:
        return "", ask_count(rng, len(chosen))
    country = chosen[target]
    share = {"glance": 0.35, "hop": 1.0, "trap": 0.3}.get(kind, 0.0)
    facts = facts_of(country)
    if rng.random() >= share or (not facts and kind != "hop"):
        return "", ask_name(rng, reference, country)
    if not facts:
        return "", None
    fact = rng.choices(facts, [FACTS[f] for f in facts])[0]
    return fact, ask_fact(rng, reference, country, fact)


def _draw(kind: Kind, rng: random.Random, items: Sequence[_Item], width: int, height: int) -> Image.Image:
    image = paint.background(rng, width, height)
    count = rng.randint(0, 3) if kind == "glance" else rng.randint(6, 22)
    paint.clutter(rng, image, [item.outer for item in items], count)
    for item in items:
        paint.put(rng, image, item.hung, item.at)
    return image
