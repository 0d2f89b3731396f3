"""The view of a trajectory: what it says in words, and that records that do not match are shown as far as they go."""

from pathlib import Path

import pytest
from episodes import result
from fakes import answered, called, gaze, hit, sha
from lakes import EPISODE, TEACHER, make_seed, reflective, verdict_of
from several_pictures import BOXES, SEVERAL, SIZES, compared, regions_of, seed_of

from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.show.trajectory import COLOURS, Gaze, Records, rect, turns_of, view_of
from gog.schemas import WHOLE, Box, EpisodeImage, FailureClass, Seed, Step
from gog.transforms.episode.machine import Episode, act, observe, start
from gog.transforms.episode.trajectory import images_of
from gog.transforms.services.gateway.prices import Price


@pytest.fixture
def images(tmp_path: Path) -> ImageFiles:
    return ImageFiles(tmp_path)


@pytest.fixture
def seed(images: ImageFiles) -> Seed:
    return make_seed(1, images)


@pytest.fixture
def records(seed: Seed, images: ImageFiles) -> Records:
    made = reflective(seed, images)
    evidence = {item.evidence_id: item for item in made.evidence}
    return Records(made.trajectory, seed, verdict_of(made.trajectory), evidence)


def at_work(seed: Seed) -> Episode:
    original = EpisodeImage(sha256=seed.image_sha256, width=400, height=300, box=WHOLE)
    return start(EPISODE, seed.question, [original], "You look.")


class TestView:
    def test_says_what_happened_in_words(self, records: Records) -> None:
        view = view_of(records)
        assert (view.question, view.answer, view.outcome) == ("Which country's flag is number 1?", "Kenya", "correct")
        assert view.about == ("atlas", "gaze", "mixed, reflective", "rollout")
        turns = view.turns
        assert [(turn.title, turn.detail) for turn in turns] == [
            ("gaze", "a flag"),
            ("gaze", "a flag"),
            ("text search", "Kenya flag"),
            ("answer", "Kenya"),
        ]
        assert [[(said.turn, said.word) for said in turn.reflections] for turn in turns] == [
            [(2, "off target")],
            [(3, "useful")],
            [(4, "useful")],
            [],
        ]
        assert turns[2].calls == ('text_search(query="Kenya flag")',)
        assert turns[3].words == "Evidence: useful. This is it."
        assert [turn.hits[0].title for turn in turns[:3]] == ["Uganda", "Kenya", "Kenya"]

    def test_gazes_have_their_boxes_crops_and_colours(self, records: Records) -> None:
        view = view_of(records)
        assert [(gaze.number, gaze.turn, gaze.colour, gaze.label) for gaze in view.gazes] == [
            (1, 0, 0, "a flag"),
            (2, 1, 1, "a flag"),
        ]
        assert view.gazes[0].box == pytest.approx((0.1, 0.2, 0.3, 0.4))
        crops = [turn.crop.sha256 if turn.crop else None for turn in view.turns]
        assert crops == [*(image.sha256 for image in records.trajectory.images[1:]), None, None]
        assert Gaze(COLOURS + 1, 9, 0, "10", "", WHOLE).colour == 0

    def test_costs_what_its_price_says(self, records: Records) -> None:
        assert view_of(records, {TEACHER: Price(per_call=0.5)}).cost == 0.5

    def test_records_that_do_not_match(self, records: Records) -> None:
        """Steps without messages, without a seed, with evidence that is not there."""
        alone = records.trajectory.model_copy(update={"messages": (), "images": (), "answer": None})
        view = view_of(Records(alone))
        assert (view.question, view.answer) == ("The seed is not in this run", "no answer: answered")
        (scene,) = view.scenes
        assert (scene.width, scene.height, scene.sha256, view.outcome) == (1, 1, "", "not verified")
        assert [turn.words for turn in view.turns] == [""] * 4
        assert not any(turn.evidence or turn.crop for turn in view.turns)
        assert len(view.gazes) == 2


