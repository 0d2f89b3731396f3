"""Our driver: one scripted policy, fake services, a real door."""

import asyncio
from pathlib import Path

import pytest
from fakes import (
    FakeSearch,
    ScriptedPolicy,
    Told,
    answered,
    called,
    gaze,
    hit,
    said,
    seed_of,
    services,
)

from gog.schemas import Evidence, FailureClass, StopReason
from gog.transforms.episode.driver import Driven, drive, speaker
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start
from gog.transforms.episode.tool import EpisodeTools, ToolError
from gog.transforms.episode.trajectory import images_of
from gog.transforms.services.protocols import ChatReply, Sampling, ServiceError

FOUND = (hit("Kenya", "Nairobi is its capital."),)
SETTINGS = EpisodeSettings()


def run(
    folder: Path,
    script: list[Told],
    *,
    text: FakeSearch | None = None,
    image: FakeSearch | None = None,
    sample_index: int = 0,
) -> tuple[Driven, list[Driven], ScriptedPolicy]:
    """Drive the script; also what `on_turn` got and what the policy was asked."""
    policy = ScriptedPolicy(list(script))
    states: list[Driven] = []
    text = text or FakeSearch(lambda _: FOUND, id="text:1")
    image = image or FakeSearch(lambda _: FOUND, id="image:1")
    with services(folder, policy, text=text, image=image) as (world, images):
        seed = seed_of(images)
        tools = EpisodeTools(world.gateway, world.text_search, world.image_search, world.cropper, 2)
        speak = speaker(world.gateway, policy, Sampling(0.5), sample_index, offered_tools(SETTINGS), "hash", "episode")
        state = start(SETTINGS, seed.question, images_of(seed), "You look.")
        driven = asyncio.run(drive(state, speak, tools, states.append))
    return driven, states, policy


SCRIPT: list[Told] = [
    called("image_search", think="I look."),
    gaze([500, 0, 1000, 500], think="Evidence: off target."),
    called("text_search", {"query": "capital of Kenya"}, think="Evidence: useful."),
    answered("Nairobi", think="Evidence: useful."),
]


def test_an_episode_from_question_to_answer(tmp_path: Path) -> None:
    driven, states, policy = run(tmp_path, SCRIPT)
    assert driven.failure is None
    episode = driven.episode
    assert (episode.stop, episode.answer) == (StopReason.ANSWERED, "Nairobi")
    assert [step.action for step in episode.steps] == ["image_search", "gaze", "text_search", "answer"]
    assert [item.tool for item in driven.evidence] == ["image_search", "gaze", "text_search"]
    assert [step.evidence_ids for step in episode.steps] == [*((item.evidence_id,) for item in driven.evidence), ()]
    assert (driven.prompt_tokens, driven.completion_tokens) == (400, 40)
    assert len(policy.requests) == 4
    assert states[-1] == driven


def test_on_turn_is_told_after_every_turn_and_every_result(tmp_path: Path) -> None:
    _, states, _ = run(tmp_path, SCRIPT)
    assert [(state.episode.turns, state.episode.pending is not None) for state in states] == [
        (1, True),
        (1, False),
        (2, True),
        (2, False),
        (3, True),
        (3, False),
        (4, False),
    ]


def test_the_model_is_asked_with_the_whole_history(tmp_path: Path) -> None:
    driven, _, policy = run(tmp_path, SCRIPT, sample_index=3)
    for turn, request in enumerate(policy.requests):
        assert request.messages == driven.episode.messages[: 2 + 2 * turn]
        assert (request.sample_index, request.prompt_hash, request.sampling) == (3, "hash", Sampling(0.5))
        assert request.tools == offered_tools(SETTINGS)


def test_a_gaze_searches_with_the_crop_and_says_what_it_covers(tmp_path: Path) -> None:
    image = FakeSearch(lambda _: FOUND)
    driven, _, _ = run(tmp_path, SCRIPT, image=image)
    glance, look, _ = driven.evidence
    original, crop = driven.episode.images
    assert image.asked == [original.sha256, crop.sha256]
    assert (glance.image_sha256, glance.box) == (original.sha256, None)
    assert (look.image_sha256, look.box) == (crop.sha256, crop.box)
    drawn = driven.episode.steps[1].box
    assert drawn is not None
    assert crop.box.x1 <= drawn.x1
    assert drawn.y2 <= crop.box.y2


