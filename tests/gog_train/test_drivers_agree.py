"""Whatever a policy does, all who drive an episode tell it the same: the engine, training, TRL's tools and verl."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fakes import FakeSearch, hit, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rolling import answer, call, rl_rows, row_of, seed, services

from gog.schemas import Function, Message, ToolCall
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.driver import Driven, drive
from gog.transforms.episode.machine import Episode, EpisodeSettings, start, system_prompt
from gog.transforms.episode.tools import BUILT_IN
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.protocols import ChatReply
from gog_train.environment import Rollout, environment_class
from gog_train.questions import GOLD
from gog_train.services import TrainingServices
from gog_train.verl.episode import Home

Calls = list[tuple[str, dict[str, Any]]]

_BOX = st.sampled_from([[0, 0, 500, 500], [250, 250, 900, 900], [900, 900, 1, 1]])
_CALL: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.one_of(
    st.just(("image_search", {})),
    st.builds(lambda word: ("text_search", {"query": word}), st.sampled_from(["capital", "flag", ""])),
    st.builds(lambda box, image: ("gaze", {"bbox_2d": box, "image": image}), _BOX, st.integers(0, 3)),
    st.builds(lambda number: ("look", {"result": number}), st.integers(0, 6)),
)
SCRIPTS = st.lists(_CALL, min_size=1, max_size=7)
SETTINGS = st.builds(
    lambda turns, images, name: EpisodeSettings(
        max_turns=turns, max_images=images, tools=(*BUILT_IN, "look"), observation_tokens=300
    ).in_frame(BACKBONES[name].spec),
    st.integers(2, 8),
    st.integers(1, 4),
    st.sampled_from(["qwen2.5-vl", "qwen3-vl"]),
)


class World(NamedTuple):
    """Services whose glance finds something with a picture and something without, and an export's folder."""

    made: TrainingServices
    folder: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("export")
    (folder / "images").mkdir()
    (folder / "images" / "a.png").write_bytes(picture(640, 480))
    image = FakeSearch(id="fake-image:1")
    with services(folder / "store", image=image) as made:

        def find(_: str) -> Any:
            return hit("Uganda"), hit("Kenya", thumbnail=made.images.put(picture(200, 150), "png"))

        image.find = find
        yield World(made, folder)


def said(name: str, arguments: dict[str, Any]) -> Message:
    call = ToolCall(id="x", function=Function(name=name, arguments=json.dumps(arguments)))
    return Message(role="assistant", content="I look.", tool_calls=(call,))


def told(episode: Episode) -> list[str]:
    """What the tools told, as text, with a mark for each image."""
    return [
        "\n".join(part.text if part.type == "text" else f"<{part.image}>" for part in message.content)
        if not isinstance(message.content, str)
        else message.content
        for message in episode.messages[2:]
        if message.role != "assistant"
    ]


def driven_by_the_engine(script: Calls, made: TrainingServices, limits: EpisodeSettings) -> Driven:
    rollout = Rollout(row_of(rl_rows(limits, [seed()])), made.tools, made.images, limits)
    first = start(limits, seed().question, rollout.episode.images[0], system_prompt(limits)[0])

    async def speak(episode: Episode) -> ChatReply:
        if episode.turns < len(script):
            return ChatReply(said(*script[episode.turns]))
        return ChatReply(Message(role="assistant", content="<answer>Nairobi</answer>"))

    return run_on_loop(drive(first, speak, made.tools))


def driven_by_training(script: Calls, made: TrainingServices, limits: EpisodeSettings) -> Rollout:
    rollout = Rollout(row_of(rl_rows(limits, [seed()])), made.tools, made.images, limits)
    for name, arguments in script:
        if not rollout.over:
            run_on_loop(rollout.turn(said(name, arguments)))
    if not rollout.over:
        run_on_loop(rollout.turn("<answer>Nairobi</answer>"))
    return rollout


class Scripted:
    """A policy that makes these calls as verl's models write them, then answers; keeps what it hears."""

    def __init__(self, script: Calls) -> None:
        self._turns = iter([*(call(name, **arguments) for name, arguments in script), answer("Nairobi")])
        self.heard: list[Any] = []

    async def say(self) -> str:
        return next(self._turns)

    async def hear(self, told: Any) -> bool:
        self.heard += [blocks for _, blocks in told]
        return True


def driven_by_verl(script: Calls, world: World, limits: EpisodeSettings) -> tuple[Episode, list[Any]]:
    asked = {name: value for name, value in row_of(rl_rows(limits, [seed()])).items() if name in GOLD}
    row = {"reward_model": {"ground_truth": json.dumps(asked)}, "extra_info": {"image": "images/a.png"}}
    home, policy = Home(world.folder, limits, world.made, opened=True), Scripted(script)
    with home.rollout(row) as rollout:
        asyncio.run(home.play(rollout, policy))
    return rollout.episode, policy.heard


def driven_by_trl(script: Calls, made: TrainingServices, limits: EpisodeSettings) -> tuple[Episode, list[Any]]:
    environment: Any = environment_class(limits.offered, limits.frame)(made.tools, made.images, limits)
    environment.reset(**row_of(rl_rows(limits, [seed()])))
    blocks = [getattr(environment, name)(**arguments) for name, arguments in script]
    return environment.rollout.episode, blocks


def plain(blocks: list[Any]) -> list[Any]:
    return [[part["text"] if part["type"] == "text" else part["image"].tobytes() for part in some] for some in blocks]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SETTINGS, SCRIPTS)
def test_all_tell_a_policy_the_same(world: World, limits: EpisodeSettings, script: Calls) -> None:
    engine = driven_by_the_engine(script, world.made, limits).episode
    trained = driven_by_training(script, world.made, limits).episode
    assert trained == engine
    verl, verl_blocks = driven_by_verl(script, world, limits)
    trl, trl_blocks = driven_by_trl(script, world.made, limits)
    taken = len(trl.steps)
    assert len(verl.steps) == len(engine.steps)
    for other in (verl, trl):
        assert told(other) == told(engine)[: len(told(other))]
        assert other.images == engine.images
        assert [(s.action, s.arguments, s.box, s.evidence_ids, s.error) for s in other.steps] == [
            (s.action, s.arguments, s.box, s.evidence_ids, s.error) for s in engine.steps[: len(other.steps)]
        ]
    assert plain(verl_blocks)[: taken - 1] == plain(trl_blocks)[: taken - 1]
