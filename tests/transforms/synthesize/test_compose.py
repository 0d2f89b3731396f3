"""Composing: evidence first, then turns along a plan, by a teacher that never sees the gold answer."""

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fakes import (
    HALF_LEFT,
    HALF_RIGHT,
    FakeSearch,
    Found,
    MemoryImages,
    ScriptedPolicy,
    Told,
    answered,
    called,
    hit,
    obedient,
    region_of,
    said,
    seed_of,
    services,
    side_of,
)

from gog.schemas import Behaviour, Box, FailureClass, Frame, Message, Origin, Reflection
from gog.schemas.rows import check_row, to_row
from gog.transforms.episode.driver import Driven, OnTurn
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.trajectory import policy_view
from gog.transforms.services.protocols import ChatRequest, ServiceError
from gog.transforms.synthesize.compose import ComposeSettings, compose
from gog.transforms.synthesize.rollout import Attempt, RolloutSettings

SETTINGS = EpisodeSettings()
REFLECTIVE_GAZE = ComposeSettings(weights={Behaviour.GAZE: 1.0}, reflective_share=1.0)
REFLECTIVE_MIXED = ComposeSettings(weights={Behaviour.MIXED: 1.0}, reflective_share=1.0)
WINDOW = Box(0.55, 0.1, 0.951234, 0.98765)


class World:
    """What the searches with the whole picture, its left and its right side return, and what text searches do."""

    def __init__(self, glance: Found, left: Found, right: Found, text: Found = ()) -> None:
        self._found = {"both": glance, "left": left, "right": right}
        self.images = MemoryImages()
        self.image = FakeSearch(lambda sha256: self._found[side_of(self.images.read(sha256))], id="image:1")
        self.text = FakeSearch(lambda _: text, id="text:1")


def kenya() -> World:
    """The right region names the target and holds the answer; the others miss."""
    return World((hit("A wall", score=0.2),), (hit("Malawi", score=0.6),), (hit("Kenya", "Capital: Nairobi.", 0.9),))


def run(
    folder: Path,
    world: World,
    settings: ComposeSettings,
    teach: Callable[[ChatRequest], Told] = obedient,
    *,
    episode: EpisodeSettings = SETTINGS,
    sample_index: int = 0,
    on_turn: OnTurn | None = None,
    seed: Mapping[str, Any] | None = None,
    judge: list[Told] | None = None,
) -> tuple[Attempt, ScriptedPolicy]:
    """One composed attempt at the seed with those fields."""
    policy = ScriptedPolicy(teach)
    told = ScriptedPolicy(judge or [], id="judge:1")
    with services(folder, policy, text=world.text, image=world.image, judge=told) as (door, images):
        world.images = images
        asked = seed_of(images, **(seed or {}))
        regions = (region_of(asked, HALF_LEFT, number=1), region_of(asked, WINDOW, "the flag", number=2))
        made = asyncio.run(
            compose(door, asked, regions, sample_index, settings, RolloutSettings(), episode, 7, on_turn)
        )
    assert (made.trajectory is None) != (made.reject is None)
    if made.reject is not None:
        check_row("rejects", to_row(made.reject))
    return made, policy


@pytest.mark.parametrize("frame", [Frame.PER_MILLE, Frame.FRACTION, Frame.PIXELS, Frame.RESIZED_PIXELS])
def test_a_wrong_gaze_first_is_shown_but_not_trained(tmp_path: Path, frame: Frame) -> None:
    made, _ = run(tmp_path, kenya(), REFLECTIVE_GAZE, episode=EpisodeSettings(frame=frame))
    trajectory = made.trajectory
    assert trajectory is not None
    assert (trajectory.origin, trajectory.plan, trajectory.plan_used_gold) == (Origin.COMPOSE, "gaze+wrong_first", True)
    assert (trajectory.behaviour, trajectory.reflective) == (Behaviour.GAZE, True)
    assert [(step.action, step.train) for step in trajectory.steps] == [
        ("gaze", False),
        ("gaze", True),
        ("answer", True),
    ]
    assert [step.reflection for step in trajectory.steps] == [None, Reflection.OFF_TARGET, Reflection.USEFUL]
    assert set(trajectory.prompt_hashes) == {"episode/teacher", "compose/turn"}
    assert [step.error for step in trajectory.steps] == ["", "", ""]
    check_row("trajectories", to_row(trajectory))


def test_the_planned_search_is_the_one_that_was_made(tmp_path: Path) -> None:
    """The gaze of the plan finds the very crop that was searched before: no second call is paid."""
    world = kenya()
    made, _ = run(tmp_path, world, REFLECTIVE_GAZE)
    assert len(set(world.image.asked)) == 3
    assert made.trajectory is not None
    assert {image.sha256 for image in made.trajectory.images} <= set(world.image.asked)


