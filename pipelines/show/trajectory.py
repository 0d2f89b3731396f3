"""A trajectory as people see it: one value, made from its records, that sheet, report, view and terminal draw.

Nothing is taken for granted: a lake may hold messages and steps that do not match. All text is as it came from
outside; who draws it cuts it and makes it harmless.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gog.pipelines.lake.reviews import can_answer
from gog.pipelines.show.judgement import behaviour_words, judgement_of, payment_of
from gog.schemas import (
    Box,
    Complexity,
    Curated,
    EpisodeImage,
    Evidence,
    Hit,
    Message,
    Region,
    Reject,
    Seed,
    Step,
    ToolCall,
    Trajectory,
    Verdict,
    key_of,
)
from gog.transforms.dialect.turns import ANSWER_TAG
from gog.transforms.episode.steps import by_turn, is_glance
from gog.transforms.episode.tool import question_images
from gog.transforms.episode.tools import shown_as
from gog.transforms.episode.trajectory import images_of
from gog.transforms.services.gateway.prices import Price, find_price

COLOURS: Final = 6
"""Colours of the gazes, in their order."""


@dataclass(frozen=True, slots=True)
class Records:
    """A trajectory with everything that belongs to it; what is not known is None or empty."""

    trajectory: Trajectory
    seed: Seed | None = None
    verdict: Verdict | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    """By id; more than the trajectory's own does no harm."""
    regions: Sequence[Region] = ()
    complexity: Sequence[Complexity] = ()
    rejects: Sequence[Reject] = ()
    curated: Curated | None = None


@dataclass(frozen=True, slots=True)
class Gaze:
    """A gaze's box on a picture of the question."""

    number: int
    """Among the gazes, from 1 on."""
    turn: int
    """Number of its turn, from 0 on."""
    call: int
    """Among the calls of the turn, from 0 on."""
    name: str
    """Of its turn, or of the call in it, as people count."""
    label: str
    box: Box
    on_image: int = 0
    """Number of that picture."""

    @property
    def key(self) -> str:
        """What tells it from the others, in pages and in reviews."""
        return key_of(self.turn, self.call)

    @property
    def colour(self) -> int:
        """Which of the colours it has, from 0 on."""
        return (self.number - 1) % COLOURS


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture of the question with what lies on it."""

    number: int
    """From 0 on, as the model counts the images of the episode."""
    sha256: str
    """Empty where it is not known."""
    width: int
    height: int
    """Pixels, at least 1."""
    gazes: tuple[Gaze, ...]
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class Reflection:
    """What a turn makes of an earlier turn's result."""

    turn: int
    """Number of the turn that says it, from 1 on."""
    word: str
    """useful, off target or ambiguous."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the model, and what came back; of one with several calls each has its own, and the first the words."""

    number: int
    """From 1 on; the step's own number is one less."""
    call: int
    """Among the calls of the turn, from 0 on."""
    name: str
    """3, or of several calls 3.1, 3.2 and so on."""
    action: str
    title: str
    """The action in words; where the question has several pictures, with the one that is looked at."""
    detail: str
    """What was asked, looked at or answered."""
    calls: tuple[str, ...]
    """Its calls as one writes them in Python."""
    thought: str
    content: str
    """What it says beside the reasoning and the answer."""
    reflections: tuple[Reflection, ...]
    """What later turns make of this one's result; its own word where there was no result before it."""
    train: bool
    error: str
    gaze: Gaze | None
    crops: tuple[EpisodeImage, ...]
    """What was shown: a crop, or pictures that were found."""
    evidence: tuple[Evidence, ...]
    read: str
    """What the model was shown in return."""
    note: str
    """What it was shown that is no evidence: a mistake, a refusal."""

    @property
    def key(self) -> str:
        """What tells it from the others in a page."""
        return key_of(self.number - 1, self.call)

    @property
    def crop(self) -> EpisodeImage | None:
        """The first that was shown."""
        return self.crops[0] if self.crops else None

    @property
    def words(self) -> str:
        """Reasoning and content as one text."""
        return "\n".join(filter(None, (self.thought.strip(), self.content)))

    @property
    def hits(self) -> tuple[Hit, ...]:
        """All that was found, the best first."""
        return tuple(hit for item in self.evidence for hit in item.hits)

    @property
    def trouble(self) -> str:
        """Why nothing came back; empty where something did, or nothing was looked for."""
        failures = [f"failed: {item.failure}" for item in self.evidence if item.failure]
        return ", ".join(failures) or (
            "found nothing" if any(item.provider for item in self.evidence) and not self.hits else ""
        )


