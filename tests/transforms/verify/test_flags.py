"""Flags of a trajectory against what is known of the bundled world: useful gazes, changed focus, leaks."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from fakes import answered, called, gaze, seed_of
from playing import SETTINGS, World, asked_of

from gog.schemas import Box, EpisodeImage, Evidence, Message, Origin, Seed, Trajectory
from gog.transforms.atlas.scenes import Kind, Scene
from gog.transforms.episode import machine
from gog.transforms.episode.driver import Driven
from gog.transforms.episode.machine import Episode
from gog.transforms.episode.steps import is_reflective
from gog.transforms.episode.trajectory import Making, make_trajectory
from gog.transforms.verify.grounding import gaze_useful
from gog.transforms.verify.leaks import leaks

SCENES = 16
PLACED: tuple[Kind, ...] = ("gaze", "hop", "trap")
LEAST = 0.99


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.open(tmp_path_factory.mktemp("world"))


def scenes(world: World) -> Iterator[tuple[Scene, EpisodeImage, Box, Box]]:
    """Scenes with the box of the target and that of a flag of another country."""
    for kind in PLACED:
        for index in range(SCENES):
            scene, image = world.scene(kind, index)
            if scene.target_index is None:
                continue
            country, target = scene.boxes[scene.target_index]
            other = next((box for code, box in scene.boxes if code != country), None)
            if other is not None:
                yield scene, image, target, other


def look(box: Box, think: str = "") -> Message:
    return gaze([round(1000 * value) for value in box], think=think)


def play(world: World, scene: Scene, image: EpisodeImage, turns: Sequence[Message]) -> tuple[Episode, list[Evidence]]:
    """An episode along turns, and its evidence under ids of its own."""
    system, _ = asked_of(image, scene.question, system="s")
    episode, found = machine.start(SETTINGS, scene.question, [image], str(system.content)), []
    for number, turn in enumerate((*turns, answered("x"))):
        episode = machine.act(episode, turn)
        if episode.pending is not None:
            result = world.run(episode.pending, image)
            evidence = result.evidence.model_copy(update={"evidence_id": f"e{number}"})
            found.append(evidence)
            episode = machine.observe(episode, replace(result, evidence=evidence))
    return episode, found


def trajectory_of(seed: Seed, episode: Episode, found: Sequence[Evidence]) -> Trajectory:
    return make_trajectory(seed, Driven(episode, evidence=tuple(found)), Making(Origin.ROLLOUT, "test", 0, {}))


def rates(pairs: Sequence[tuple[bool, bool]]) -> tuple[float, float]:
    """Precision and recall of (flag, truth)."""
    hits = sum(flag and truth for flag, truth in pairs)
    return hits / max(1, sum(flag for flag, _ in pairs)), hits / max(1, sum(truth for _, truth in pairs))


def test_a_useful_gaze_is_one_at_the_target(world: World) -> None:
    pairs = []
    for scene, image, target, other in scenes(world):
        seed = seed_of(world.images, answers=scene.answers, entity=scene.entity, question=scene.question)
        for box, truth in ((target, True), (other, False)):
            episode, found = play(world, scene, image, [look(box)])
            trajectory = trajectory_of(seed, episode, found)
            useful = gaze_useful(trajectory, seed, {one.evidence_id: one for one in found})
            assert useful is not None
            pairs.append((useful, truth))
            without = seed.model_copy(update={"entity": None})
            assert gaze_useful(trajectory, without, {one.evidence_id: one for one in found}) is None
    assert len(pairs) >= 80
    precision, recall = rates(pairs)
    assert precision >= LEAST, precision
    assert recall >= LEAST, recall


def test_reflective_is_a_wrong_focus_that_was_noticed_and_left(world: World) -> None:
    off, useful = "Evidence: off target. I look again.", "Evidence：useful。"
    pairs = []
    for scene, image, target, other in scenes(world):
        closer = Box(other.x1, other.y1, other.x2, other.y2 - 0.1 * (other.y2 - other.y1))
        words = [called("text_search", {"query": text}, think=off) for text in ("one", "another")]
        for turns, truth in (
            ([look(other), look(target, off)], True),
            ([called("image_search", {}), look(target, off)], True),
            ([look(other), look(closer, off)], False),
            ([look(target), look(other, useful)], False),
            ([look(target), look(other)], False),
            (words, False),
        ):
            pairs.append((is_reflective(play(world, scene, image, turns)[0].steps), truth))
    precision, recall = rates(pairs)
    assert precision >= LEAST, precision
    assert recall >= LEAST, recall


PLANTED = [
    *(
        "The second proposed region fits.",
        "According to the plan I look here.",
        "The detector marked it.",
        "As instructed.",
    ),
    *("Laut Hinweis rechts.", "Nach dem Plan zuerst links.", "Según la pista, arriba.", "Se me pidió mirar aquí."),
    *("Selon l'indice, à gauche.", "On m'a dit de regarder ici.", "根据提示看右上角。", "按照计划先看左边。"),
    *("ヒントによると右上です。", "計画に従って左を見ます。", "حسب التلميح فهو في الأعلى.", "حسب الخطة أنظر يسارا."),
    *(
        "I use one of the boxes I was given.",
        "The reference answer says so.",
        "Box 3 is the one.",
        "the regions listed",
    ),
]
CLEAN = [
    *("The flag at the top right matters.", "I look at the left side first.", "My plan is to search the text next."),
    *(
        "Ich sehe rechts oben eine Flagge.",
        "Mein Plan: zuerst links.",
        "Miro arriba a la derecha.",
        "Mi plan es buscar.",
    ),
    *("Je regarde à gauche.", "Mon plan est de chercher.", "我看右上角的旗。", "我的计划是先看左边。"),
    *(
        "右上の旗を見ます。",
        "計画を立てます。",
        "أنظر إلى العلم في الأعلى.",
        "There is a hint of blue.",
        "The region above it.",
    ),
]


def test_planted_leaks_are_seen_and_nothing_else_is(world: World) -> None:
    pairs = []
    for scene, image, target, other in scenes(world):
        assert scene.entity is not None
        seed = seed_of(world.images, answers=(scene.entity,), entity=scene.entity, question="Whose flag is it?")
        golds = [f"This is {scene.entity}, I am sure.", f"{scene.entity}?"]
        for words, truth in [*((text, True) for text in [*PLANTED, *golds]), *((text, False) for text in CLEAN)]:
            episode, found = play(world, scene, image, [look(other, words), look(target)])
            pairs.append((bool(leaks(trajectory_of(seed, episode, found), seed)), truth))
    precision, recall = rates(pairs)
    assert precision >= LEAST, precision
    assert recall >= LEAST, recall