class TestTurns:
    def test_a_mistake_has_its_note(self, seed: Seed) -> None:
        episode = act(at_work(seed), called("fly", {"to": "Kenya"}, think="I fly."))
        (turn,) = turns_of(episode.steps, episode.messages, episode.images, {})
        assert (turn.title, turn.error) == ("no action", "unknown_tool")
        assert turn.note.startswith("Error: ")
        assert turn.note == turn.read

    @pytest.mark.parametrize("arguments", ["{", "[1]", "7", "[" * 100_000])
    def test_calls_that_are_none_are_shown_as_they_are(self, arguments: str) -> None:
        (turn,) = turns_of([Step(turn=0, action="none")], [called("fly", arguments)], [], {})
        assert turn.calls == (f"fly({arguments})",)

    def test_what_the_model_read_is_no_note_where_it_is_evidence(self, records: Records) -> None:
        first = view_of(records).turns[0]
        assert "Uganda" in first.read
        assert (first.note, first.trouble) == ("", "")

    def test_why_nothing_came_back(self, records: Records) -> None:
        empty = {name: item.model_copy(update={"hits": ()}) for name, item in records.evidence.items()}
        failed = {name: item.model_copy(update={"failure": FailureClass.TIMEOUT}) for name, item in empty.items()}
        trajectory = records.trajectory
        for evidence, words in ((empty, "found nothing"), (failed, "failed: timeout")):
            turns = turns_of(trajectory.steps, trajectory.messages, trajectory.images, evidence)
            assert [turn.trouble for turn in turns] == [words, words, words, ""]

    def test_pictures_that_were_found_are_shown_with_their_turn(self, seed: Seed) -> None:
        settings = EPISODE.model_copy(update={"tools": (*EPISODE.tools, "look")})
        original = EpisodeImage(sha256=seed.image_sha256, width=400, height=300, box=WHOLE)
        turns = called("image_search"), called("look", {"result": 1}), gaze([0, 0, 500, 500], image=1)
        episode = start(settings, seed.question, [original], "You look.")
        evidence = {}
        for turn in turns:
            episode = act(episode, turn)
            back = result(episode, [hit("Kenya", thumbnail=sha("found"))])
            evidence[back.evidence.evidence_id] = back.evidence
            episode = observe(episode, back)
        shown = turns_of(episode.steps, episode.messages, episode.images, evidence)
        assert [(turn.title, turn.detail) for turn in shown] == [("glance", ""), ("look", "1"), ("gaze", "it")]
        assert [turn.crops for turn in shown] == [(), episode.images[1:2], episode.images[2:]]
        assert shown[0].crop is None
        assert shown[1].crop == episode.images[1]
        assert shown[2].gaze is None, "no box on the original"

    def test_an_answer_is_not_said_twice(self, seed: Seed) -> None:
        episode = act(at_work(seed), answered("Kenya\n", think="I know it."))
        (turn,) = turns_of(episode.steps, episode.messages, episode.images, {})
        assert (turn.words, turn.detail.strip()) == ("I know it.", "Kenya")


def test_a_box_on_a_picture() -> None:
    assert rect(Box(0.1, 0.25, 0.5, 0.75), 1000, 400) == (100, 100, 400, 200)


class TestSeveralPictures:
    @pytest.mark.parametrize("pictures", [1, 2, 3])
    def test_each_has_its_own_gazes_and_regions(self, images: ImageFiles, pictures: int) -> None:
        seed = seed_of(pictures, images)
        view = view_of(Records(compared(seed, images).trajectory, seed, regions=regions_of(seed)))
        assert [scene.sha256 for scene in view.scenes] == list(seed.image_hashes)
        assert [(scene.number, scene.width, scene.height) for scene in view.scenes] == [
            (number, *size) for number, size in enumerate(SIZES[:pictures])
        ]
        for scene in view.scenes:
            (gaze,), (region,) = scene.gazes, scene.regions
            assert gaze.box == pytest.approx(BOXES[scene.number])
            assert (gaze.label, gaze.number) == (f"flag {scene.number}", scene.number + 1)
            assert region.label == f"region on {scene.number}"

    def test_a_turn_says_at_which_it_looks(self, images: ImageFiles) -> None:
        for pictures, titles in (
            (1, ["gaze", "answer"]),
            (2, ["glance at image 1", "gaze at image 0", "gaze at image 1", "answer"]),
        ):
            seed = seed_of(pictures, images)
            made = compared(seed, images)
            evidence = {item.evidence_id: item for item in made.evidence}
            turns = view_of(Records(made.trajectory, seed, evidence=evidence)).turns
            assert [turn.title for turn in turns] == titles
            crops = [turn.crop.on_image for turn in turns if turn.crop]
            assert crops == list(range(pictures)), "what a glance searched with is no crop"

    def test_a_glance_at_a_picture_that_is_not_there_and_one_by_words_name_none(self, images: ImageFiles) -> None:
        seed = seed_of(2, images)
        episode = start(SEVERAL, seed.question, images_of(seed), "You look.")
        episode = act(episode, called("image_search", {"image": 2}))
        (turn,) = turns_of(episode.steps, episode.messages, episode.images, {})
        assert (turn.title, turn.error) == ("glance", "unknown_image")
        words = Step(turn=0, action="image_search", arguments={"query": "a flag"})
        (turn,) = turns_of([words], [], images_of(seed), {})
        assert (turn.title, turn.detail) == ("pictures by words", "a flag")

    def test_what_names_a_picture_that_is_not_there_lies_on_none(self, images: ImageFiles) -> None:
        seed = seed_of(2, images)
        made = compared(seed, images).trajectory
        steps = tuple(step.model_copy(update={"on_image": 5}) for step in made.steps)
        regions = [region.model_copy(update={"on_image": -1}) for region in regions_of(seed)]
        view = view_of(Records(made.model_copy(update={"steps": steps}), seed, regions=regions))
        assert [(scene.gazes, scene.regions) for scene in view.scenes] == [((), ())] * 2
        assert len(view.gazes) == 2, "the turns still have them"

    def test_without_an_episode_they_are_the_seeds(self, images: ImageFiles) -> None:
        seed = seed_of(3, images)
        made = compared(seed, images).trajectory.model_copy(update={"images": ()})
        assert [scene.sha256 for scene in view_of(Records(made, seed)).scenes] == list(seed.image_hashes)