def test_evidence_ids_are_the_same_in_every_run(tmp_path: Path) -> None:
    first, _, _ = run(tmp_path / "a", SCRIPT)
    again, _, _ = run(tmp_path / "b", SCRIPT)
    assert first == again
    other, _, _ = run(tmp_path / "c", SCRIPT, text=FakeSearch(lambda _: (hit("Malawi"),), id="text:1"))
    pairs = zip(first.evidence, other.evidence, strict=True)
    assert [one.evidence_id == two.evidence_id for one, two in pairs] == [True, True, False]


def test_no_more_hits_than_asked_for(tmp_path: Path) -> None:
    many = tuple(hit(f"Page {rank}", rank=rank) for rank in range(1, 9))
    driven, _, _ = run(tmp_path, SCRIPT, text=FakeSearch(lambda _: many))
    assert [len(item.hits) for item in driven.evidence] == [1, 1, 2]


@pytest.mark.parametrize("failure", [FailureClass.REFUSED, FailureClass.TIMEOUT, FailureClass.AUTH])
def test_a_failing_model_breaks_the_episode_off_and_keeps_what_came_before(
    tmp_path: Path, failure: FailureClass
) -> None:
    broken: list[Told] = [ServiceError(failure, "no") for _ in range(5)]
    driven, _, _ = run(tmp_path, [*SCRIPT[:2], *broken])
    assert driven.failure is not None
    assert not isinstance(driven.failure, ToolError)
    assert driven.failure.failure is failure
    assert driven.episode.stop is None
    assert len(driven.evidence) == 2
    assert driven.episode.strikes == 0


@pytest.mark.parametrize("failure", [FailureClass.SERVER, FailureClass.BAD_REQUEST])
def test_a_failing_tool_is_told_from_a_failing_model(tmp_path: Path, failure: FailureClass) -> None:
    text = FakeSearch(lambda _: ServiceError(failure, "no"))
    driven, _, policy = run(tmp_path, SCRIPT, text=text)
    assert isinstance(driven.failure, ToolError)
    assert driven.failure.failure is failure
    assert "text_search" in str(driven.failure)
    assert len(policy.requests) == 3
    assert len(driven.evidence) == 2
    assert driven.episode.strikes == 0


def test_mistakes_call_no_tool(tmp_path: Path) -> None:
    text, image = FakeSearch(lambda _: FOUND), FakeSearch(lambda _: FOUND)
    wrong: list[Told] = [called("text_search", {}), said("hm"), gaze([0, 0, 5000, 1])]
    driven, _, _ = run(tmp_path, wrong, text=text, image=image)
    assert driven.episode.stop is StopReason.STRIKES
    assert text.asked == image.asked == []
    assert driven.prompt_tokens == 300


def test_repeats_call_no_tool(tmp_path: Path) -> None:
    text = FakeSearch(lambda _: FOUND)
    twice: list[Told] = [called("text_search", {"query": "q"})] * 2
    driven, _, _ = run(tmp_path, [*twice, answered("x")], text=text)
    assert text.asked == ["q"]
    assert len(driven.evidence) == 1


def test_a_reply_cut_at_its_length_is_a_strike_not_a_failure(tmp_path: Path) -> None:
    cut = ChatReply(said('<tool_call>{"name": "text_search", "argum'), "length", 100, 10)
    driven, _, _ = run(tmp_path, [cut, answered("x")])
    assert driven.failure is None
    assert driven.episode.strikes == 1
    assert driven.episode.answer == "x"


def test_an_empty_result_is_evidence_too(tmp_path: Path) -> None:
    driven, _, _ = run(tmp_path, [called("text_search", {"query": "q"}), answered("x")], text=FakeSearch())
    assert [item.hits for item in driven.evidence] == [()]
    assert "found nothing" in driven.episode.messages[-2].text


def test_bugs_are_not_hidden(tmp_path: Path) -> None:
    def bug(_: str) -> tuple[()]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, SCRIPT, image=FakeSearch(bug))


def test_evidence_does_not_name_the_original_as_a_box(tmp_path: Path) -> None:
    driven, _, _ = run(tmp_path, [gaze([0, 0, 1000, 1000]), answered("x")])
    assert isinstance(driven.evidence[0], Evidence)
    assert driven.evidence[0].box == (0, 0, 1, 1)
