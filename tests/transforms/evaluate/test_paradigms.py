"""The four ways to make a policy answer: what it is told, what it may call, what is done for it."""

import asyncio
from pathlib import Path

import pytest
from fakes import FakeSearch, ScriptedPolicy, Told, answered, called, gaze, hit, said, seed_of, services

from gog.prompts import render
from gog.schemas import FailureClass, Seed, StopReason
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.tools import BUILT_IN
from gog.transforms.evaluate.paradigms import Paradigm, answer
from gog.transforms.services.protocols import ServiceError
from gog.transforms.synthesize.rollout import Attempt, RolloutSettings

GREEDY = RolloutSettings(temperature=0.0, hints=False)
DOWN = ServiceError(FailureClass.AUTH, "no")


class Played:
    """One attempt under a paradigm, with whom it asked."""

    def __init__(self, folder: Path, paradigm: Paradigm, script: list[Told], *, broken: str = "", **seed: str) -> None:
        self.policy = ScriptedPolicy(list(script))
        self.text = FakeSearch(lambda _: DOWN if broken == "text" else (hit("Kenya", "Capital: Nairobi."),), "text:1")
        self.image = FakeSearch(lambda _: DOWN if broken == "image" else (hit("Flag of Kenya"),), "image:1")
        with services(folder, text=self.text, image=self.image) as (world, images):
            self.seed: Seed = seed_of(images, **seed)
            made = answer(world, self.policy, self.seed, paradigm, GREEDY, EpisodeSettings())
            self.attempt: Attempt = asyncio.run(made)

    @property
    def offered(self) -> list[list[str]]:
        """Names of the tools, request by request."""
        return [[tool["function"]["name"] for tool in request.tools] for request in self.policy.requests]

    @property
    def system(self) -> str:
        return self.policy.requests[0].messages[0].text


def test_direct_offers_nothing_and_asks_once(tmp_path: Path) -> None:
    played = Played(tmp_path, Paradigm.DIRECT, [answered("Nairobi")])
    assert played.offered == [[]]
    assert not any(tool in played.policy.heard for tool in BUILT_IN)
    assert played.attempt.trajectory is not None
    assert played.attempt.trajectory.answer == "Nairobi"


def test_direct_gives_no_result_to_who_calls_all_the_same(tmp_path: Path) -> None:
    played = Played(tmp_path, Paradigm.DIRECT, [called("image_search"), answered("Nairobi")])
    assert played.image.asked == []
    assert "no tool image_search; answer" in played.policy.requests[1].messages[-1].text
    assert played.attempt.trajectory is not None


@pytest.mark.parametrize(("paradigm", "teacher"), [(Paradigm.PROMPTED, True), (Paradigm.POLICY, False)])
def test_prompted_has_the_teachers_prompt_and_policy_its_own(tmp_path: Path, paradigm: Paradigm, teacher: bool) -> None:
    script: list[Told] = [gaze([0, 0, 500, 500]), answered("Nairobi")]
    played = Played(tmp_path, paradigm, script)
    assert played.offered == [[*BUILT_IN], [*BUILT_IN]]
    tools = list(BUILT_IN)
    frame = "in thousandths of the image's width and height (0 to 1000)"
    prompts = {
        True: render("episode/teacher", frame_text=frame, max_turns=8, tools=tools).text,
        False: render("episode/system", frame_text=frame, max_turns=8, tools=tools).text,
    }
    assert played.system == prompts[teacher]
    (question,) = [message for message in played.policy.requests[0].messages if message.role == "user"]
    assert not isinstance(question.content, str)
    assert len(question.content) == 2, "the image and the question, no hints"
    assert len(played.image.asked) == 1


@pytest.mark.parametrize("paradigm", Paradigm)
def test_everybody_answers_greedily(tmp_path: Path, paradigm: Paradigm) -> None:
    script: list[Told] = [answered("Nairobi"), answered("Nairobi")]
    played = Played(tmp_path, paradigm, script)
    assert {request.sampling.temperature for request in played.policy.requests} == {0.0}


