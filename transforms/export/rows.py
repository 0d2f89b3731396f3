"""Export, its pure part: what of a trajectory or a labelled seed goes into the training splits, and why one stays out.

A row's `messages` are in OpenAI's form with bare image parts (`{"type": "image"}`); the images themselves stand
beside them, in the order of those parts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from gog.schemas import (
    BoxError,
    Complexity,
    EpisodeImage,
    Function,
    Message,
    Reject,
    Seed,
    Split,
    Step,
    TextPart,
    ToolCall,
    Trajectory,
    Unit,
    Verdict,
)
from gog.schemas.boxes import smart_resize
from gog.transforms.dialect.observations import estimate_tokens, neutralise
from gog.transforms.dialect.turns import ANSWER_TAG, load_object, plain_text
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start, system_prompt
from gog.transforms.episode.steps import by_turn
from gog.transforms.episode.trajectory import images_of, policy_view
from gog.transforms.export.coordinates import coordinates_in, rewrite_boxes
from gog.transforms.export.text import in_json
from gog.transforms.export.thoughts import placed_thoughts
from gog.transforms.ingest.seeds import source_id_of

SFT_STAGE: Final = "export_sft"
RL_STAGE: Final = "export_rl"


class Reviewed(StrEnum):
    """What an export makes of reviews.

    `require`: only what was accepted, and by nobody rejected. `prefer`: all but what anybody rejected. `ignore`: all.
    """

    REQUIRE = "require"
    PREFER = "prefer"
    IGNORE = "ignore"


class ExportSettings(BaseModel):
    """What goes into the splits, and how large their files are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int = Field(default=16000, ge=256)
    """Longest trajectory, estimated: text by bytes, images by area."""
    levels: tuple[Literal[0, 1, 2], ...] = (1, 2)
    """Levels of the RL splits."""
    rows_per_file: int = Field(default=2000, ge=1)
    """Rows of a Parquet file."""
    reviewed: Reviewed = Reviewed.PREFER
    """What the SFT splits make of people's reviews; without any, all but `require` are the same."""


@dataclass(frozen=True, slots=True)
class SftRow:
    """A row of the SFT splits. `messages` and `tools` are JSON text, `image_sha256` is in the messages' order."""

    id: str
    seed_id: str
    split: Split
    dataset: str
    category: str
    question: str
    answer: str
    messages: str
    tools: str
    image_sha256: tuple[str, ...]
    origin: str
    behaviour: str
    reflective: bool
    teacher: str
    plan: str
    plan_used_gold: bool
    turns: int
    frame: str
    outcome: str
    method: str
    grounded: bool | None
    gaze_useful: bool | None
    estimated_tokens: int
    language: str
    licence: str
    source_url: str
    source_id: str


@dataclass(frozen=True, slots=True)
class RlRow:
    """A row of the RL splits, one a seed. The reward needs `answers`, `answer_*`; the `prompt` never holds them."""

    id: str
    seed_id: str
    split: Split
    dataset: str
    category: str
    question: str
    prompt: str
    tools: str
    image_sha256: tuple[str, ...]
    answers: tuple[str, ...]
    answer_type: str
    answer_unit: str
    answer_low: float | None
    answer_high: float | None
    level: int
    pass_rate: float
    pass_low: float
    pass_high: float
    k: int
    passes: int
    policy: str
    frame: str
    language: str
    licence: str
    source_url: str
    source_id: str


Reading = tuple[str, SftRow | RlRow | Reject]
"""The id of what an export reads, and what became of it."""


