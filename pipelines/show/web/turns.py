"""What a page shows of a trajectory: its turns with crops and evidence side by side, its boxes, what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gog.pipelines.show.web.trajectory import Whole
from gog.schemas import Box, EpisodeImage, Evidence, Message, Reflection, Region, Step, Tool, Trajectory
from gog.transforms.services.gateway.prices import Price, find_price

COLOURS: Final = 6
"""Colours of the gazes, in their order; the style sheet has them."""

ACTIONS: Final = {
    "text_search": "Text search",
    "image_search": "Glance",
    "gaze": "Gaze",
    "answer": "Answer",
    "none": "No action",
}
_DETAIL: Final = {"text_search": "query", "gaze": "label", "answer": "text"}
_REFLECTIONS: Final = {
    Reflection.USEFUL: "useful",
    Reflection.OFF_TARGET: "off target",
    Reflection.AMBIGUOUS: "ambiguous",
}


@dataclass(frozen=True, slots=True)
class Rect:
    """A box in pixels of the original, for SVG."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def of(cls, box: Box, width: int, height: int) -> "Rect":
        """The box on an image of so many pixels."""
        x, y = box.x1 * width, box.y1 * height
        return cls(round(x, 2), round(y, 2), round(box.x2 * width - x, 2), round(box.y2 * height - y, 2))


@dataclass(frozen=True, slots=True)
class Gaze:
    """A gaze's box: its number from 1 on, its turn, its colour."""

    number: int
    turn: int
    colour: int
    label: str
    box: Box
    rect: Rect


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the model, and what came back."""

    number: int
    """From 1 on; the turn's own number is one less."""
    action: str
    title: str
    detail: str
    thought: str
    said: str
    """Content beside the reasoning, where it is more than the answer."""
    reflection: str
    train: bool
    error: str
    gaze: Gaze | None
    crop: EpisodeImage | None
    evidence: list[Evidence]
    read: str
    """What the model was shown in return."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A trajectory as a page shows it."""

    whole: Whole
    width: int
    height: int
    image_sha256: str
    gazes: list[Gaze]
    regions: list[tuple[Region, Rect]]
    turns: list[Turn]
    prompts: list[Message]
    """What stands before the first turn: the system's and the user's."""
    cost: float | None
    """US dollars of the teacher's tokens, at the price of the run's config or the list; None where none is known."""


def show(whole: Whole, prices: Mapping[str, Price]) -> Shown:
    """The page's content. Nothing is taken for granted: a lake may hold messages and steps that do not match."""
    trajectory = whole.trajectory
    image = trajectory.images[0] if trajectory.images else None
    seed = whole.seed
    width, height = (image.width, image.height) if image else (seed.width, seed.height) if seed else (1, 1)
    width, height = max(1, width), max(1, height)
    gazes = _gazes(trajectory, width, height)
    price = find_price(trajectory.teacher, prices)
    return Shown(
        whole=whole,
        width=width,
        height=height,
        image_sha256=image.sha256 if image else seed.image_sha256 if seed else "",
        gazes=gazes,
        regions=[(region, Rect.of(region.box, width, height)) for region in whole.regions],
        turns=_turns(whole, {gaze.turn: gaze for gaze in gazes}),
        prompts=[message for message in trajectory.messages[:4] if message.role in ("system", "user")],
        cost=price.cost(trajectory.prompt_tokens, trajectory.completion_tokens) if price else None,
    )


def _gazes(trajectory: Trajectory, width: int, height: int) -> list[Gaze]:
    found: list[Gaze] = []
    for step in trajectory.steps:
        if step.action == "gaze" and step.box is not None:
            label = str(step.arguments.get("label") or "")
            rect = Rect.of(step.box, width, height)
            found.append(Gaze(len(found) + 1, step.turn, len(found) % COLOURS, label, step.box, rect))
    return found


def _turns(whole: Whole, gazes: Mapping[int, Gaze]) -> list[Turn]:
    trajectory = whole.trajectory
    images = {image.sha256: image for image in trajectory.images[1:]}
    exchanges = _exchanges(trajectory.messages)
    turns = []
    for number, step in enumerate(trajectory.steps):
        said, read = exchanges[number] if number < len(exchanges) else (Message(role="assistant"), "")
        found = [whole.evidence[i] for i in step.evidence_ids if i in whole.evidence]
        crops = [images[e.image_sha256] for e in found if e.tool is Tool.GAZE and e.image_sha256 in images]
        turns.append(_turn(step, said, read, found, gazes.get(step.turn), crops[0] if crops else None))
    return turns


def _turn(
    step: Step, said: Message, read: str, found: list[Evidence], gaze: Gaze | None, crop: EpisodeImage | None
) -> Turn:
    detail = step.arguments.get(_DETAIL.get(step.action, ""), "")
    content = said.text.strip()
    if step.action == "answer" and content == f"<answer>{detail}</answer>":
        content = ""
    return Turn(
        number=step.turn + 1,
        action=step.action,
        title=ACTIONS[step.action],
        detail=str(detail),
        thought=said.reasoning_content or "",
        said=content,
        reflection=_REFLECTIONS[step.reflection] if step.reflection else "",
        train=step.train,
        error=step.error,
        gaze=gaze,
        crop=crop,
        evidence=found,
        read=read,
    )


def _exchanges(messages: tuple[Message, ...]) -> list[tuple[Message, str]]:
    """Each message of the model with the text of what came after it."""
    found: list[tuple[Message, str]] = []
    for message in messages:
        if message.role == "assistant":
            found.append((message, ""))
        elif found:
            said, read = found[-1]
            found[-1] = said, f"{read}\n{message.text}".strip()
    return found


def prices_of(config: Mapping[str, Any]) -> dict[str, Price]:
    """The prices that a run's config gives; those that are none are left out."""
    given = config.get("prices")
    prices = {}
    for name, price in given.items() if isinstance(given, dict) else ():
        fields = {"prompt_per_million", "completion_per_million", "per_call"}
        if isinstance(price, dict) and all(k in fields and isinstance(v, int | float) for k, v in price.items()):
            prices[str(name)] = Price(**{k: float(v) for k, v in price.items()})
    return prices
