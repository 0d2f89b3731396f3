"""From an episode to its record, and to what a policy may see."""

from typing import Any

import pytest
from fakes import MemoryImages, answered, called, hit, seed_of

from gog.schemas import WHOLE, EpisodeImage, Evidence, Message, Origin, StopReason, TextPart, Trajectory
from gog.schemas.rows import check_row, from_row, to_row
from gog.transforms.episode.driver import Driven
from gog.transforms.episode.machine import Episode, EpisodeSettings, act, observe, start, system_prompt
from gog.transforms.episode.tool import ToolResult
from gog.transforms.episode.trajectory import Making, make_trajectory, policy_view

SEED = seed_of(MemoryImages())
IMAGE = EpisodeImage(sha256=SEED.image_sha256, width=640, height=480, box=WHOLE)
SETTINGS = EpisodeSettings()
MAKING = Making(Origin.ROLLOUT, "teacher:1", 0, {"episode/teacher": "0" * 16})
HINT = "1. [5, 6, 7, 8] SECRET-LABEL"


def episode(answer: str = "Nairobi", hints: str | None = HINT, teacher: bool = True) -> Episode:
    """A glance, then an answer."""
    state = start(SETTINGS, SEED.question, [IMAGE], system_prompt(SETTINGS, teacher=teacher)[0], hints=hints)
    state = act(state, called("image_search", think="I look."))
    evidence = Evidence(evidence_id="evidence-1", tool="image_search", hits=(hit("Kenya"),), provider="p")
    state = observe(state, ToolResult(evidence))
    return act(state, answered(answer, think="Evidence: useful. It is Kenya."))


def trajectory(making: Making = MAKING, **changes: Any) -> Trajectory:
    """Its record."""
    return make_trajectory(SEED, Driven(episode(**changes), (), 300, 30), making)


def test_an_unfinished_episode_has_no_record() -> None:
    with pytest.raises(ValueError, match="not stopped"):
        make_trajectory(SEED, Driven(start(SETTINGS, "q", [IMAGE], "s")), MAKING)


def test_the_record_holds_the_episode() -> None:
    made = trajectory()
    assert (made.seed_id, made.answer, made.stop) == (SEED.seed_id, "Nairobi", StopReason.ANSWERED)
    assert (made.behaviour.value, made.reflective) == ("glance", False)
    assert (made.prompt_tokens, made.completion_tokens) == (300, 30)
    assert made.images == (IMAGE,)
    row = to_row(made)
    check_row("trajectories", row)
    assert from_row(Trajectory, row) == made


def test_the_id_is_a_hash_of_what_was_said_and_done() -> None:
    assert trajectory().trajectory_id == trajectory().trajectory_id
    made = {
        trajectory().trajectory_id,
        trajectory(answer="Mombasa").trajectory_id,
        trajectory(hints=None).trajectory_id,
        trajectory(Making(Origin.ROLLOUT, "teacher:1", 1, {})).trajectory_id,
        trajectory(Making(Origin.COMPOSE, "teacher:1", 0, {})).trajectory_id,
        trajectory(Making(Origin.ROLLOUT, "teacher:2", 0, {})).trajectory_id,
        trajectory(Making(Origin.ROLLOUT, "teacher:1", 0, {}, plan="gaze")).trajectory_id,
    }
    assert len(made) == 7


def test_ids_of_calls_do_not_change_the_id() -> None:
    """Servers draw them at random; a second run of the same words is the same trajectory."""

    def spoken(call_id: str) -> str:
        state = act(start(SETTINGS, "q", [IMAGE], "s"), called("image_search", call_id=call_id))
        evidence = Evidence(evidence_id="e", tool="image_search", provider="p")
        state = act(observe(state, ToolResult(evidence)), answered("x"))
        return make_trajectory(SEED, Driven(state), MAKING).trajectory_id

    assert spoken("chatcmpl-tool-1") == spoken("chatcmpl-tool-2")


def test_a_policys_view_has_its_own_prompt_and_no_hints_and_else_the_same() -> None:
    made = trajectory()
    view = policy_view(made, SETTINGS)
    assert view[0] == Message(role="system", content=system_prompt(SETTINGS)[0])
    assert view[0] != made.messages[0]
    assert view[2:] == made.messages[2:]
    assert view[1].images == made.messages[1].images
    assert [part.text for part in view[1].content if isinstance(part, TextPart)] == [
        f"Image 0 (640 x 480 pixels).\nQuestion: {SEED.question}"
    ]
    assert any("SECRET-LABEL" in message.text for message in made.messages)
    assert not any("SECRET-LABEL" in message.model_dump_json() for message in view)


def test_a_policys_own_episode_is_its_own_view() -> None:
    made = trajectory(hints=None, teacher=False)
    assert policy_view(made, SETTINGS) == made.messages


@pytest.mark.parametrize(
    "messages",
    [
        (Message(role="user", content="a"), Message(role="user", content="b")),
        (Message(role="system", content="a"), Message(role="user", content="b")),
        (Message(role="system", content="a"), Message(role="user", content=(TextPart(text="b"), TextPart(text="c")))),
    ],
)
def test_what_does_not_begin_like_an_episode_has_no_view(messages: tuple[Message, ...]) -> None:
    with pytest.raises(ValueError, match="does not begin"):
        policy_view(trajectory().model_copy(update={"messages": messages}), SETTINGS)