def test_full_search_makes_both_searches_and_nothing_else(tmp_path: Path) -> None:
    script: list[Told] = [called("text_search", {"query": "capital of Kenya"}), answered("Nairobi")]
    played = Played(tmp_path, Paradigm.FULL_SEARCH, script)
    assert played.image.asked == [played.seed.image_sha256], "the whole image, before the policy said a word"
    assert played.text.asked == ["capital of Kenya"]
    assert played.offered == [["text_search"], []]
    trajectory = played.attempt.trajectory
    assert trajectory is not None
    assert [step.action for step in trajectory.steps] == ["image_search", "text_search", "answer"]
    assert [step.train for step in trajectory.steps] == [False, True, True], "the first turn is not the policy's"
    assert [evidence.tool for evidence in played.attempt.evidence] == ["image_search", "text_search"]
    assert len(trajectory.tools) == 2
    assert played.system == render("evaluate/full_search").text
    assert (trajectory.prompt_tokens, trajectory.completion_tokens) == (200, 20)


@pytest.mark.parametrize(
    "instead", [answered("Peru", think="I see Peru."), called("image_search", think="I see Peru."), said("I see Peru.")]
)
def test_full_search_searches_for_who_does_not(tmp_path: Path, instead: Told) -> None:
    played = Played(tmp_path, Paradigm.FULL_SEARCH, [instead, answered("Nairobi")], question="Which  capital\nis it?")
    assert played.text.asked == ["Which capital is it?"]
    assert len(played.image.asked) == 1
    trajectory = played.attempt.trajectory
    assert trajectory is not None
    assert trajectory.answer == "Nairobi", "what was said before the searches answers nothing"
    assert [step.train for step in trajectory.steps] == [False, False, True]
    assert (trajectory.prompt_tokens, trajectory.completion_tokens) == (200, 20)


def test_full_search_reads_a_query_in_tags(tmp_path: Path) -> None:
    script: list[Told] = [said("<text_search>capital of Kenya</text_search>"), answered("Nairobi")]
    assert Played(tmp_path, Paradigm.FULL_SEARCH, script).text.asked == ["capital of Kenya"]


def test_the_last_phase_of_full_search_accepts_no_tool(tmp_path: Path) -> None:
    query = called("text_search", {"query": "capital of Kenya"})
    script: list[Told] = [query, called("text_search", {"query": "more"}), answered("Nairobi")]
    played = Played(tmp_path, Paradigm.FULL_SEARCH, script)
    assert played.text.asked == ["capital of Kenya"]
    assert played.attempt.trajectory is not None
    assert played.attempt.trajectory.steps[2].error == "unknown_tool"

    stubborn = Played(tmp_path, Paradigm.FULL_SEARCH, [query, *[called("image_search")] * 2])
    assert stubborn.attempt.reject is not None
    assert stubborn.attempt.reject.reason == "episode.out_of_turns"
    assert stubborn.attempt.unanswered is not None
    assert stubborn.attempt.unanswered.stop is StopReason.OUT_OF_TURNS
    assert len(stubborn.image.asked) == 1


@pytest.mark.parametrize("paradigm", [Paradigm.POLICY, Paradigm.FULL_SEARCH])
@pytest.mark.parametrize("broken", ["text", "image"])
def test_a_failing_search_is_the_outsides(tmp_path: Path, paradigm: Paradigm, broken: str) -> None:
    query = called("text_search", {"query": "capital of Kenya"})
    script: list[Told] = [query] if paradigm is Paradigm.FULL_SEARCH else [called("image_search"), query]
    played = Played(tmp_path, paradigm, [*script, answered("Nairobi")], broken=broken)
    assert played.attempt.trajectory is None
    assert played.attempt.reject is not None
    assert played.attempt.reject.reason == "search.failed"


@pytest.mark.parametrize("paradigm", Paradigm)
def test_a_failing_policy_is_the_outsides(tmp_path: Path, paradigm: Paradigm) -> None:
    played = Played(tmp_path, paradigm, [DOWN])
    assert (played.attempt.trajectory, played.attempt.unanswered) == (None, None)
    assert played.attempt.reject is not None
    assert played.attempt.reject.reason == "teacher.failed"
