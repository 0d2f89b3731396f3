"""The episode behind verl's tools: state of a rollout, and the turn that a tool call is. Knows nothing of verl.

In a worker there is one object of each tool for all rollouts, so the state of a rollout is kept on verl's own
`agent_data`: any object with `messages`, `tool_calls` (of `name` and `arguments`) and `extra_fields`.
"""

import asyncio
import json
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from gog.schemas import FailureClass, Function, Message, ToolCall
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.target import ToolSettings
from gog.transforms.services.loop import process_loop
from gog.transforms.services.protocols import ServiceError
from gog_train.data import inside, read_manifest
from gog_train.environment import OVER, Rollout, keep_image
from gog_train.rewards.scoring import finished_of
from gog_train.services import RULES, Addresses, TrainingServices, open_services
from gog_train.settings import TrainingError

STATE: Final = "gog_rollout"
"""Attribute of `agent_data` that holds the rollout."""

_CROWDED: Final = ServiceError(FailureClass.MALFORMED, "several pictures at once: verl has a place for one")

REPORT: Final = "gog"
"""Key of `agent_data.extra_fields` under which the reward finds what the episode noted."""


@dataclass(slots=True)
class Home:
    """What the rollouts of a worker share."""

    export: Path
    settings: EpisodeSettings
    services: TrainingServices
    running: "weakref.WeakSet[Rollout]" = field(default_factory=weakref.WeakSet)

    def begin(self, asked: Mapping[str, Any]) -> Rollout:
        """A rollout that begins with the question and the original image of an export's row.

        Between two batches nothing runs: then the images of the last one are forgotten.
        """
        if not self.running:
            self.services.images.clear()
        nothing = {"answers": (), "answer_type": "string", "answer_unit": "", "answer_low": None, "answer_high": None}
        row = {"question": asked["question"], "files": [self.original(asked)], **nothing}
        rollout = Rollout(row, self.services.tools, self.services.images, self.settings)
        self.running.add(rollout)
        return rollout

    def original(self, asked: Mapping[str, Any]) -> bytes:
        """The original image of a row. Raises `TrainingError` when the export does not hold it."""
        path = inside(self.export, str(asked["image"]))
        if not path:
            raise TrainingError(f"the image {asked['image']} is not in the export: copy the whole folder")
        return path.read_bytes()


@cache
def home(export: str, calls: str, text_search: str, image_search: str, pages: str) -> Home:
    """The export's episode, and the services as in its run; opened once in a process.

    Raises `TrainingError` or `ExportError`.
    """
    folder = Path(export)
    manifest = read_manifest(folder, "rl", "verl")
    settings = EpisodeSettings.model_validate(manifest["episode"])
    tools = ToolSettings.model_validate(manifest["tools"])
    addresses = Addresses(text_search, image_search, (RULES,), Path(calls), search=tools.search, pages=pages)
    return Home(folder, settings, open_services(addresses, tools.crops, settings))


async def take_turn(
    shared: Home, asked: Mapping[str, Any], name: str, parameters: Mapping[str, Any], agent_data: Any
) -> list[dict[str, Any]]:
    """The rollout's turn that calls this tool; returns text and image blocks of what the model is told.

    `asked` is what the row of the export says of its question and its image.
    """
    rollout: Rollout | None = getattr(agent_data, STATE, None)
    if rollout is None:
        rollout = shared.begin(asked)
        setattr(agent_data, STATE, rollout)
    if rollout.over:
        return [{"type": "text", "text": OVER}]
    # Another rollout's beginning may have forgotten it, where that one thought that nothing ran.
    keep_image(shared.services.images, shared.original(asked))
    before = len(rollout.episode.messages) + 1
    turn = rollout.turn(_message(agent_data, name, parameters))
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(turn, process_loop()))
    agent_data.extra_fields[REPORT] = report(rollout)
    told = rollout.episode.messages[before:]
    if sum(len(message.images) for message in told) > 1:
        rollout.driven = replace(rollout.driven, failure=_CROWDED)
        agent_data.extra_fields[REPORT] = report(rollout)
        told = ()
    return [block for message in told for block in rollout.blocks(message)] or [{"type": "text", "text": OVER}]


def _message(agent_data: Any, name: str, parameters: Mapping[str, Any]) -> Message:
    """The turn as the episode reads it: verl keeps the words and all calls, and asks a tool for the first alone."""
    text = str(agent_data.messages[-1].get("content") or "") if agent_data.messages else ""
    first = ToolCall(id="0", function=Function(name=name, arguments=json.dumps(dict(parameters))))
    more = tuple(
        ToolCall(id=str(number), function=Function(name=call.name, arguments=call.arguments))
        for number, call in enumerate(agent_data.tool_calls[1:], 1)
    )
    return Message(role="assistant", content=text, tool_calls=(first, *more))


def report(rollout: Rollout) -> dict[str, Any]:
    """What the reward has to know of the turns before the answer, as JSON: verl hands it from process to process."""
    finished = finished_of(rollout)
    return {
        "strikes": finished.strikes,
        "turns": list(finished.turns),
        "steps": [step.model_dump(mode="json") for step in finished.steps],
        "tool_failed": rollout.driven.failure is not None,
    }