@dataclass(frozen=True, slots=True)
class TrajectoryView:
    """A trajectory as it is shown; `records` has what needs no words: ids, tokens, levels, rejects."""

    records: Records
    question: str
    accepted: tuple[str, ...]
    scenes: tuple[Scene, ...]
    """The pictures of the question, at least one."""
    turns: tuple[Turn, ...]
    prompts: tuple[Message, ...]
    """What stands before the first turn: the system's and the user's."""
    answer: str
    outcome: str
    judgement: str
    """What verification says besides the outcome; of a training's rollout also what it was paid."""
    about: tuple[str, ...]
    """What it is: data set, category, behaviour, origin."""
    cost: float | None
    """US dollars of the teacher's tokens, at one's own price or the list's; None where none is known."""

    @property
    def taken(self) -> int:
        """Turns that the model took."""
        return len({turn.number for turn in self.turns})

    @property
    def answered(self) -> bool:
        """Whether it ends with an answer that a person could correct."""
        return can_answer(self.records.trajectory)

    @property
    def gazes(self) -> tuple[Gaze, ...]:
        """The boxes of the gazes, in their order."""
        return tuple(turn.gaze for turn in self.turns if turn.gaze)


def view_of(records: Records, prices: Mapping[str, Price] | None = None) -> TrajectoryView:
    """The view of a trajectory; `prices` are one's own, by the id of the service."""
    trajectory, seed, verdict = records.trajectory, records.seed, records.verdict
    price = find_price(trajectory.teacher, prices or {})
    origin = f"{trajectory.origin}, plan {trajectory.plan}" if trajectory.plan else str(trajectory.origin)
    about = (seed.dataset if seed else "", seed.category if seed else "", behaviour_words(trajectory), origin)
    turns = turns_of(trajectory.steps, trajectory.messages, trajectory.images, records.evidence)
    return TrajectoryView(
        records=records,
        question=seed.question if seed else "The seed is not in this run",
        accepted=seed.answers if seed else (),
        scenes=_scenes(records, turns),
        turns=turns,
        prompts=tuple(message for message in trajectory.messages[:4] if message.role in ("system", "user")),
        answer=trajectory.answer if trajectory.answer is not None else f"no answer: {trajectory.stop}",
        outcome=str(verdict.outcome) if verdict else "not verified",
        judgement="; ".join(filter(None, (judgement_of(verdict) if verdict else "", payment_of(trajectory)))),
        about=tuple(filter(None, about)),
        cost=price.cost(trajectory.prompt_tokens, trajectory.completion_tokens) if price else None,
    )


def _scenes(records: Records, turns: Sequence[Turn]) -> tuple[Scene, ...]:
    """What names a picture that is not there lies on none."""
    gazes, regions = [turn.gaze for turn in turns if turn.gaze], records.regions
    images = question_images(records.trajectory.images) or (images_of(records.seed) if records.seed else ())
    return tuple(
        Scene(
            number=number,
            sha256=image.sha256 if image else "",
            width=max(1, image.width) if image else 1,
            height=max(1, image.height) if image else 1,
            gazes=tuple(gaze for gaze in gazes if gaze.on_image == number),
            regions=tuple(region for region in regions if region.on_image == number),
        )
        for number, image in enumerate(images or (None,))
    )


