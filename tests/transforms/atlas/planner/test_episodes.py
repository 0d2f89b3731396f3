"""Whole episodes in the bundled world: who is right how often, and what the turns say."""

from collections import Counter
from typing import cast

import pytest
from fakes import seed_of
from playing import World, is_right

from gog.prompts import render
from gog.schemas import Behaviour, Origin, Reflection, StopReason
from gog.transforms.atlas.planner.famous import named
from gog.transforms.atlas.planner.policy import Planner
from gog.transforms.atlas.scenes import KINDS, Kind
from gog.transforms.dialect.turns import plain_text
from gog.transforms.episode.driver import Driven
from gog.transforms.episode.machine import Episode, EpisodeSettings, behaviour_of
from gog.transforms.episode.steps import is_reflective
from gog.transforms.episode.trajectory import Making, make_trajectory
from gog.transforms.verify.leaks import _HINT, _PLAN, leaks

SCENES = 7
PLACED: tuple[Kind, ...] = ("gaze", "hop", "trap")


def passes(
    world: World, kinds: tuple[Kind, ...], skill: float, temperature: float, samples: int
) -> tuple[list[int], list[Episode]]:
    """Right tries of each scene, and all the episodes."""
    planner, rates, episodes = Planner(world.images, skill), [], []
    for kind in kinds:
        for index in range(SCENES):
            scene, image = world.scene(kind, index)
            played = [
                world.play(planner, scene.question, image, sample=n, temperature=temperature) for n in range(samples)
            ]
            rates.append(sum(is_right(scene, episode.answer) for episode in played))
            episodes += played
    return rates, episodes


def test_with_full_skill_and_no_temperature_it_is_nearly_always_right(world: World) -> None:
    rates, episodes = passes(world, KINDS, 1.0, 0.0, 1)
    assert sum(rates) >= 0.85 * len(rates), rates  # 96% of 300 scenes; these are the harder ones
    assert {episode.stop for episode in episodes} == {StopReason.ANSWERED}


def test_as_a_teacher_it_errs_recovers_and_says_so(world: World) -> None:
    rates, episodes = passes(world, PLACED, 0.85, 0.8, 2)
    assert 0.5 <= sum(rates) / (2 * len(rates)) <= 0.95  # 70% of many scenes; these are few
    reflective = [episode for episode in episodes if is_reflective(episode.steps)]
    assert 0.15 <= len(reflective) / len(episodes) <= 0.65
    said = Counter(step.reflection for episode in episodes for step in episode.steps)
    assert said[Reflection.USEFUL] > said[Reflection.OFF_TARGET] > 0
    assert {str(behaviour_of(episode)) for episode in episodes} >= {"gaze", "mixed"}


def test_at_half_skill_every_level_occurs(world: World) -> None:
    rates = Counter(passes(world, KINDS, 0.5, 1.0, 4)[0])
    assert rates[4] >= 3
    assert rates[0] >= 3
    assert rates[1] + rates[2] + rates[3] >= 5


def test_more_skill_is_right_more_often(world: World) -> None:
    right = [sum(passes(world, PLACED, skill, 1.0, 1)[0]) for skill in (0.1, 0.6, 1.0)]
    assert right[0] < right[1] < right[2]


def test_without_gaze_only_what_fills_the_picture_is_identified(world: World) -> None:
    settings = EpisodeSettings(tools=("text_search", "image_search"))
    planner = Planner(world.images, 1.0)
    right: Counter[Kind] = Counter()
    for kind in ("glance", "gaze"):
        for index in range(SCENES):
            scene, image = world.scene(kind, index)
            episode = world.play(planner, scene.question, image, settings=settings)
            right[kind] += is_right(scene, episode.answer)
            assert all(step.action != "gaze" for step in episode.steps)
    assert right["glance"] >= 0.9 * SCENES
    assert right["gaze"] <= 0.3 * SCENES


