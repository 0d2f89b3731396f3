"""What reviews add up to, what an export makes of them, and who agrees with whom."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lakes import make_seed, reflective, small_run, source_of, verdict_of

from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import export_sft
from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.lake.reviews import (
    EVERYBODY,
    ReviewState,
    audited,
    can_answer,
    honour,
    latest,
    review_stats,
    said_by,
    state_of,
    with_answer,
)
from gog.schemas import Audit, CorrectedBox, Decision, Method, Outcome, Reject, Review, Trajectory
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.rows import ExportSettings, Reviewed
from gog.transforms.export.target import Target

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


def test_audits_count_where_people_do_not_disagree() -> None:
    def audit(trajectory: str, who: str, outcome: Outcome) -> Audit:
        return Audit(trajectory_id=trajectory, seed_id="s", reviewer=who, number=1, outcome=outcome, made=1.0)

    right, wrong, skipped = Outcome.CORRECT, Outcome.WRONG, Outcome.UNKNOWN
    words = [
        ("a", "ana", right),
        ("a", "ben", wrong),
        ("b", "ana", wrong),
        ("b", "ben", skipped),
        ("c", "ana", skipped),
    ]
    kept = latest(audit(*word) for word in words)
    assert said_by("ben", kept) == {"a": wrong, "b": skipped}
    assert said_by("cat", kept) == {}
    found = audited(kept)
    assert (found.said, found.disputed, found.skipped, found.people) == ({"b": wrong}, ("a",), 1, {"ana": 2, "ben": 1})


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
def test_require_is_never_more_generous_than_prefer(
    trajectory: Trajectory, decisions: dict[str, Decision | None]
) -> None:
    reviews = {name: review(name, decision=decision) for name, decision in decisions.items()}
    require, prefer = (honour(trajectory, reviews, mode) for mode in (Reviewed.REQUIRE, Reviewed.PREFER))
    assert not (isinstance(prefer, Reject) and not isinstance(require, Reject))
    assert isinstance(prefer, Reject) == (REJECT in decisions.values())
    assert isinstance(require, Reject) == (set(decisions.values()) - {None} != {ACCEPT})


def test_splits_leave_out_what_people_rejected_and_do_not_teach_a_corrected_gaze(tmp_path: Path) -> None:
    lake = small_run(tmp_path)
    curated = [row["trajectory_id"] for row in lake.read_rows("small", "curated")]
    rejected, disputed, corrected, *rest = [
        t.trajectory_id
        for t in lake.read_table("small", "trajectories", Trajectory)
        if t.trajectory_id in curated and t.origin == "rollout"
    ]
    said = [
        review("ana", trajectory=rejected, decision=REJECT),
        review("ana", trajectory=disputed, decision=REJECT),
        review("ben", trajectory=disputed, decision=ACCEPT),
        review("ana", trajectory=corrected, decision=ACCEPT, boxes=(CorrectedBox(turn=0, box=(0, 0, 0.5, 0.5)),)),
    ]

    def export(reviewed: Reviewed) -> tuple[dict[str, Any], dict[str, str]]:
        rejects: list[Reject] = []
        settings = ExportSettings(reviewed=reviewed)
        folder = lake.run_folder("small")
        run = replace(source_of(lake), reviews=latest(said))
        export_sft(run, ExportRequest(settings), rejects.append)
        files = sorted((folder / "exports" / "sft" / "data").glob("*.parquet"))
        rows = [row for path in files for row in pq.read_table(path).to_pylist()]
        return {row["id"]: row["messages"] for row in rows}, {r.id: r.reason for r in rejects}

    everything, none = export(Reviewed.IGNORE)
    assert (set(everything), none) == (set(curated), {})
    preferred, left = export(Reviewed.PREFER)
    assert left == {rejected: "export.review_rejected", disputed: "export.review_disputed"}
    assert set(preferred) == set(curated) - set(left)
    assert {name for name in preferred if preferred[name] != everything[name]} == {corrected}
    required, left = export(Reviewed.REQUIRE)
    assert set(required) == {corrected}
    assert {left[name] for name in rest} == {"export.not_reviewed"}
    assert set(required) | set(left) == set(curated)


@pytest.mark.parametrize("target", [Target(), Target("trl", BACKBONES["qwen3-vl"])])
def test_a_corrected_answer_is_what_the_row_answers(tmp_path: Path, target: Target) -> None:
    lake = small_run(tmp_path)
    one, two, *_ = [row["trajectory_id"] for row in lake.read_rows("small", "curated")]
    said = [
        review("ana", trajectory=one, decision=ACCEPT, answer="Republic of Kenya"),
        review("ana", trajectory=two, answer="Kenia"),
        review("ben", trajectory=two, decision=ACCEPT, answer="the Republic"),
    ]
    rejects: list[Reject] = []
    run = replace(source_of(lake), reviews=latest(said))
    done = export_sft(run, ExportRequest(ExportSettings(), target=target, out=tmp_path / "out"), rejects.append)
    text = "".join(str(row) for path in done.folder.rglob("*.parquet") for row in pq.read_table(path).to_pylist())
    assert text.count("<answer>Republic of Kenya</answer>") == 1
    assert [(r.id, r.reason, r.detail) for r in rejects] == [
        (two, "export.review_disputed", "ana: answer 'Kenia', ben: accept, ben: answer 'the Republic'")
    ]


def test_a_trajectory_without_an_answer_has_none_to_correct(trajectory: Trajectory) -> None:
    assert can_answer(trajectory)
    assert with_answer(trajectory, "Uganda").answer == "Uganda"
    assert with_answer(trajectory, "Uganda").steps == trajectory.steps
    for other in ({"answer": None}, {"messages": trajectory.messages[:2]}):
        alone = trajectory.model_copy(update=other)
        assert not can_answer(alone)
        assert with_answer(alone, "Uganda") is alone


def test_reasons_are_counted_and_what_was_accepted_in_bulk_enters_no_agreement() -> None:
    said = [
        review("ana", trajectory="t1", decision=REJECT, why="leak"),
        review("ben", trajectory="t1", decision=REJECT),
        review("ana", trajectory="t2", decision=ACCEPT, bulk=True),
        review("ben", trajectory="t2", decision=REJECT, why="leak"),
    ]
    stats = review_stats(latest(said), [])
    assert stats.reasons == {"leak": 2, "none": 1}
    assert stats.people[0].agreement.n == 1
    assert stats.reviewers["ana"]["in_bulk"] == 1


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
    counts = {"accepted": 2, "in_bulk": 0, "rejected": 1, "boxes": 0, "answers": 0, "comments": 0}
    assert stats.reviewers["ben"] == counts
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
    ruled = {pair.first: pair.agreement for pair in stats.rules}
    assert [ruled[who].n for who in (EVERYBODY, "ana", "ben")] == [1, 1, 1], "what the judge settled is no rule's"


def test_without_reviews_there_is_nothing_to_agree_on() -> None:
    stats = review_stats({}, [])
    assert (stats.people, stats.verification, stats.rules, stats.judge, stats.reviewers) == ((), (), (), (), {})