def test_a_text_search_is_the_teachers_own(tmp_path: Path) -> None:
    world = World((), (), (hit("Kenya"),), (hit("Kenya", "Its capital is Nairobi."),))
    made, _ = run(tmp_path, world, REFLECTIVE_MIXED)
    assert made.trajectory is not None
    assert made.trajectory.plan == "mixed+wrong_first"
    assert world.text.asked == ["capital of Kenya"]
    assert [item.tool for item in made.evidence] == ["gaze", "gaze", "text_search"]


def test_the_teacher_never_sees_the_gold_answer(tmp_path: Path) -> None:
    """Nothing that was sent names answer or entity when no evidence does."""
    world = World((), (), (hit("A flag", "Of some country.", 0.95),), (hit("Flags", "Many."),))
    mixed = ComposeSettings(weights={Behaviour.MIXED: 1.0})
    teach = partial(obedient, query="capital of the country with that flag")
    _, policy = run(tmp_path, world, mixed, teach, seed={"entity": None}, judge=[said('{"look": 1}')])
    assert len(policy.requests) >= 3
    assert "nairobi" not in policy.heard.lower()
    assert "kenya" not in policy.heard.lower()


def test_the_teacher_sees_only_what_came_before(tmp_path: Path) -> None:
    """The answer stands in the last search alone: no request before it may hold it."""
    world = World((), (hit("Malawi", score=0.5),), (hit("Kenya"),), (hit("Kenya", "Its capital is Nairobi."),))
    _, policy = run(tmp_path, world, REFLECTIVE_MIXED)
    sent = ["\n".join(m.model_dump_json() for m in request.messages).lower() for request in policy.requests]
    assert ["nairobi" in text for text in sent] == [False, False, False, True]
    assert ["kenya" in text for text in sent] == [False, False, True, True]


def test_notes_are_not_in_the_trajectory(tmp_path: Path) -> None:
    made, policy = run(tmp_path, kenya(), REFLECTIVE_GAZE)
    assert "Do not mention this note" in policy.heard
    assert made.trajectory is not None
    for messages in (made.trajectory.messages, policy_view(made.trajectory, SETTINGS)):
        text = "\n".join(message.model_dump_json() for message in messages)
        assert "this note" not in text
        assert "nothing else" not in text


def test_the_note_is_the_last_message_and_the_rest_is_the_episode(tmp_path: Path) -> None:
    made, policy = run(tmp_path, kenya(), REFLECTIVE_GAZE)
    assert made.trajectory is not None
    for turn, request in enumerate(policy.requests):
        assert request.messages[:-1] == made.trajectory.messages[: 2 + 2 * turn]
        assert request.messages[-1].role == "user"
        assert request.messages[-1].text.startswith("Write the next turn of this episode.")


def _says(text: str) -> Callable[[ChatRequest], Told]:
    return lambda request: obedient(request).model_copy(update={"reasoning_content": text})


def _answers_at_once(_: ChatRequest) -> Told:
    return answered("Nairobi", think="Evidence: useful.")


def _calls_another(_: ChatRequest) -> Told:
    return called("image_search", think="Evidence: off target.")


def _rambles(_: ChatRequest) -> Told:
    return said("I would rather not.")


@pytest.mark.parametrize(
    "teach", [_says("It is the flag."), _says("Evidence: ambiguous."), _answers_at_once, _calls_another, _rambles]
)
def test_a_teacher_off_the_plan(tmp_path: Path, teach: Callable[[ChatRequest], Told]) -> None:
    made, _ = run(tmp_path, kenya(), REFLECTIVE_GAZE, teach)
    assert made.reject is not None
    assert made.reject.reason == "compose.off_plan"
    assert made.reject.detail.startswith("turn ")
    assert len(made.evidence) == 3


def test_planned_arguments_stand_whatever_the_teacher_writes(tmp_path: Path) -> None:
    def elsewhere(request: ChatRequest) -> Told:
        turn = obedient(request)
        return called("gaze", {"bbox_2d": [1, 1, 9, 9]}, think=turn.reasoning_content) if turn.tool_calls else turn

    made, _ = run(tmp_path, kenya(), REFLECTIVE_GAZE, elsewhere)
    assert made.trajectory is not None
    assert made.trajectory.steps[1].arguments["bbox_2d"] == [550, 100, 951, 988]


@pytest.mark.parametrize("world", [World((), (), ()), World((hit("x", score=0.3),), (hit("y", score=0.69),), ())])
def test_no_plan_keeps_what_was_looked_at(tmp_path: Path, world: World) -> None:
    made, policy = run(tmp_path, world, ComposeSettings())
    assert made.reject is not None
    assert made.reject.reason == "compose.no_plan"
    assert len(made.evidence) == 3
    assert policy.requests == []


@pytest.mark.parametrize("query", ["flag at the top right", "its capital", "x"])
def test_a_query_that_names_nothing_of_what_was_found_is_off_the_plan(tmp_path: Path, query: str) -> None:
    made, _ = run(tmp_path, kenya(), REFLECTIVE_MIXED, partial(obedient, query=query))
    assert made.reject is not None
    assert (made.reject.reason, made.reject.detail) == (
        "compose.off_plan",
        "turn 2 should search by a name that was found",
    )