def test_thoughts_leak_nothing_and_judge_every_result(world: World) -> None:
    _, episodes = passes(world, KINDS, 0.6, 1.0, 2)
    for episode in episodes:
        searched = False
        for message, step in zip((m for m in episode.messages if m.role == "assistant"), episode.steps, strict=True):
            thought = message.reasoning_content or ""
            assert thought, message
            assert not any(pattern.search(plain_text(message)) for pattern in (*_HINT, *_PLAN)), thought
            assert not any(character.isdigit() for character in thought) or "answer" in step.action, thought
            assert (step.reflection is not None) or not searched or step.error, thought
            assert "{" not in thought
            searched = searched or bool(step.evidence_ids)


def test_a_fact_of_a_famous_flag_is_looked_up_in_text_alone(world: World) -> None:
    """Some do it, most of them are right, and what they think gives no answer away."""
    planner, right, told = Planner(world.images), [], 0
    for kind, index in [("hop", n) for n in range(16)] + [("glance", n) for n in range(6)]:
        scene, image = world.scene(cast(Kind, kind), index)
        for sample in range(2 if scene.fact else 0):
            episode = world.play(planner, scene.question, image, sample=sample, temperature=0.8)
            if behaviour_of(episode) is not Behaviour.TEXT:
                continue
            assert episode.steps[0].action == "text_search"
            right.append(is_right(scene, episode.answer))
            told += named(plain_text(episode.messages[2])) != ""
            seed = seed_of(world.images).model_copy(
                update={"question": scene.question, "answers": scene.answers, "answer_type": scene.answer_type}
            )
            made = make_trajectory(seed, Driven(episode, (), 1, 1), Making(Origin.ROLLOUT, planner.id, sample, {}))
            assert leaks(made, seed) == ()
    assert told == len(right) >= 3
    assert sum(right) >= 0.6 * len(right)


def test_a_name_is_never_looked_up_by_heart(world: World) -> None:
    planner = Planner(world.images)
    for index in range(6):
        scene, image = world.scene("glance", index)
        episode = world.play(planner, scene.question, image, temperature=0.8)
        assert scene.fact or behaviour_of(episode) is not Behaviour.TEXT


def test_phrasings_vary(world: World) -> None:
    _, episodes = passes(world, PLACED, 0.85, 0.8, 2)
    first = Counter(episode.messages[2].reasoning_content for episode in episodes)
    assert len(first) >= 8


def test_hints_may_be_given_and_stay_out_of_the_thoughts(world: World) -> None:
    planner, right, bare = Planner(world.images, 1.0), 0, 0
    for index in range(SCENES):
        scene, image = world.scene("gaze", index)
        boxes = [[round(1000 * v) for v in box] for _, box in scene.boxes]
        hints = render("episode/hints", regions=[{"box": str(box), "label": "thing"} for box in boxes]).text
        episode = world.play(planner, scene.question, image, hints=hints)
        right += is_right(scene, episode.answer)
        bare += is_right(scene, world.play(planner, scene.question, image).answer)
        for message in episode.messages[2:]:
            assert "hint" not in plain_text(message).lower()
    assert right >= bare > 0


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_few_turns_still_end_with_an_answer(world: World, turns: int) -> None:
    planner = Planner(world.images, 0.9)
    for kind in KINDS:
        scene, image = world.scene(kind, 0)
        episode = world.play(planner, scene.question, image, temperature=0.8, settings=EpisodeSettings(max_turns=turns))
        assert episode.stop in (StopReason.ANSWERED, StopReason.OUT_OF_TURNS)
        assert turns == 1 or episode.stop is StopReason.ANSWERED


def test_it_makes_malformed_calls_and_mends_them(world: World) -> None:
    _, episodes = passes(world, ("gaze",), 0.2, 1.5, 16)
    broken = [episode for episode in episodes if any(step.error for step in episode.steps)]
    assert broken
    assert sum(episode.stop is StopReason.ANSWERED for episode in broken) >= 0.9 * len(broken)
