"""The view of a trajectory: what it says in words, and that records that do not match are shown as far as they go."""

from dataclasses import replace
from pathlib import Path

import pytest
from episodes import result
from fakes import answered, called, gaze, hit, sha
from lakes import EPISODE, TEACHER, make_seed, reflective, verdict_of

from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.show.trajectory import COLOURS, Gaze, Records, behaviour_words, judgement_of, rect, turns_of, view_of
from gog.schemas import WHOLE, Box, EpisodeImage, FailureClass, Method, Outcome, Seed, Step, Training, Verdict, Vote
from gog.transforms.episode.machine import Episode, act, observe, start
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
        assert (view.width, view.height, view.image_sha256, view.outcome) == (1, 1, "", "not verified")
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


def verdict(**changes: object) -> Verdict:
    values: dict[str, object] = {"outcome": Outcome.CORRECT, "method": Method.EXACT, "score": 1.0}
    return Verdict.model_validate({"trajectory_id": "t", "seed_id": "s"} | values | changes)


class TestWords:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            (verdict(), "settled by exact"),
            (verdict(grounded=True), "settled by exact, grounded in the evidence"),
            (verdict(grounded=True, literal=True), "settled by exact, grounded word for word in the evidence"),
            (verdict(method=Method.JUDGE, judge="j:1", grounded=False), "settled by judge (j:1), not grounded"),
            (verdict(method=Method.NONE, leaked=True, reasons=("verify.leak",)), "leaked; leaves for verify.leak"),
            (verdict(method=Method.NONE), ""),
            (verdict(gaze_useful=False), "settled by exact, no gaze found the target"),
        ],
    )
    def test_verdicts(self, given: Verdict, words: str) -> None:
        assert judgement_of(given) == words

    def test_what_a_training_paid_stands_beside_the_verdict(self, records: Records) -> None:
        terms = {"accuracy": 1.0, "format": 1.0, "own": None}
        paid = Training(step=3, ending="answered", reward=1.0, terms=terms, advantage=0.7069)
        masked = Training(step=4, draw=2, ending="overlong", masked="overlong")
        for training, words in (
            (paid, "step 3: paid 1 (accuracy 1, format 1), advantage 0.707"),
            (masked, "step 4, batch 2 of those drawn anew: masked (overlong)"),
        ):
            trajectory = records.trajectory.model_copy(update={"training": training})
            given = replace(records, trajectory=trajectory, verdict=verdict())
            assert view_of(given).judgement == f"settled by exact; {words}"
            assert view_of(replace(given, verdict=None)).judgement == words

    def test_behaviours(self, records: Records) -> None:
        plain = records.trajectory.model_copy(update={"reflective": False})
        assert (behaviour_words(records.trajectory), behaviour_words(plain)) == ("mixed, reflective", "mixed")


def test_a_box_on_a_picture() -> None:
    assert rect(Box(0.1, 0.25, 0.5, 0.75), 1000, 400) == (100, 100, 400, 200)


def test_judges_that_disagree_are_told(records: Records) -> None:
    votes = [
        Vote(judge=who, about="answer", says=says, reply="")
        for who, says in zip("abc", ("yes", "no", "yes"), strict=True)
    ]
    verdict = verdict_of(records.trajectory).model_copy(update={"votes": tuple(votes), "leaked": None})
    told = judgement_of(verdict)
    assert "the judges disagree on the answer (2 yes, 1 no)" in told
    assert "nobody could say whether it leaked" in told
    assert "disagree" not in judgement_of(verdict.model_copy(update={"votes": tuple(votes[::2])}))
