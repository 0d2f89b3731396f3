"""One rollout of the policy: the shared episode, with the tools that the teacher had.

    rollout = Rollout(row, tools, images, settings)
    while not rollout.over:
        told = await rollout.turn(text_of_the_model)

Whatever drives it, turns go through the machine's `act` and `observe`, so that observations, strikes and stop reasons
are those of synthesis, labelling and evaluation. `Environment` is the rollout as TRL's `environment_factory` wants it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from inspect import Parameter, Signature
from typing import Any, Final, cast

from gog.schemas import WHOLE, AnswerType, EpisodeImage, FailureClass, Frame, Function, ImagePart, Message, ToolCall
from gog.transforms.episode.driver import Driven, use_tool
from gog.transforms.episode.machine import Episode, EpisodeSettings, act, start, system_prompt
from gog.transforms.episode.tool import EpisodeTools, Tool
from gog.transforms.image_store import ImageStore, open_image
from gog.transforms.images import image_suffix
from gog.transforms.services.loop import run_on_loop
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
    MISSED = "missed"
    """A replay, or a sealed world, has no answer to what the policy asked."""
    BROKEN = "broken"
    """The model wrote what no turn may hold (an image token), or a trainer gave up on the rollout."""


class Rollout:
    """An episode of the policy in training."""

    def __init__(self, row: Mapping[str, Any], tools: EpisodeTools, images: ImageStore, settings: EpisodeSettings):
        """Begin with a row of an RL export: `question`, `files` (the bytes of its images) and what the reward needs.

        `settings` are the export's: its prompts name the limits.
        """
        self._tools, self.images = tools, images
        self._cut: Ending | None = None
        self.row = row
        self.gold = gold_of(row)
        """What the answer is compared with."""
        kept = [keep_image(images, data) for data in row["files"]]
        self.driven = Driven(start(settings, row["question"], kept, system_prompt(settings)[0]))
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
            missed = self.driven.failure.failure is FailureClass.STORE_MISS
            return Ending.MISSED if missed else Ending.TOOL_FAILED
        stop = self.episode.stop
        return Ending.BROKEN if stop is None else Ending(stop.value)

    def end(self, ending: Ending) -> None:
        """End it from outside, without another turn."""
        self._cut = ending

    async def turn(self, said: str | Message) -> tuple[Message, ...]:
        """Take the model's turn, run its tools; returns what the model is told, nothing when the rollout is over."""
        message = Message(role="assistant", content=said) if isinstance(said, str) else said
        before = len(self.episode.messages) + 1
        driven = replace(self.driven, episode=act(self.episode, message))
        try:
            while driven.episode.pending is not None:
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
            {"type": "image", "image": open_image(self.images, part.image)}
            if isinstance(part, ImagePart)
            else {"type": "text", "text": part.text}
            for part in message.content
        ]


class Environment:
    """What TRL makes for each rollout of a batch and resets for the next. Public functions of its class are its tools:
    `environment_class` adds them.
    """

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

    def _called(self, tool: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        """A turn that is nothing but this call, from another thread than the services' loop."""
        told: tuple[Message, ...] = ()
        if not self.rollout.over:
            call = ToolCall(id="call", function=Function(name=tool, arguments=json.dumps(arguments)))
            turn = self.rollout.turn(Message(role="assistant", tool_calls=(call,)))
            told = run_on_loop(turn)
        return [block for message in told for block in self.rollout.blocks(message)] or [{"type": "text", "text": OVER}]


_TYPES: Final = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}


def environment_class(tools: Sequence[Tool], frame: Frame) -> type[Environment]:
    """The environment with a method for each tool, signature and docstring made from its schema."""
    return type("EpisodeEnvironment", (Environment,), {tool.name: _method(tool, frame) for tool in tools})


def _method(tool: Tool, frame: Frame) -> Callable[..., list[dict[str, Any]]]:
    properties: dict[str, Any] = tool.properties(frame)
    kinds = {name: list[float] if name == "bbox_2d" else _TYPES[prop["type"]] for name, prop in properties.items()}
    places = [Parameter("self", Parameter.POSITIONAL_ONLY)]
    for name in sorted(properties, key=lambda name: name not in tool.required):
        default = Parameter.empty if name in tool.required else None
        places.append(Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kinds[name]))
    signature = Signature(places, return_annotation=list[dict[str, Any]])

    def method(*given: Any, **named: Any) -> list[dict[str, Any]]:
        arguments = signature.bind(*given, **named).arguments
        return cast(Environment, arguments.pop("self"))._called(tool.name, arguments)

    described = [f"    {name}: {prop['description']}" for name, prop in properties.items()]
    method.__name__ = tool.name
    method.__doc__ = "\n".join([tool.about, *(["", "Args:", *described] if described else [])])
    method.__annotations__ = kinds | {"return": list[dict[str, Any]]}
    method.__signature__ = signature  # type: ignore[attr-defined]
    return method


def keep_image(images: ImageStore, data: bytes) -> EpisodeImage:
    """A picture of a question of an export, in the image store."""
    sha256 = images.put(data, image_suffix(data))
    width, height = open_image(images, sha256).size
    return EpisodeImage(sha256=sha256, width=width, height=height, box=WHOLE)


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