def test_a_judge_that_cannot_be_asked_as_the_run_has_stopped_is_no_missing_plan(tmp_path: Path) -> None:
    stopped = ServiceError(FailureClass.BUDGET, "the ceiling")
    made, _ = run(tmp_path, kenya(), REFLECTIVE_GAZE, seed={"entity": None}, judge=[stopped])
    assert made.reject is not None
    assert made.reject.reason == "budget.reached"
    assert len(made.evidence) == 3


def test_a_failed_search_is_a_reject(tmp_path: Path) -> None:
    world = World((), ServiceError(FailureClass.BAD_REQUEST, "no"), (hit("Kenya"),))
    made, policy = run(tmp_path, world, ComposeSettings())
    assert made.reject is not None
    assert made.reject.reason == "search.failed"
    assert policy.requests == []


def test_a_failed_text_search_keeps_what_was_looked_at(tmp_path: Path) -> None:
    world = World((), (), (hit("Kenya"),), ServiceError(FailureClass.BAD_REQUEST, "no"))
    made, _ = run(tmp_path, world, REFLECTIVE_MIXED)
    assert made.reject is not None
    assert made.reject.reason == "search.failed"
    assert len(made.evidence) == 3


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (FailureClass.REFUSED, "teacher.refused"),
        (FailureClass.TIMEOUT, "teacher.timeout"),
        (FailureClass.AUTH, "teacher.failed"),
        (FailureClass.BUDGET, "budget.reached"),
    ],
)
def test_a_failing_teacher(tmp_path: Path, failure: FailureClass, reason: str) -> None:
    made, _ = run(tmp_path, kenya(), REFLECTIVE_GAZE, lambda _: ServiceError(failure, "no"))
    assert made.reject is not None
    assert made.reject.reason == reason
    assert len(made.evidence) == 3


def test_a_plan_longer_than_the_episode_runs_out_of_turns(tmp_path: Path) -> None:
    made, _ = run(tmp_path, kenya(), REFLECTIVE_GAZE, episode=EpisodeSettings(max_turns=2))
    assert made.reject is not None
    assert made.reject.reason == "episode.out_of_turns"
    assert len(made.evidence) == 2


def test_without_gaze_there_is_only_the_glance(tmp_path: Path) -> None:
    world = World((hit("Kenya", "Nairobi"),), (), ())
    only = EpisodeSettings(tools=("text_search", "image_search"))
    made, policy = run(tmp_path, world, ComposeSettings(weights={Behaviour.GLANCE: 1.0}), episode=only)
    assert made.trajectory is not None
    assert made.trajectory.behaviour is Behaviour.GLANCE
    assert len(set(world.image.asked)) == 1
    assert "gaze(" not in policy.heard


def test_samples_draw_their_own_plans(tmp_path: Path) -> None:
    made = [run(tmp_path / str(n), kenya(), ComposeSettings(), sample_index=n)[0].trajectory for n in range(8)]
    again = [run(tmp_path / f"again-{n}", kenya(), ComposeSettings(), sample_index=n)[0].trajectory for n in range(8)]
    assert made == again
    assert len({trajectory.plan for trajectory in made if trajectory}) > 1


def test_on_turn_is_told_as_in_a_rollout(tmp_path: Path) -> None:
    states: list[Driven] = []
    run(tmp_path, kenya(), REFLECTIVE_GAZE, on_turn=states.append)
    assert [(state.episode.turns, state.episode.pending is not None) for state in states] == [
        (1, True),
        (1, False),
        (2, True),
        (2, False),
        (3, False),
    ]


def test_a_detectors_labels_are_not_the_teachers_words(tmp_path: Path) -> None:
    """A policy has no detector: its words in a call would be a hint that stayed."""
    policy = ScriptedPolicy(lambda request: _labelled(obedient(request)))
    world = kenya()
    with services(tmp_path, policy, text=world.text, image=world.image) as (door, images):
        world.images = images
        seed = seed_of(images)
        regions = tuple(region_of(seed, box, "DETECTED", n) for n, box in enumerate([HALF_LEFT, HALF_RIGHT]))
        made = asyncio.run(compose(door, seed, regions, 0, REFLECTIVE_GAZE, RolloutSettings(), SETTINGS, 7))
    assert made.trajectory is not None
    assert [step.arguments.get("label") for step in made.trajectory.steps] == ["my words", "my words", None]
    assert "DETECTED" not in policy.heard
    assert "DETECTED" not in made.trajectory.model_dump_json()


def _labelled(turn: Message) -> Told:
    if not turn.tool_calls:
        return turn
    arguments = json.loads(turn.tool_calls[0].function.arguments)
    return called("gaze", arguments | {"label": "my words"}, think=turn.reasoning_content)