def turns_of(
    steps: Sequence[Step], messages: Sequence[Message], images: Sequence[EpisodeImage], evidence: Mapping[str, Evidence]
) -> tuple[Turn, ...]:
    """The turns of an episode that is over, or at work; of several calls in a turn each has a place of its own."""
    exchanges = _exchanges(messages)
    pictures = len(question_images(images))
    crops = {image.sha256: image for image in images[max(1, pictures) :]}
    turns: list[Turn] = []
    gazes = 0
    reflections = _reflections(steps)
    taken = [(number, call, len(those)) for number, those in enumerate(by_turn(steps)) for call in range(len(those))]
    for step, (number, call, count) in zip(steps, taken, strict=True):
        message, replies = exchanges[number] if number < len(exchanges) else (Message(role="assistant"), [])
        end = call + 1 if call + 1 < count else None
        calls, replies = message.tool_calls[call:end], replies[call:end]
        name = str(step.turn + 1) if count == 1 else f"{step.turn + 1}.{call + 1}"
        title, detail = shown_as(step.action, step.arguments)
        looked_at = _looked_at(step)
        place = f" at image {looked_at}" if pictures > 1 and looked_at is not None else ""
        evidences = tuple(evidence[name] for name in step.evidence_ids if name in evidence)
        shown = [e.image_sha256 for e in evidences] + [picture.sha256 for e in evidences for picture in e.pictures]
        cut = [crops[name] for name in dict.fromkeys(shown) if name in crops]
        gaze = None
        if step.box is not None:
            gazes += 1
            gaze = Gaze(gazes, step.turn, call, name, detail, step.box, step.on_image)
        turns.append(
            Turn(
                number=step.turn + 1,
                call=call,
                name=name,
                action=step.action,
                title=f"{title}{place}",
                detail=detail,
                calls=tuple(map(_call_text, calls)),
                thought="" if call else message.reasoning_content or "",
                content="" if call else _said(message, step),
                reflections=tuple(reflections.get(len(turns), ())),
                train=step.train,
                error=step.error,
                gaze=gaze,
                crops=tuple(cut),
                evidence=evidences,
                read="\n".join(replies).strip(),
                note="\n".join(replies[bool(step.evidence_ids) :]).strip(),
            )
        )
    return tuple(turns)


def _looked_at(step: Step) -> int | None:
    """Number of the question's picture that a step looks at; None: at none of them, or at one that is not there."""
    glanced = is_glance(step) and step.arguments.get("image", 0) == step.on_image
    return step.on_image if step.box is not None or glanced else None


def _said(message: Message, step: Step) -> str:
    return (ANSWER_TAG.sub("", message.text) if step.action == "answer" else message.text).strip()


def _reflections(steps: Sequence[Step]) -> dict[int, list[Reflection]]:
    """By the places of the steps whose results they are about: those of the last turn that brought something back."""
    reflections: dict[int, list[Reflection]] = {}
    about: list[int] = []
    place = 0
    for turn in by_turn(steps):
        if said := turn[0].reflection:
            word = str(said).replace("_", " ")
            for number in about or [place]:
                reflections.setdefault(number, []).append(Reflection(turn[0].turn + 1, word))
        about = [place + number for number, step in enumerate(turn) if step.evidence_ids] or about
        place += len(turn)
    return reflections


def _exchanges(messages: Sequence[Message]) -> list[tuple[Message, list[str]]]:
    """Each message of the model with the texts of those that came after it."""
    exchanges: list[tuple[Message, list[str]]] = []
    for message in messages:
        if message.role == "assistant":
            exchanges.append((message, []))
        elif exchanges:
            exchanges[-1][1].append(message.text)
    return exchanges


def _call_text(call: ToolCall) -> str:
    name, text = call.function.name, call.function.arguments
    try:
        arguments = json.loads(text or "{}").items()
        return f"{name}({', '.join(f'{key}={json.dumps(value, ensure_ascii=False)}' for key, value in arguments)})"
    except (ValueError, RecursionError, AttributeError):
        return f"{name}({text})"


def rect(box: Box, width: float, height: float) -> tuple[float, float, float, float]:
    """A box as x, y, width and height on a picture of that size, for SVG."""
    x, y = box.x1 * width, box.y1 * height
    return round(x, 2), round(y, 2), round(box.x2 * width - x, 2), round(box.y2 * height - y, 2)
