"""`zoom`: a crop is shown, nothing is searched."""

import asyncio
from pathlib import Path

import pytest
from fakes import FakeSearch, ScriptedPolicy, answered, called, hit, seed_of, services

from gog.schemas import Behaviour, Box, Evidence, Message, Trajectory
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.machine import EpisodeSettings, system_prompt
from gog.transforms.episode.tools import BUILT_IN
from gog.transforms.export.reframe import reframe
from gog.transforms.synthesize.rollout import RolloutSettings, rollout

SETTINGS = EpisodeSettings(tools=(*BUILT_IN, "zoom"))


def zoom(box: list[int], image: int = 0, name: str = "zoom") -> Message:
    return called(name, {"bbox_2d": box, "label": "the sign", "image": image})


def played(
    folder: Path, *turns: Message, settings: EpisodeSettings = SETTINGS
) -> tuple[Trajectory, tuple[Evidence, ...], FakeSearch]:
    image = FakeSearch(lambda _: (hit("Kenya"),))
    policy = ScriptedPolicy([*turns, answered("Nairobi")])
    with services(folder, policy, image=image) as (world, images):
        seed = seed_of(images)
        attempt = asyncio.run(rollout(world, policy, seed, (), 0, RolloutSettings(), settings))
    assert attempt.trajectory is not None
    return attempt.trajectory, attempt.evidence, image


def test_the_crop_is_shown_and_nobody_is_asked(tmp_path: Path) -> None:
    trajectory, (evidence,), image = played(tmp_path, zoom([500, 0, 1000, 500]))
    assert image.asked == []
    assert (evidence.tool, evidence.hits, evidence.provider) == ("zoom", (), "")
    assert evidence.image_sha256 == trajectory.images[1].sha256
    assert trajectory.steps[0].box == Box(0.5, 0, 1, 0.5)
    result = trajectory.messages[3]
    assert result.images == (trajectory.images[1].sha256,)
    assert result.text.startswith("Image 1: the crop (")
    assert result.text.endswith("\nzoom shows the region; nothing was searched.")
    assert trajectory.behaviour is Behaviour.GAZE


def test_a_zoom_into_a_zoom_and_the_same_again(tmp_path: Path) -> None:
    trajectory, evidence, _ = played(
        tmp_path, zoom([500, 0, 1000, 500]), zoom([0, 0, 500, 1000], 1), zoom([500, 0, 1000, 500])
    )
    assert len(evidence) == len(trajectory.images) - 1 == 2
    assert [step.error for step in trajectory.steps] == ["", "", "repeated", ""]


def test_with_zoom_a_gaze_still_searches_and_both_are_looks(tmp_path: Path) -> None:
    trajectory, _, image = played(tmp_path, zoom([500, 0, 1000, 500]), called("gaze", {"bbox_2d": [0, 0, 500, 500]}))
    assert image.asked == [trajectory.images[2].sha256]
    assert trajectory.behaviour is Behaviour.GAZE


@pytest.mark.parametrize(("tools", "action"), [(BUILT_IN, "gaze"), ((*BUILT_IN, "zoom"), "zoom")])
def test_the_fields_name_for_it_means_a_zoom_where_there_is_one(
    tmp_path: Path, tools: tuple[str, ...], action: str
) -> None:
    turn = zoom([0, 0, 500, 500], name="image_zoom_in_tool")
    trajectory, _, _ = played(tmp_path, turn, settings=EpisodeSettings(tools=tools))
    assert trajectory.steps[0].action == action


def test_a_model_is_told_of_it_only_where_it_is_on(tmp_path: Path) -> None:
    with_it, without = system_prompt(SETTINGS), system_prompt(EpisodeSettings())
    assert with_it[0].startswith(without[0] + "\n\n")
    assert "- zoom(bbox_2d, label, image)" in with_it[0]
    assert with_it[1] != without[1]
    trajectory, _, _ = played(tmp_path, zoom([0, 0, 500, 500]))
    assert [tool["function"]["name"] for tool in trajectory.tools] == [*BUILT_IN, "zoom"]  # type: ignore[call-overload, index]


def test_its_boxes_go_into_the_frame_of_a_backbone(tmp_path: Path) -> None:
    trajectory, evidence, _ = played(tmp_path, zoom([500, 0, 1000, 500]))
    with services(tmp_path / "more") as (_, images):
        seed = seed_of(images)
    target = SETTINGS.in_frame(BACKBONES["qwen2.5-vl"].spec)
    out = reframe(trajectory, seed, {one.evidence_id: one for one in evidence}, SETTINGS, target)
    assert isinstance(out, Trajectory), out
    written = out.messages[2].tool_calls[0].function.arguments
    assert written != trajectory.messages[2].tool_calls[0].function.arguments
    assert (out.steps, out.images) == (trajectory.steps[:0] + out.steps, trajectory.images)
    assert out.steps[0].box == trajectory.steps[0].box
    assert "in pixels of the image" in str(out.tools[3])
