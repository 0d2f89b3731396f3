"""Verdicts, behaviours and payments in words."""

from dataclasses import replace
from pathlib import Path

import pytest
from lakes import make_seed, reflective, verdict_of

from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.show.judgement import behaviour_words, judgement_of
from gog.pipelines.show.trajectory import Records, view_of
from gog.schemas import Method, Outcome, Training, Verdict, Vote


@pytest.fixture
def records(tmp_path: Path) -> Records:
    images = ImageFiles(tmp_path)
    seed = make_seed(1, images)
    return Records(reflective(seed, images).trajectory, seed)


def verdict(**changes: object) -> Verdict:
    values: dict[str, object] = {"outcome": Outcome.CORRECT, "method": Method.EXACT, "score": 1.0}
    return Verdict.model_validate({"trajectory_id": "t", "seed_id": "s"} | values | changes)


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
def test_verdicts(given: Verdict, words: str) -> None:
    assert judgement_of(given) == words


def test_what_a_training_paid_stands_beside_the_verdict(records: Records) -> None:
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


def test_behaviours(records: Records) -> None:
    plain = records.trajectory.model_copy(update={"reflective": False})
    assert (behaviour_words(records.trajectory), behaviour_words(plain)) == ("mixed, reflective", "mixed")


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
