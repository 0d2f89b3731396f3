"""What reviews add up to, what an export makes of them, and who agrees with whom."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lakes import make_seed, reflective, verdict_of

from gog.pipelines.lake import ImageFiles
from gog.pipelines.reviews import EVERYBODY, Reviewed, ReviewState, honour, latest, review_stats, state_of
from gog.schemas import CorrectedBox, Decision, Method, Reject, Review, Trajectory

ACCEPT, REJECT = Decision.ACCEPT, Decision.REJECT


def review(reviewer: str = "ana", number: int = 1, trajectory: str = "t", **changes: Any) -> Review:
    values = {"review_id": f"{reviewer}-{number}", "trajectory_id": trajectory, "seed_id": "s", "made": 1.0}
    return Review(**(values | {"reviewer": reviewer, "number": number} | changes))


def by(**decisions: Decision | None) -> dict[str, Review]:
    return {name: review(name, decision=decision) for name, decision in decisions.items()}


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    images = ImageFiles(tmp_path_factory.mktemp("images"))
    return reflective(make_seed(1, images), images).trajectory


def test_the_latest_review_of_each_reviewer_counts() -> None:
    said = [review("ben"), review("ana", 2, decision=REJECT), review("ana", 10, decision=ACCEPT), review("ana", 1)]
    found = latest(said)
    assert list(found["t"]) == ["ana", "ben"]
    assert found["t"]["ana"].number == 10
    assert found == latest(reversed(said))


@pytest.mark.parametrize(
    ("reviews", "state"),
    [
        ({}, ReviewState.UNREVIEWED),
        (by(ana=None), ReviewState.UNREVIEWED),
        ({"ana": review(comment="hm")}, ReviewState.NOTED),
        (by(ana=ACCEPT, ben=None), ReviewState.ACCEPTED),
        (by(ana=REJECT, ben=REJECT), ReviewState.REJECTED),
        (by(ana=REJECT, ben=ACCEPT), ReviewState.DISPUTED),
    ],
)
def test_states(reviews: dict[str, Review], state: ReviewState) -> None:
    assert state_of(reviews) is state


@pytest.mark.parametrize(
    ("reviews", "require", "prefer"),
    [
        ({}, "export.not_reviewed", None),
        ({"ana": review(comment="hm")}, "export.not_reviewed", None),
        (by(ana=ACCEPT), None, None),
        (by(ana=REJECT), "export.review_rejected", "export.review_rejected"),
        (by(ana=REJECT, ben=ACCEPT), "export.review_disputed", "export.review_disputed"),
    ],
)
def test_what_an_export_leaves_out(
    trajectory: Trajectory, reviews: dict[str, Review], require: str | None, prefer: str | None
) -> None:
    for reviewed, reason in ((Reviewed.REQUIRE, require), (Reviewed.PREFER, prefer), (Reviewed.IGNORE, None)):
        outcome = honour(trajectory, reviews, reviewed)
        if reason is None:
            assert outcome is trajectory
        else:
            assert isinstance(outcome, Reject)
            assert (outcome.reason, outcome.id, outcome.stage) == (reason, trajectory.trajectory_id, "export_sft")


def test_nobody_is_taught_a_gaze_whose_box_was_corrected(trajectory: Trajectory) -> None:
    reviews = {"ana": review(decision=ACCEPT, boxes=(CorrectedBox(turn=1, box=(0, 0, 0.5, 0.5)),))}
    outcome = honour(trajectory, reviews, Reviewed.REQUIRE)
    assert isinstance(outcome, Trajectory)
    assert [step.train for step in outcome.steps] == [True, False, True, True]
    assert outcome.messages == trajectory.messages
    assert honour(trajectory, reviews, Reviewed.IGNORE) is trajectory


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.sampled_from([ACCEPT, REJECT, None]), max_size=4))
def test_require_is_never_more_generous_than_prefer(decisions: dict[str, Decision | None]) -> None:
    bare = Trajectory.model_construct(trajectory_id="t", seed_id="s", steps=())
    reviews = {name: review(name, decision=decision) for name, decision in decisions.items()}
    require, prefer = (honour(bare, reviews, mode) for mode in (Reviewed.REQUIRE, Reviewed.PREFER))
    assert not (isinstance(prefer, Reject) and not isinstance(require, Reject))
    assert isinstance(prefer, Reject) == (REJECT in decisions.values())
    assert isinstance(require, Reject) == (set(decisions.values()) - {None} != {ACCEPT})


def test_agreement_of_people_with_people_and_with_the_engine(trajectory: Trajectory) -> None:
    outcomes = ["correct", "correct", "wrong", "unknown"]
    verdicts = [
        verdict_of(trajectory, trajectory_id=f"t{n}", outcome=outcome, method=Method.JUDGE if n else Method.EXACT)
        for n, outcome in enumerate(outcomes)
    ]
    ana = [ACCEPT, REJECT, REJECT, ACCEPT]
    ben = [ACCEPT, ACCEPT, REJECT, None]
    said = [
        review(name, trajectory=f"t{n}", decision=decision)
        for name, decisions in (("ana", ana), ("ben", ben))
        for n, decision in enumerate(decisions)
    ]
    stats = review_stats(latest(said), verdicts)
    assert stats.states[ReviewState.DISPUTED] == 1
    assert stats.reviewers["ben"] == {"accepted": 2, "rejected": 1, "boxes": 0, "comments": 0}
    (pair,) = stats.people
    assert (pair.first, pair.second, pair.agreement.n) == ("ana", "ben", 3)
    assert pair.agreement.agreed.value == pytest.approx(2 / 3)
    assert pair.agreement.kappa.value == pytest.approx(0.4)
    engine = {pair.first: pair.agreement for pair in stats.verification}
    assert list(engine) == [EVERYBODY, "ana", "ben"]
    assert (engine["ana"].n, engine["ana"].unknown_second) == (3, 1), "a judge that failed agrees with nobody"
    assert engine[EVERYBODY].agreed.value == 1
    judged = {pair.first: pair.agreement for pair in stats.judge}
    assert judged["ben"].n == 2


def test_without_reviews_there_is_nothing_to_agree_on() -> None:
    stats = review_stats({}, [])
    assert (stats.people, stats.verification, stats.judge, stats.reviewers) == ((), (), (), {})
