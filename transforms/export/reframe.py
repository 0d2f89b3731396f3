"""A trajectory as it would have gone in another frame: replayed through the episode machine.

The calls are written in the target's frame and the machine takes every turn again with the evidence that was recorded,
so that tool schemas, system prompt, sizes, error notes and boxes all speak the language of the backbone. Where the
replay does anything else than the record says (two boxes fall together in a coarser frame, an error is none there), the
trajectory stays out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gog.schemas import (
    BoxError,
    EpisodeImage,
    Evidence,
    Frame,
    Function,
    Message,
    Reject,
    Seed,
    Step,
    ToolCall,
    Trajectory,
)
from gog.schemas.boxes import frame_size, from_frame, smart_resize, to_frame
from gog.transforms.dialect.turns import load_object
from gog.transforms.episode.machine import Episode, EpisodeSettings, act, observe, offered_tools, start, system_prompt
from gog.transforms.episode.steps import by_turn
from gog.transforms.episode.tool import ToolResult, question_images
from gog.transforms.export.coordinates import rewrite_boxes
from gog.transforms.export.rows import boxes_of, reject_sft


class NotTheSameError(ValueError):
    """The replay went another way than the record; says where."""


def reframe(
    trajectory: Trajectory,
    seed: Seed,
    evidence: Mapping[str, Evidence],
    source: EpisodeSettings,
    target: EpisodeSettings,
) -> Trajectory | Reject:
    """The trajectory with the policy's prompt, messages and tools in the target's frame, without hints; or a reject.

    A box that a turn names and that it or an earlier one called is named in the target's frame, too.

    `source` is the episode that it was made in; limits and tools have to be the same in both. `evidence` is by id.
    Boxes are within half a unit of the target's frame of what the record resolves to; `box` of the steps stays.
    """
    source = source.model_copy(update={"frame": Frame(trajectory.frame)})
    try:
        episode = _replay(trajectory, seed, evidence, source, target)
    except (NotTheSameError, BoxError) as error:
        return reject_sft(trajectory, "export.frame", str(error))
    return trajectory.model_copy(
        update={
            "messages": episode.messages,
            "folds": episode.folds,
            "tools": offered_tools(target),
            "steps": tuple(
                replayed.model_copy(update={"box": step.box})
                for replayed, step in zip(episode.steps, trajectory.steps, strict=True)
            ),
            "frame": target.frame.value,
        }
    )


def _replay(
    trajectory: Trajectory,
    seed: Seed,
    evidence: Mapping[str, Evidence],
    source: EpisodeSettings,
    target: EpisodeSettings,
) -> Episode:
    for image in trajectory.images:
        smart_resize(image.width, image.height, target.factor, target.min_pixels, target.max_pixels)  # or it is refused
    episode = start(target, seed.question, question_images(trajectory.images), system_prompt(target)[0])
    turns = [message for message in trajectory.messages if message.role == "assistant"]
    taken = by_turn(trajectory.steps)
    if len(turns) != len(taken):
        raise NotTheSameError(f"{len(turns)} turns of the assistant, steps of {len(taken)}")
    boxes: dict[tuple[float, ...], tuple[float, ...] | None] = {}
    for turn, steps in zip(turns, taken, strict=True):
        if episode.stop is not None:
            raise NotTheSameError(f"the episode ends before turn {steps[0].turn}")
        said = _in_frame(turn, trajectory.images, source, target)
        boxes |= {tuple(box): tuple(new) for box, new in zip(boxes_of(turn), boxes_of(said), strict=True)}
        said = said.model_copy(
            update={
                "content": rewrite_boxes(said.text, boxes),
                "reasoning_content": said.reasoning_content and rewrite_boxes(said.reasoning_content, boxes),
            }
        )
        before = len(episode.steps)
        episode = act(episode, said, train=steps[0].train)
        while episode.pending is not None:
            step = _same(steps, episode.steps[before:])
            episode = observe(episode, _recorded(step, evidence, trajectory.images, len(episode.images)))
        _same(steps, episode.steps[before:])
        if len(episode.steps) - before != len(steps):
            raise NotTheSameError(f"turn {steps[0].turn} does {len(episode.steps) - before} of {len(steps)} calls")
    if (episode.stop, episode.answer) != (trajectory.stop, trajectory.answer):
        raise NotTheSameError(f"it ends with {episode.stop} instead of {trajectory.stop}")
    return episode


def _recorded(step: Step, evidence: Mapping[str, Evidence], images: Sequence[EpisodeImage], taken: int) -> ToolResult:
    """What the turn's tool had returned. A crop that it showed is the next of the trajectory's images."""
    if not step.evidence_ids:
        raise NotTheSameError(f"turn {step.turn} calls {step.action}, and no evidence of it is recorded")
    found = evidence.get(step.evidence_ids[0])
    if found is None:
        raise NotTheSameError(f"the evidence {step.evidence_ids[0]} of turn {step.turn} is not in the run")
    if found.box is None:
        return ToolResult(found)
    if taken >= len(images):
        raise NotTheSameError(f"the crop of turn {step.turn} is not recorded")
    return ToolResult(found, images[taken])


def _same(recorded: Sequence[Step], replayed: Sequence[Step]) -> Step:
    """The recorded step that was replayed last, of a turn of which it and those before it are the same."""
    for was, now in zip(recorded, replayed, strict=False):
        if (was.action, was.error) != (now.action, now.error):
            said = [f"{step.action}{f' ({step.error})' if step.error else ''}" for step in (was, now)]
            raise NotTheSameError(f"turn {was.turn} was {said[0]} and is {said[1]} in the other frame")
    if len(replayed) > len(recorded):
        raise NotTheSameError(f"turn {recorded[0].turn} does more than the {len(recorded)} calls that are recorded")
    return recorded[len(replayed) - 1]


def _in_frame(
    turn: Message, images: Sequence[EpisodeImage], source: EpisodeSettings, target: EpisodeSettings
) -> Message:
    """The turn with the boxes of its calls in the target's frame."""
    calls = tuple(_call_in_frame(call, images, source, target) for call in turn.tool_calls)
    return turn.model_copy(update={"tool_calls": calls})


def _call_in_frame(
    call: ToolCall, images: Sequence[EpisodeImage], source: EpisodeSettings, target: EpisodeSettings
) -> ToolCall:
    looks = {tool.name for tool in source.known if tool.looks}
    arguments = load_object(call.function.arguments) if call.function.name in looks else None
    box = (arguments or {}).get("bbox_2d")
    if arguments is None or not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        return call
    number = arguments.get("image", 0)
    known = isinstance(number, int) and 0 <= number < len(images)
    values = _values_in_frame(box, images[number if known else 0], source, target)
    written = json.dumps(arguments | {"bbox_2d": values}, ensure_ascii=False)
    return call.model_copy(update={"function": Function(name=call.function.name, arguments=written)})


def _values_in_frame(
    values: Sequence[float], image: EpisodeImage, source: EpisodeSettings, target: EpisodeSettings
) -> list[float]:
    """Four numbers in the target's frame. What is no box is scaled, so that it stays the same mistake."""
    try:
        box = from_frame(values, source.spec, image.width, image.height)
    except BoxError:
        old = frame_size(source.spec, image.width, image.height)
        new = frame_size(target.spec, image.width, image.height)
        scaled = [value / old[axis % 2] * new[axis % 2] for axis, value in enumerate(values)]
        return scaled if max(new) <= 1 else [round(value) for value in scaled]
    return list(to_frame(box, target.spec, image.width, image.height))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
