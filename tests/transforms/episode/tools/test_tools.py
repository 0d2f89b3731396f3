"""The set of tools: what an episode may offer, and a tool of somebody else's from the config to the export."""

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest
from fakes import ScriptedPolicy, answered, called, seed_of, services
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from gog.schemas import Behaviour, EpisodeImage, Frame
from gog.transforms.episode.machine import EpisodeSettings, offered_tools
from gog.transforms.episode.tool import EpisodeTools, Tool, ToolRequest, ToolResult
from gog.transforms.episode.tools import BUILT_IN, TOOLS, shown_as, tools_of
from gog.transforms.synthesize.rollout import RolloutSettings, rollout
from gog.transforms.synthesize.settings import StageSettings
from gog_train.environment import environment_class

MEASURE = "gog_example.tool:measure"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[4] / "examples" / "plugin" / "src"))
    return MEASURE


def test_the_members_that_are_ours() -> None:
    assert set(BUILT_IN) < {*TOOLS} >= {"zoom", "visit"}
    for name in TOOLS:
        tool = TOOLS[name]
        assert tool.name == name
        assert tool.required == tuple(name for name in tool.properties(Frame.PER_MILLE) if name in tool.required)
        assert tool.hint or name in BUILT_IN
        assert tool.looks == ("bbox_2d" in tool.properties(Frame.FRACTION))


@pytest.mark.parametrize("frame", Frame)
def test_what_is_offered_is_a_json_schema(frame: Frame) -> None:
    for tool in offered_tools(EpisodeSettings(tools=tuple(TOOLS), frame=frame)):
        function: dict[str, Any] = tool["function"]  # type: ignore[assignment]
        Draft202012Validator.check_schema(function["parameters"])
        properties = function["parameters"]["properties"].values()
        assert function["description"]
        assert all(value["type"] and (value["description"] or value["type"] == "array") for value in properties)


def test_a_tool_that_asks_for_nothing_reads_nothing() -> None:
    whole = TOOLS["image_search"]
    assert (whole.read_tag("[1, 2]"), whole.read({"query": "a flag"})) == ({}, {})


def test_tools_that_are_on_by_default_come_first_in_their_order() -> None:
    assert [tool.name for tool in tools_of(("zoom", "gaze", "text_search"))] == ["text_search", "gaze", "zoom"]
    assert [tool.name for tool in EpisodeSettings().offered] == list(BUILT_IN)
    assert tools_of(()) == ()


class Named(Tool):
    """A tool that is called whatever one likes."""

    about, label, behaviour = "", "", Behaviour.TEXT

    def properties(self, frame: Frame) -> dict[str, Any]:
        return {}

    async def run(self, request: ToolRequest, original: EpisodeImage, services: EpisodeTools) -> ToolResult:
        raise NotImplementedError


class _Gaze(Named):
    name = "gaze"


class _Answer(Named):
    name = "answer"


class _Spaced(Named):
    name = "my tool"


gaze, answer, spaced, nothing = _Gaze(), _Answer(), _Spaced(), "a text"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dance", "there is no tool 'dance'; there are "),
        ("no_such.module:tool", "cannot be loaded"),
        (f"{__name__}:gaze", "as another tool is"),
        (f"{__name__}:answer", "is no tool"),
        (f"{__name__}:spaced", "is no tool"),
        (f"{__name__}:nothing", "is no tool"),
    ],
)
def test_what_no_episode_can_offer_is_said_with_the_config(
    name: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    with pytest.raises(ValidationError, match=words):
        EpisodeSettings(tools=(*BUILT_IN, name))


def test_a_tool_of_somebody_elses_in_an_episode(plugin: str, tmp_path: Path) -> None:
    settings = EpisodeSettings(tools=("text_search", plugin))
    policy = ScriptedPolicy([called("measure", {"bbox_2d": [0, 0, 500, 1000]}), answered("Nairobi")])
    with services(tmp_path, policy) as (world, images):
        seed = seed_of(images)
        attempt = asyncio.run(rollout(world, policy, seed, (), 0, RolloutSettings(), settings))
    trajectory = attempt.trajectory
    assert trajectory is not None
    assert trajectory.messages[3].text == f"The region is {seed.width // 2} x {seed.height} pixels."
    assert "- measure(bbox_2d, label, image)" in trajectory.messages[0].text
    assert (trajectory.steps[0].action, attempt.evidence[0].tool) == ("measure", "measure")
    assert len(trajectory.images) == 1
    assert trajectory.behaviour is Behaviour.GAZE


def test_a_dotted_tool_reaches_workers_and_trainers(plugin: str) -> None:
    stages = copy.deepcopy(StageSettings(episode=EpisodeSettings(tools=(*BUILT_IN, plugin))))
    settings = EpisodeSettings.model_validate_json(stages.episode.model_dump_json())
    assert [tool.name for tool in settings.offered] == [*BUILT_IN, "measure"]
    assert hasattr(environment_class(settings.offered, settings.frame), "measure")


def test_what_people_see_of_a_tool_that_is_not_installed_is_its_name() -> None:
    assert shown_as("image_search", {}) == ("glance", "")
    assert shown_as("visit", {"url": "https://a", "goal": "b"}) == ("visit", "https://a")
    assert shown_as("their_tool", {"query": "a"}) == ("their tool", "")
    assert shown_as("none", {}) == ("no action", "")
    assert shown_as("answer", {"text": "Kenya"}) == ("answer", "Kenya")
