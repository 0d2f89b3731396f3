"""`image_search(query)`: pictures by words, where the run's image search can do it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from episodes import begin, play
from fakes import FakeSearch, ScriptedPolicy, answered, called, hit, picture, said, seed_of, services
from verifying import closed_world_judge

from gog.pipelines.config.config import Config, fingerprint, parse_config
from gog.schemas import Behaviour, FailureClass, Message, Outcome
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.machine import EpisodeSettings, behaviour_of, offered_tools, system_prompt
from gog.transforms.episode.steps import is_reflective
from gog.transforms.episode.tools import BUILT_IN, shown_as
from gog.transforms.episode.tools.image_search import WITH_QUERY, unanswered
from gog.transforms.export.reframe import reframe
from gog.transforms.services.store.records import ALL, Mode
from gog.transforms.services.store.sqlite import Store
from gog.transforms.synthesize.rollout import Attempt, RolloutSettings, rollout
from gog.transforms.verify.verdict import verdict

SETTINGS = EpisodeSettings(tools=(*BUILT_IN, "look"), image_query=True)
GLANCE = called("image_search")
SEARCH = called("text_search", {"query": "red tower"})


def by_words(query: Any, think: str | None = None, **more: Any) -> Message:
    return called("image_search", {"query": query, **more}, think=think)


def schema_of(settings: EpisodeSettings) -> Any:
    return next(tool["function"] for tool in offered_tools(settings) if tool["function"]["name"] == "image_search")  # type: ignore[index, call-overload]


class Played:
    """An attempt, and what was asked of pictures and of words."""

    def __init__(self, folder: Path, *turns: Message, settings: EpisodeSettings = SETTINGS, mode: Mode = Mode.RECORD):
        policy = ScriptedPolicy([*turns, answered("Nairobi", think="Evidence: useful. It is told above.")])
        self.words = FakeSearch(id="fake-image:1")
        self.image = FakeSearch(lambda _: (hit("Uganda"),), id="fake-image:1", words=self.words)
        with services(folder, policy, image=self.image, mode=mode) as (world, images):
            there = images.put(picture(200, 100), "png")
            self.words.find = lambda _: (hit("Kenya", "Its capital is Nairobi.", thumbnail=there),)
            self.seed = seed_of(images)
            self.attempt: Attempt = asyncio.run(rollout(world, policy, self.seed, (), 0, RolloutSettings(), settings))

    @property
    def trajectory(self) -> Any:
        assert self.attempt.trajectory is not None, self.attempt.reject
        return self.attempt.trajectory


def test_words_find_pictures_that_can_be_looked_at(tmp_path: Path) -> None:
    played = Played(tmp_path, by_words("  flag of\nKenya "), called("look", {"result": 1}))
    assert (played.words.asked, played.image.asked) == (["flag of Kenya"], [])
    told, looked = (message for message in played.trajectory.messages if message.role == "tool")
    assert told.text.startswith("image_search found 1 result.\n[1] Kenya | ")
    assert told.text.endswith("\nResults with a picture: 1.")
    assert told.images == ()
    assert looked.text.startswith("Image 1: a picture that was found (200 x 100 pixels).")
    (evidence, _) = played.attempt.evidence
    assert (evidence.tool, evidence.query, evidence.image_sha256, evidence.box, evidence.provider) == (
        *("image_search", "flag of Kenya", None, None),
        "fake-image:1",
    )
    assert played.trajectory.behaviour is Behaviour.TEXT
    assert played.trajectory.tools == offered_tools(SETTINGS)
    assert shown_as("image_search", played.trajectory.steps[0].arguments) == ("pictures by words", "flag of Kenya")
    assert shown_as("image_search", {}) == ("glance", "")


def test_the_schema_and_the_prompt_have_it_only_where_it_can_be_done() -> None:
    plain = EpisodeSettings()
    assert schema_of(plain)["parameters"]["properties"] == {}
    assert list(schema_of(SETTINGS)["parameters"]["properties"]) == ["query"]
    assert schema_of(SETTINGS)["parameters"]["required"] == []
    assert "image_search(query)" not in system_prompt(plain)[0]
    text, hash_ = system_prompt(EpisodeSettings(image_query=True))
    assert "\n- image_search(query), when" in text
    assert hash_ != system_prompt(plain)[1]


def test_it_is_of_a_runs_identity_and_older_runs_keep_theirs() -> None:
    plain = Config()
    assert fingerprint(plain) == fingerprint(parse_config({"episode": {"image_query": False}}))
    assert fingerprint(plain) != fingerprint(parse_config({"episode": {"image_query": True}}))
    with pytest.raises(ValueError, match="not among the tools"):
        EpisodeSettings(tools=("text_search",), image_query=True)


@pytest.mark.parametrize("query", [None, "", "   ", [], {}])
def test_without_words_it_is_the_glance(tmp_path: Path, query: Any) -> None:
    played = Played(tmp_path, by_words(query))
    assert (len(played.image.asked), played.words.asked) == (1, [])
    assert played.trajectory.behaviour is Behaviour.GLANCE
    assert played.trajectory.steps[0].arguments == {}


def test_a_query_means_nothing_where_the_run_has_none(tmp_path: Path) -> None:
    played = Played(tmp_path, by_words("a flag"), settings=EpisodeSettings())
    assert (len(played.image.asked), played.words.asked) == (1, [])


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            by_words("a flag", bbox_2d=[0, 0, 500, 500]),
            "image_search takes a query or looks at the image, not both",
        ),
        (by_words(7), "image_search takes a query, a text"),
        (by_words(["a", "b"]), "image_search takes a query, a text"),
    ],
)
def test_what_excludes_one_another_is_a_strike_in_one_line(tmp_path: Path, call: Message, told: str) -> None:
    trajectory = Played(tmp_path, call, GLANCE).trajectory
    message = trajectory.messages[3]
    assert message.text.startswith(f"Error: {told}")
    assert "\n" not in message.text
    assert trajectory.steps[0].error == "bad_arguments"


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("<image_search>a red tower</image_search>", {"query": "a red tower"}),
        ("<image_search/>", {}),
        ("<image_search></image_search>", {}),
        ("<search><img></search>", {}),
    ],
)
def test_tags(text: str, arguments: Any) -> None:
    (step,) = play(begin(image_query=True), said(text)).steps
    assert (step.action, step.arguments) == ("image_search", arguments)


def test_the_same_words_again_and_other_words() -> None:
    episode = play(begin(image_query=True), by_words("a"), by_words("a"), by_words("b"), GLANCE)
    assert [step.error for step in episode.steps] == ["", "repeated", "", ""]
    assert behaviour_of(episode) is Behaviour.MIXED


@pytest.mark.parametrize(
    ("first", "then", "elsewhere"),
    [
        (GLANCE, by_words("tower", "Evidence: off target. I ask with words."), True),
        (SEARCH, by_words("tower", "Evidence: off target. Pictures of it."), False),
        (by_words("tower"), by_words("spire", "Evidence: off target. Other words."), False),
        (by_words("tower"), called("image_search", think="Evidence: off target. I look myself."), True),
    ],
)
def test_words_are_a_place_as_those_of_text_searches_are(first: Message, then: Message, elsewhere: bool) -> None:
    assert is_reflective(play(begin(image_query=True), first, then).steps) is elsewhere


def test_answers_are_kept_and_replayed_as_those_of_searches_by_words(tmp_path: Path) -> None:
    first = Played(tmp_path, by_words("flag of Kenya"))
    again = Played(tmp_path, by_words("flag of Kenya"), mode=Mode.REPLAY)
    assert again.words.asked == []
    assert again.trajectory == first.trajectory
    with Store(tmp_path) as store:
        kept = [dated.entry for dated in store.choose(ALL) if dated.entry.kind == "text_search"]
    assert [(entry.provider, "flag of Kenya" in entry.request) for entry in kept] == [("fake-image:1", True)]


def test_its_results_ground_an_answer_and_its_words_leak_as_a_text_searchs_do(tmp_path: Path) -> None:
    def judged(played: Played) -> Any:
        evidence = {one.evidence_id: one for one in played.attempt.evidence}
        return asyncio.run(verdict(played.trajectory, played.seed, evidence, None, closed_world_judge))

    found = judged(Played(tmp_path / "a", by_words("flag of Kenya")))
    assert (found.outcome, found.grounded, found.leaked, found.gaze_useful) == (Outcome.CORRECT, True, False, None)
    by_text = judged(Played(tmp_path / "b", called("text_search", {"query": "Nairobi"}), by_words("flag of Kenya")))
    by_pictures = judged(Played(tmp_path / "c", by_words("Nairobi"), by_words("flag of Kenya")))
    assert by_pictures.leaked is by_text.leaked
    early = judged(Played(tmp_path / "d", by_words("Nairobi", "It is Nairobi, I look."), GLANCE))
    assert early.leaked


def test_in_another_frame_it_is_the_same(tmp_path: Path) -> None:
    played = Played(tmp_path, by_words("flag of Kenya"), GLANCE)
    target = SETTINGS.in_frame(BACKBONES["qwen2.5-vl"].spec)
    evidence = {one.evidence_id: one for one in played.attempt.evidence}
    there: Any = reframe(played.trajectory, played.seed, evidence, SETTINGS, target)
    assert there.tools == offered_tools(target)
    assert [step.arguments for step in there.steps] == [step.arguments for step in played.trajectory.steps]


def test_a_search_that_no_words_find_anything_in_is_refused_when_it_begins(tmp_path: Path) -> None:
    deaf = FakeSearch(id="serper:lens")
    assert unanswered(EpisodeSettings().offered, deaf) == ""
    assert unanswered(SETTINGS.offered, FakeSearch(words=FakeSearch())) == ""
    assert unanswered(SETTINGS.offered, deaf).startswith("episode.image_query: words find no pictures in serper:lens: ")
    with services(tmp_path, ScriptedPolicy([by_words("a")]), image=deaf) as (world, images):
        attempt = asyncio.run(rollout(world, world.teacher, seed_of(images), (), 0, RolloutSettings(), SETTINGS))
    assert attempt.reject is not None
    assert FailureClass.SETUP.value in attempt.reject.detail


@pytest.mark.parametrize(("images", "image", "refused"), [(1, 1, False), (1, "x", False), (2, 0, False), (2, 1, True)])
def test_words_and_another_picture_exclude_one_another_where_there_are_several(
    images: int, image: object, refused: bool
) -> None:
    read = WITH_QUERY.for_questions(images).read({"query": "a flag", "image": image})
    assert isinstance(read, str) if refused else read == {"query": "a flag"}
