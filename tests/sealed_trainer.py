"""A trainer's process over a sealed world, without a network: `sealed_trainer.py WORLD CALLS`; prints what it saw."""

import json
import socket
import sys
from pathlib import Path
from typing import Any

from fakes import answered, called, gaze, picture
from sealed import PINNED

from gog.schemas import Message
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.tools import BUILT_IN
from gog.transforms.images import CropSettings
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.store.sqlite import Store
from gog_train.environment import Rollout
from gog_train.services import RULES, Addresses, TrainingServices, open_services

EPISODE = EpisodeSettings(tools=(*BUILT_IN, "visit", "look", PINNED.server), pinned=(PINNED,), max_turns=12).in_frame(
    BACKBONES["qwen3-vl"].spec
)


def opened(world: Path, calls: Path) -> TrainingServices:
    address = f"world:{world}"
    return open_services(Addresses(address, address, (RULES,), calls, pages=address), CropSettings(), EPISODE)


ROW = {
    "question": "What is the capital?",
    "files": [picture()],
    "answers": ["Nairobi"],
    "answer_type": "string",
    "answer_unit": "",
    "answer_low": None,
    "answer_high": None,
}


def play(services: TrainingServices, turns: list[Message]) -> Rollout:
    """A rollout of scripted turns."""
    rollout = Rollout(ROW, services.tools, services.images, EPISODE)
    for turn in turns:
        if not rollout.over:
            run_on_loop(rollout.turn(turn))
    return rollout


def refused(*_: Any, **__: Any) -> Any:
    """No connection leaves this process, not even to this machine."""
    raise RuntimeError("a socket was asked for")


def main(world: Path, calls: Path) -> None:
    """Play rollouts whose calls are known, free, or nobody's."""
    services = opened(world, calls)
    scripts = [
        [
            called("text_search", {"query": "known"}),
            called("look", {"result": 1}),
            called("text_search", {"query": "feline"}),
            called("image_search"),
            gaze([0, 0, 500, 1000]),
            called("visit", {"url": "https://pets/9", "goal": "page"}),
            called("visit", {"url": "https://pets/8", "goal": "page"}),
            called("find", {"query": "towers"}),
            answered("Nairobi"),
        ],
        [called("visit", {"url": "https://pets/7", "goal": "page"})],
        [called("find", {"query": "else"})],
        [called("text_search", {"query": "feline"}), called("find", {"query": "else"})],
    ]
    rollouts = [play(services, script) for script in scripts]
    told = [message.text for rollout in rollouts for message in rollout.episode.messages[2:]]
    services.close()
    with Store(calls) as store:
        calls_made = sorted({f"{event.kind} {event.failure or 'answered'}" for event in store.events("")})
    print(json.dumps({"endings": [rollout.ending for rollout in rollouts], "told": told, "calls": calls_made}))


if __name__ == "__main__":
    socket.socket.connect = refused  # type: ignore[method-assign]
    socket.socket.connect_ex = refused  # type: ignore[method-assign]
    socket.getaddrinfo = refused
    main(Path(sys.argv[1]), Path(sys.argv[2]))