def sft_row(
    trajectory: Trajectory,
    seed: Seed,
    verdict: Verdict,
    split: Split,
    settings: ExportSettings,
    episode: EpisodeSettings,
    thinking: bool | None = None,
) -> SftRow | Reject:
    """The trajectory as the policy will meet it, or why it stays out.

    `thinking` says of a trainer's row whether its backbone thinks; None leaves the reasoning where the teacher had it.
    """
    messages = [_harmless(message) for message in policy_view(trajectory, episode)]
    if found := _first_coordinates(messages):
        return reject_sft(trajectory, "export.coordinates_in_text", f"a turn writes {found[:200]!r}")
    tokens = trajectory_tokens(messages, trajectory.tools, trajectory.images, episode)
    if tokens > settings.max_tokens:
        return reject_sft(trajectory, "export.too_long", f"about {tokens} tokens, the limit is {settings.max_tokens}")
    chat = trained_messages(messages, _learnt(trajectory))
    return SftRow(
        id=trajectory.trajectory_id,
        seed_id=seed.seed_id,
        split=split,
        dataset=seed.dataset,
        category=seed.category,
        question=seed.question,
        answer=trajectory.answer or "",
        messages=in_json(chat if thinking is None else placed_thoughts(chat, thinking=thinking)),
        tools=in_json(trajectory.tools),
        image_sha256=tuple(sha256 for message in messages for sha256 in message.images),
        origin=trajectory.origin.value,
        behaviour=trajectory.behaviour.value,
        reflective=trajectory.reflective,
        teacher=trajectory.teacher,
        plan=trajectory.plan,
        plan_used_gold=trajectory.plan_used_gold,
        turns=len(by_turn(trajectory.steps)),
        frame=trajectory.frame,
        outcome=verdict.outcome.value,
        method=verdict.method.value,
        grounded=verdict.grounded,
        gaze_useful=verdict.gaze_useful,
        estimated_tokens=tokens,
        language=seed.language,
        licence=seed.licence,
        source_url=seed.source_url,
        source_id=source_id_of(seed),
    )


def rl_row(
    seed: Seed, complexity: Complexity, split: Split, settings: ExportSettings, episode: EpisodeSettings
) -> RlRow | Reject:
    """The seed as a prompt, exactly as an episode of the policy starts, or why it stays out."""
    if complexity.level not in settings.levels:
        detail = f"level {complexity.level}; wanted: {', '.join(map(str, settings.levels)) or 'none'}"
        return Reject.of(RL_STAGE, Unit.SEED, seed.seed_id, "export.level", detail=detail, seed_id=seed.seed_id)
    messages = start(episode, seed.question, images_of(seed), system_prompt(episode)[0]).messages
    return RlRow(
        id=seed.seed_id,
        seed_id=seed.seed_id,
        split=split,
        dataset=seed.dataset,
        category=seed.category,
        question=seed.question,
        prompt=in_json([chat_message(message) for message in messages]),
        tools=in_json(offered_tools(episode)),
        image_sha256=seed.image_hashes,
        answers=seed.answers,
        answer_type=seed.answer_type.value,
        answer_unit=seed.answer_unit,
        answer_low=seed.answer_low,
        answer_high=seed.answer_high,
        level=complexity.level,
        pass_rate=complexity.pass_rate,
        pass_low=complexity.low,
        pass_high=complexity.high,
        k=complexity.k,
        passes=complexity.passes,
        policy=complexity.policy,
        frame=episode.frame.value,
        language=seed.language,
        licence=seed.licence,
        source_url=seed.source_url,
        source_id=source_id_of(seed),
    )


def chat_message(message: Message) -> dict[str, Any]:
    """A message in OpenAI's form, without keys that say nothing; an image part keeps its place but not its hash."""
    content: str | list[dict[str, str]]
    if isinstance(message.content, str):
        content = message.content
    else:
        content = [
            {"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": "image"}
            for part in message.content
        ]
    chat: dict[str, Any] = {"role": message.role, "content": content}
    if message.reasoning_content:
        chat["reasoning_content"] = message.reasoning_content
    if message.tool_calls:
        chat["tool_calls"] = [call.model_dump(mode="json") for call in message.tool_calls]
    if message.tool_call_id is not None:
        chat["tool_call_id"] = message.tool_call_id
    return chat


def _learnt(trajectory: Trajectory) -> list[Step]:
    """The steps; the loss sees none before the last fold: the model had another chat before it there."""
    last = trajectory.folds[-1].turn if trajectory.folds else 0
    return [step.model_copy(update={"train": step.train and step.turn >= last}) for step in trajectory.steps]


