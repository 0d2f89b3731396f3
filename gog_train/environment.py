"""One rollout of the policy: the shared episode, with the tools that the teacher had.

    rollout = Rollout(row, tools, images, settings)
    while not rollout.over:
        told = await rollout.turn(text_of_the_model)

Whatever drives it, turns go through the machine's `act` and `observe`, so that observations, strikes and stop reasons
are those of synthesis, labelling and evaluation. `Environment` is the rollout as TRL's `environment_factory` wants it.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from gog.schemas import (
    WHOLE,
    AnswerType,
    EpisodeImage,
    Function,
    ImagePart,
    Message,
    Tool,
    ToolCall,
)
from gog.transforms.episode.driver import Driven, EpisodeTools, use_tool
from gog.transforms.episode.machine import Episode, EpisodeSettings, act, start, system_prompt
from gog.transforms.images import ImageStore, decode_image
from gog.transforms.services.loop import process_loop
from gog.transforms.services.protocols import ServiceError
from gog.transforms.verify.judge import JudgeQuestion

OVER: Final = "The episode is over."
"""What a tool says that is called all the same."""


class Ending(StrEnum):
    """How a rollout ended: as the episode did, or before it could."""

    ANSWERED = "answered"
    OUT_OF_TURNS = "out_of_turns"
    STRIKES = "strikes"
    OVERLONG = "overlong"
    """The token budget ran out, in a turn or before it."""
    TOOL_FAILED = "tool_failed"
    """A search failed: the infrastructure's failure."""
    BROKEN = "broken"
    """The model wrote what no turn may hold (an image token), or a trainer gave up on the rollout."""


class Rollout:
    """An episode of the policy in training."""

    def __init__(self, row: Mapping[str, Any], tools: EpisodeTools, images: ImageStore, settings: EpisodeSettings):
        """Begin with a row of an RL export: `question`, `files` (the image's bytes) and what the reward needs.

        `settings` are the export's: its prompts name the limits.
        """
        self._tools, self._images = tools, images
        self._cut: Ending | None = None
        self.row = row
        self.gold = gold_of(row)
        """What the answer is compared with."""
        image = keep_image(images, row["files"][0])
        self.driven = Driven(start(settings, row["question"], image, system_prompt(settings)[0]))
        """The episode with its evidence, and the failure of a tool."""

    @property
    def episode(self) -> Episode:
        """The state of the shared machine."""
        return self.driven.episode

    @property
    def over(self) -> bool:
        """Whether no further turn is taken."""
        return self._cut is not None or self.driven.failure is not None or self.episode.stop is not None

    @property
    def ending(self) -> Ending:
        """How it ended; `BROKEN` when it was left before it was over."""
        if self._cut is not None:
            return self._cut
        if self.driven.failure is not None:
            return Ending.TOOL_FAILED
        stop = self.episode.stop
        return Ending.BROKEN if stop is None else Ending(stop.value)

    def end(self, ending: Ending) -> None:
        """End it from outside, without another turn."""
        self._cut = ending

    async def turn(self, said: str | Message) -> tuple[Message, ...]:
        """Take the model's turn, run its tool; returns what the model is told, nothing when the rollout is over."""
        message = Message(role="assistant", content=said) if isinstance(said, str) else said
        before = len(self.episode.messages) + 1
        driven = replace(self.driven, episode=act(self.episode, message))
        if driven.episode.pending is not None:
            try:
                driven = await use_tool(driven, self._tools)
            except ServiceError as error:
                driven = replace(driven, failure=error)
        self.driven = driven
        return () if self.over else driven.episode.messages[before:]

    def blocks(self, message: Message) -> list[dict[str, Any]]:
        """A message's content as TRL takes it: `{"type": "image", "image": pixels}` and `{"type": "text", ...}`."""
        if isinstance(message.content, str):
            return [{"type": "text", "text": message.content}]
        return [
            {"type": "image", "image": decode_image(self._images.read(part.image))}
            if isinstance(part, ImagePart)
            else {"type": "text", "text": part.text}
            for part in message.content
        ]


class Environment:
    """What TRL makes for each rollout of a batch and resets for the next. Public methods are its tools."""

    def __init__(self, tools: EpisodeTools, images: ImageStore, settings: EpisodeSettings) -> None:
        """As `Rollout` takes them."""
        self._tools, self._images, self._settings = tools, images, settings
        self._rollout: Rollout | None = None

    @property
    def rollout(self) -> Rollout:
        """The rollout that runs, or has ended."""
        if self._rollout is None:
            raise RuntimeError("the environment was not reset")
        return self._rollout

    def reset(self, **row: Any) -> None:
        """Begin a rollout with a row."""
        self._rollout = Rollout(row, self._tools, self._images, self._settings)

    def text_search(self, query: str) -> list[dict[str, Any]]:
        """Search text for a fact.

        Args:
            query: What to search for.
        """
        return self._called(Tool.TEXT_SEARCH, {"query": query})

    def image_search(self) -> list[dict[str, Any]]:
        """Search with the whole image: the glance."""
        return self._called(Tool.IMAGE_SEARCH, {})

    def gaze(self, bbox_2d: list[float], label: str = "", image: int = 0) -> list[dict[str, Any]]:
        """Crop one region of an image and search with the crop.

        Args:
            bbox_2d: [x1, y1, x2, y2], origin at the top left.
            label: What you expect to see there.
            image: Number of the image: 0 is the original, then each crop.
        """
        return self._called(Tool.GAZE, {"bbox_2d": bbox_2d, "label": label, "image": image})

    def _called(self, tool: Tool, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        """A turn that is nothing but this call, from another thread than the services' loop."""
        told: tuple[Message, ...] = ()
        if not self.rollout.over:
            call = ToolCall(id="call", function=Function(name=tool.value, arguments=json.dumps(arguments)))
            turn = self.rollout.turn(Message(role="assistant", tool_calls=(call,)))
            told = asyncio.run_coroutine_threadsafe(turn, process_loop()).result()
        return [block for message in told for block in self.rollout.blocks(message)] or [{"type": "text", "text": OVER}]


def keep_image(images: ImageStore, data: bytes) -> EpisodeImage:
    """An original of an export in the image store."""
    width, height = decode_image(data).size
    return EpisodeImage(sha256=images.put(data, _suffix(data)), width=width, height=height, box=WHOLE)


def gold_of(row: Mapping[str, Any]) -> JudgeQuestion:
    """What a row's answer is compared with."""
    return JudgeQuestion(
        kind="answer",
        question=row["question"],
        answers=tuple(row["answers"]),
        candidate="",
        answer_type=AnswerType(row["answer_type"]),
        answer_unit=row["answer_unit"],
        answer_low=row["answer_low"],
        answer_high=row["answer_high"],
    )


def _suffix(data: bytes) -> str:
    return "png" if data.startswith(b"\x89PNG") else "webp" if data.startswith(b"RIFF") else "jpg"
