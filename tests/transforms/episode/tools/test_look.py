"""`look`: the picture of a result becomes an image of the episode, which a gaze may look into."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSearch, ScriptedPolicy, answered, called, gaze, hit, picture, services, sha, side_of
from fakes import seed_of as _seed_of
from verifying import closed_world_judge

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.connect.addresses import check_addresses
from gog.schemas import Behaviour, Message, Seed, Split
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.dialect.observations import estimate_tokens
from gog.transforms.episode.machine import EpisodeSettings, system_prompt
from gog.transforms.episode.tools import BUILT_IN, TOOLS
from gog.transforms.export.reframe import reframe
from gog.transforms.export.rows import ExportSettings, SftRow, sft_row
from gog.transforms.services.store.records import Mode
from gog.transforms.synthesize.rollout import Attempt, RolloutSettings, rollout
from gog.transforms.verify.verdict import verdict

SETTINGS = EpisodeSettings(tools=(*BUILT_IN, "look"))
GLANCE = called("image_search")
SEARCH = called("text_search", {"query": "capital of Kenya"})


def look(result: Any) -> Message:
    return called("look", {"result": result})


def played(
    folder: Path,
    *turns: Message,
    settings: EpisodeSettings = SETTINGS,
    mode: Mode = Mode.LIVE,
    keep: bool = True,
    size: tuple[int, int] = (200, 100),
) -> tuple[Attempt, Seed, dict[str, bytes]]:
    """An attempt in a world whose glance finds two results, the second of which has a picture."""
    policy = ScriptedPolicy([*turns, answered("Nairobi", think="Evidence: useful. It is told above.")])
    image, text = (
        FakeSearch(id="fake-image:1"),
        FakeSearch(lambda q: (hit("Page", "Nairobi is it."),), id="fake-text:1"),
    )
    with services(folder, policy, image=image, text=text, mode=mode) as (world, images):
        there = images.put(picture(*size), "png") if keep else sha("gone")
        image.find = lambda _: (hit("Uganda"), hit("Kenya", "A flag.", thumbnail=there))
        seed = _seed_of(images)
        attempt = asyncio.run(rollout(world, policy, seed, (), 0, RolloutSettings(), settings))
        return attempt, seed, dict(images.blobs)


def trajectory_of(attempt: Attempt) -> Any:
    assert attempt.trajectory is not None, attempt.reject
    return attempt.trajectory


def test_a_picture_of_a_result_is_shown_and_gazed_into(tmp_path: Path) -> None:
    inside = gaze([0, 0, 400, 1000], image=1)
    attempt, _, blobs = played(tmp_path, GLANCE, look(2), inside, SEARCH)
    trajectory = trajectory_of(attempt)
    glanced, looked, gazed, searched = (message for message in trajectory.messages if message.role == "tool")
    assert "\n[2] Kenya | " in glanced.text
    assert glanced.text.endswith("\nResults with a picture: 2.")
    assert looked.text == (
        "Image 1: a picture that was found (200 x 100 pixels).\n"
        "look shows the picture of the result; nothing was searched."
    )
    original, found, crop = trajectory.images
    assert looked.images == (found.sha256,) == (found.origin,)
    assert (found.width, found.height) == (200, 100)
    assert crop.origin == found.sha256
    assert gazed.text.startswith("Image 2: the crop (")
    assert side_of(blobs[crop.sha256]) == "left"
    assert "\n[3] Uganda | " in gazed.text, "numbers go on through the episode"
    assert "\n[5] Page | " in searched.text
    _, seen, gaze_evidence, _ = attempt.evidence
    assert (seen.tool, seen.hits, seen.provider, seen.pictures) == ("look", (), "", (found,))
    assert gaze_evidence.box is None
    assert trajectory.steps[2].box is None
    assert trajectory.behaviour is Behaviour.MIXED
    assert original.origin is None


def test_a_look_makes_no_difference_to_the_kind_of_search(tmp_path: Path) -> None:
    judged = look(2).model_copy(update={"reasoning_content": "Evidence: off target. I look at the second."})
    trajectory = trajectory_of(played(tmp_path, GLANCE, judged)[0])
    assert trajectory.behaviour is Behaviour.GLANCE
    assert not trajectory.reflective


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"result": 1}, "Result 1 has no picture; these have: 2."),
        ({"result": 3}, "Result 3 has no picture; these have: 2."),
        ({"result": 0}, "look needs result"),
        ({"result": 10**9}, "look needs result"),
        ({"result": True}, "look needs result"),
        ({"result": "the second"}, "look needs result"),
        ({"result": "²"}, "look needs result"),
        ({}, "look needs result"),
    ],
)
def test_what_has_no_picture_is_the_models_mistake(tmp_path: Path, arguments: Any, words: str) -> None:
    trajectory = trajectory_of(played(tmp_path, GLANCE, called("look", arguments))[0])
    assert words in trajectory.messages[5].text
    assert trajectory.steps[1].error in {"no_picture", "bad_arguments"}
    assert len(trajectory.images) == 1


@pytest.mark.parametrize("written", [2, "2", [2], 2.0, "[2]", "#2"])
def test_a_number_however_it_is_written(tmp_path: Path, written: Any) -> None:
    assert len(trajectory_of(played(tmp_path, GLANCE, look(written))[0]).images) == 2


def test_before_a_search_no_result_has_a_picture(tmp_path: Path) -> None:
    trajectory = trajectory_of(played(tmp_path, look(1))[0])
    assert trajectory.messages[3].text == "Error: Result 1 has no picture; none has."


def test_the_same_look_again_and_one_beyond_the_images(tmp_path: Path) -> None:
    tight = SETTINGS.model_copy(update={"max_images": 2})
    trajectory = trajectory_of(played(tmp_path, GLANCE, look(2), look(2), GLANCE, settings=tight)[0])
    assert [step.error for step in trajectory.steps] == ["", "", "too_many_images", "repeated", ""]
    wide = trajectory_of(played(tmp_path, GLANCE, look(2), look(2))[0])
    assert [step.error for step in wide.steps] == ["", "", "repeated", ""]
    assert "It is the last image." in trajectory.messages[5].text
    inside = trajectory_of(played(tmp_path, GLANCE, look(2), gaze([0, 0, 500, 500], image=1), settings=tight)[0])
    assert inside.steps[2].error == "too_many_images"
    with_gaze = trajectory_of(played(tmp_path, GLANCE, gaze([0, 0, 500, 500]), look(2), settings=tight)[0])
    assert with_gaze.steps[2].error == "too_many_images"


def test_a_picture_that_no_processor_takes_is_not_shown(tmp_path: Path) -> None:
    trajectory = trajectory_of(played(tmp_path, GLANCE, look(2), size=(402, 2))[0])
    assert trajectory.messages[5].text == "look shows nothing: the picture cannot be read."
    assert trajectory.messages[5].images == ()
    assert len(trajectory.images) == 1


def test_a_picture_that_was_lost_is_the_infrastructures_failure(tmp_path: Path) -> None:
    attempt, _, _ = played(tmp_path, GLANCE, look(2), keep=False)
    assert attempt.reject is not None
    assert attempt.reject.reason == "search.failed"


def test_what_is_told_stays_within_the_budget(tmp_path: Path) -> None:
    tight = SETTINGS.model_copy(update={"observation_tokens": 50})
    trajectory = trajectory_of(played(tmp_path, GLANCE, SEARCH, settings=tight)[0])
    assert all(estimate_tokens(m.text) <= 50 for m in trajectory.messages if m.role == "tool")


def test_a_replay_shows_the_same(tmp_path: Path) -> None:
    turns = (GLANCE, look(2), gaze([0, 0, 400, 1000], image=1))
    first, _, _ = played(tmp_path, *turns, mode=Mode.RECORD)
    again, _, _ = played(tmp_path, *turns, mode=Mode.REPLAY)
    assert trajectory_of(first).messages == trajectory_of(again).messages


@pytest.mark.parametrize("backbone", ["qwen2.5-vl", "qwen3-vl"])
def test_it_goes_into_the_frame_and_the_row_of_a_backbone(tmp_path: Path, backbone: str) -> None:
    attempt, seed, _ = played(tmp_path, GLANCE, look(2), gaze([0, 0, 400, 1000], image=1))
    made, target = trajectory_of(attempt), SETTINGS.in_frame(BACKBONES[backbone].spec)
    out = reframe(made, seed, {one.evidence_id: one for one in attempt.evidence}, SETTINGS, target)
    assert out.images == made.images  # type: ignore[union-attr]
    judged = asyncio.run(verdict(made, seed, {e.evidence_id: e for e in attempt.evidence}, None, closed_world_judge))
    row = sft_row(out, seed, judged, Split.TRAIN, ExportSettings(), target)  # type: ignore[arg-type]
    assert isinstance(row, SftRow)
    assert row.image_sha256 == tuple(image.sha256 for image in made.images)
    assert row.messages.count('{"type":"image"}') == row.messages.replace(" ", "").count('{"type":"image"}') == 3


def test_a_look_alone_grounds_nothing_and_excuses_no_leak(tmp_path: Path) -> None:
    named = SEARCH.model_copy(update={"reasoning_content": "The picture says Nairobi."})
    attempt, seed, _ = played(tmp_path, GLANCE, look(2), named)
    by_id = {one.evidence_id: one for one in attempt.evidence}
    assert asyncio.run(verdict(trajectory_of(attempt), seed, by_id, None, closed_world_judge)).leaked


def test_a_model_is_told_of_it_only_where_it_is_on(tmp_path: Path) -> None:
    with_it, without = system_prompt(SETTINGS), system_prompt(EpisodeSettings())
    assert with_it[0].startswith(without[0] + "\n\n")
    assert f"- {TOOLS['look'].hint}" in with_it[0]
    plain = trajectory_of(played(tmp_path, GLANCE, settings=EpisodeSettings())[0])
    assert "picture" not in plain.messages[3].text
    assert trajectory_of(played(tmp_path, look(2), settings=EpisodeSettings())[0]).steps[0].error == "unknown_tool"


def test_a_search_of_the_web_has_to_bring_pictures_along() -> None:
    config = Config(episode=SETTINGS, image_search="serper:")
    with pytest.raises(ConfigError, match=r"look shows pictures of results: set `search\.thumbnails`"):
        check_addresses(config, keyed=False)
    check_addresses(Config(episode=SETTINGS))