def trained_messages(messages: Sequence[Message], steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Chat messages; each of the assistant's says in `train` whether the loss may see it.

    It may not see a planned wrong action, nor a turn of which the episode answered a call with an error or did not do
    it: nobody is taught to err.
    """
    turns = iter(by_turn(steps))
    chat = []
    for message in messages:
        plain = chat_message(message)
        if message.role == "assistant":
            done = next(turns)
            plain["train"] = all(step.train and not step.error for step in done) and len(message.tool_calls) <= len(
                done
            )
        chat.append(plain)
    if next(turns, None) is not None:
        raise ValueError("more steps than turns of the assistant")
    return chat


def trajectory_tokens(
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]],
    images: Sequence[EpisodeImage],
    episode: EpisodeSettings,
) -> int:
    """Length: a token for four bytes of text, and the images' own as the episode's processor resizes them.

    An image whose size is not known counts as the largest.
    """
    square = episode.factor**2
    sizes = {image.sha256: _visual_tokens(image, episode) for image in images}
    texts = [in_json(tools)]
    visual = 0
    for message in messages:
        texts += [message.text, message.reasoning_content or ""]
        texts += [call.function.name + call.function.arguments for call in message.tool_calls]
        visual += sum(sizes.get(sha256, episode.max_pixels // square) for sha256 in message.images)
    return sum(map(estimate_tokens, texts)) + visual


def _visual_tokens(image: EpisodeImage, episode: EpisodeSettings) -> int:
    try:
        width, height = smart_resize(image.width, image.height, episode.factor, episode.min_pixels, episode.max_pixels)
    except BoxError:
        return episode.max_pixels // episode.factor**2
    return width * height // episode.factor**2


def _harmless(message: Message) -> Message:
    """A turn of the assistant whose words no chat template takes for control tokens; its final answer stays marked."""
    if message.role != "assistant":
        return message
    answers = [] if message.tool_calls else list(ANSWER_TAG.finditer(message.text))
    content = neutralise(message.text)
    if answers:
        last = answers[-1]
        before, after = message.text[: last.start()], message.text[last.end() :]
        content = f"{neutralise(before)}<answer>{neutralise(last[1])}</answer>{neutralise(after)}"
    return message.model_copy(
        update={
            "content": content,
            "reasoning_content": neutralise(message.reasoning_content) if message.reasoning_content else None,
            "tool_calls": tuple(_harmless_call(call) for call in message.tool_calls),
        }
    )


def _harmless_call(call: ToolCall) -> ToolCall:
    arguments = load_object(call.function.arguments)
    if arguments is None:
        return call
    clean = {
        neutralise(key): neutralise(value) if isinstance(value, str) else value for key, value in arguments.items()
    }
    if clean == arguments:
        return call
    function = Function(name=call.function.name, arguments=json.dumps(clean, ensure_ascii=False))
    return call.model_copy(update={"function": function})


def reject_sft(trajectory: Trajectory, reason: str, detail: str) -> Reject:
    """Why a trajectory stays out of the SFT splits."""
    unit = Unit.TRAJECTORY
    return Reject.of(SFT_STAGE, unit, trajectory.trajectory_id, reason, detail=detail, seed_id=trajectory.seed_id)


def boxes_of(message: Message) -> list[list[float]]:
    """The boxes of a turn's calls, as they are written."""
    loaded = (load_object(call.function.arguments) or {} for call in message.tool_calls)
    boxes = [arguments.get("bbox_2d") for arguments in loaded]
    return [box for box in boxes if isinstance(box, list) and all(isinstance(number, int | float) for number in box)]


def _first_coordinates(messages: Sequence[Message]) -> str | None:
    """A place that a turn writes in numbers; but the box of its call, or of an earlier one, is in the row's frame."""
    boxes: dict[tuple[float, ...], tuple[float, ...] | None] = {}
    for message in messages:
        if message.role != "assistant":
            continue
        boxes |= dict.fromkeys((tuple(box) for box in boxes_of(message)), None)
        if found := coordinates_in(rewrite_boxes(plain_text(message), boxes)):
            return found
    return None
