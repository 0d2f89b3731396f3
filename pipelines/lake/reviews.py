"""What people say of trajectories: the state that their reviews add up to, what an export makes of it, agreement.

All pure; `gog.pipelines.lake.review_files` keeps the reviews.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Final, TypeVar

from gog.schemas import Audit, Decision, Method, Outcome, Reject, Review, Trajectory, Unit, Verdict, Why, content_id
from gog.transforms.dialect.turns import ANSWER_TAG
from gog.transforms.evaluate.protocols.agreement import UNKNOWN, Agreement, agreement
from gog.transforms.export.rows import SFT_STAGE, Reviewed

Word = TypeVar("Word", bound=Review | Audit)
"""What one person says of one trajectory."""

ByReviewer = Mapping[str, Review]
"""The latest review of each reviewer of one trajectory, by name."""


class ReviewState(StrEnum):
    """What the reviews of a trajectory add up to. `noted`: comments or corrections, and no decision."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DISPUTED = "disputed"
    NOTED = "noted"
    UNREVIEWED = "unreviewed"


_REASONS: Final = {
    ReviewState.REJECTED: "export.review_rejected",
    ReviewState.DISPUTED: "export.review_disputed",
    ReviewState.NOTED: "export.not_reviewed",
    ReviewState.UNREVIEWED: "export.not_reviewed",
}


def latest(words: Iterable[Word]) -> dict[str, dict[str, Word]]:
    """The word that counts of each reviewer, by trajectory and name, both sorted."""
    latest_of: dict[str, dict[str, Word]] = {}
    for word in sorted(words, key=lambda w: (w.trajectory_id, w.reviewer, w.number, w.made, repr(w))):
        latest_of.setdefault(word.trajectory_id, {})[word.reviewer] = word
    return latest_of


def state_of(reviews: ByReviewer) -> ReviewState:
    """What the latest reviews of a trajectory add up to."""
    decisions = {review.decision for review in reviews.values()} - {None}
    if len(decisions) == 2:
        return ReviewState.DISPUTED
    if decisions:
        return ReviewState.ACCEPTED if Decision.ACCEPT in decisions else ReviewState.REJECTED
    noted = any(review.comment or review.boxes or review.answer is not None for review in reviews.values())
    return ReviewState.NOTED if noted else ReviewState.UNREVIEWED


@dataclass(frozen=True, slots=True)
class Audited:
    """What people's audits add up to."""

    said: dict[str, Outcome]
    """By trajectory, where all who decided say the same."""
    disputed: tuple[str, ...]
    skipped: int
    """Trajectories on which nobody decided."""
    people: dict[str, int]
    """Decisions of each."""


def said_by(who: str, by_trajectory: Mapping[str, Mapping[str, Audit]]) -> dict[str, Outcome]:
    """What one person said, by trajectory, the latest word last."""
    own = sorted((by[who] for by in by_trajectory.values() if who in by), key=lambda audit: audit.made)
    return {audit.trajectory_id: audit.outcome for audit in own}


def audited(by_trajectory: Mapping[str, Mapping[str, Audit]]) -> Audited:
    """The audits of trajectories, put together; by trajectory and reviewer."""
    said, disputed, people, skipped = dict[str, Outcome](), [], dict[str, int](), 0
    for name, audits in by_trajectory.items():
        decided = {who: audit.outcome for who, audit in audits.items() if audit.outcome is not Outcome.UNKNOWN}
        people |= {who: people.get(who, 0) + 1 for who in decided}
        skipped += not decided
        if len(set(decided.values())) == 1:
            said[name] = next(iter(decided.values()))
        elif decided:
            disputed.append(name)
    return Audited(said, tuple(sorted(disputed)), skipped, dict(sorted(people.items())))


def honour(trajectory: Trajectory, reviews: ByReviewer, reviewed: Reviewed) -> Trajectory | Reject:
    """The trajectory as people leave it to training, or why it stays out.

    A gaze whose box somebody corrected is a mistake: its turn gets `train = false`, so that nobody is taught it. The
    box itself is not put in: what was found, and what was thought of it, belong to the crop that was looked at. A
    corrected answer takes the place of the old one; two that differ are a dispute.
    """
    if reviewed is Reviewed.IGNORE:
        return trajectory
    state = state_of(reviews)
    answers = {review.answer for review in reviews.values() if review.answer is not None}
    leaves = _REASONS.get(state)
    if leaves == "export.not_reviewed" and reviewed is Reviewed.PREFER:
        leaves = None
    if leaves is None and len(answers) > 1:
        leaves = "export.review_disputed"
    if leaves is not None:
        name, seed, detail = trajectory.trajectory_id, trajectory.seed_id, _said(reviews)
        return Reject.of(SFT_STAGE, Unit.TRAJECTORY, name, leaves, detail=detail, seed_id=seed)
    for answer in answers:
        trajectory = with_answer(trajectory, answer)
    wrong = {box.turn for review in reviews.values() for box in review.boxes}
    if not any(step.turn in wrong and step.train for step in trajectory.steps):
        return trajectory
    steps = tuple(s.model_copy(update={"train": False}) if s.turn in wrong else s for s in trajectory.steps)
    return trajectory.model_copy(update={"steps": steps})


def _said(reviews: ByReviewer) -> str:
    """Who decided what, and why: "ana: reject (wrong_answer), ben: accept"."""
    words = []
    for name, review in reviews.items():
        if review.decision is not None:
            words.append(f"{name}: {review.decision}" + (f" ({review.why})" if review.why else ""))
        if review.answer is not None:
            words.append(f"{name}: answer {review.answer!r}")
    return ", ".join(words)


def can_answer(trajectory: Trajectory) -> bool:
    """Whether it ends with an answer, which a person could correct."""
    return trajectory.answer is not None and _answered_at(trajectory) is not None


def with_answer(trajectory: Trajectory, answer: str) -> Trajectory:
    """The trajectory with another answer in its last turn; its thoughts stay. As it was where there is no answer."""
    at = _answered_at(trajectory)
    if at is None or trajectory.answer is None:
        return trajectory
    message = trajectory.messages[at]
    last = list(ANSWER_TAG.finditer(message.text))[-1]
    text = f"{message.text[: last.start(1)]}{answer}{message.text[last.end(1) :]}"
    turn = message.model_copy(update={"content": text})
    messages = (*trajectory.messages[:at], turn, *trajectory.messages[at + 1 :])
    return trajectory.model_copy(update={"messages": messages, "answer": answer})


def _answered_at(trajectory: Trajectory) -> int | None:
    """Place of the message that answers."""
    for at in range(len(trajectory.messages) - 1, -1, -1):
        message = trajectory.messages[at]
        if message.role == "assistant":
            return at if isinstance(message.content, str) and ANSWER_TAG.search(message.content) else None
    return None


def digest_reviews(by_trajectory: Mapping[str, ByReviewer], reviewed: Reviewed) -> str:
    """What an export was made from as far as it depends on reviews; empty where it does not."""
    if reviewed is Reviewed.IGNORE:
        return ""
    decisions = [
        _digested(name, reviewer, review)
        for name, reviews in by_trajectory.items()
        for reviewer, review in reviews.items()
        if review.decision is not None or review.boxes or review.answer is not None
    ]
    return f"+{content_id('reviews', decisions)}" if decisions else ""


def _digested(name: str, reviewer: str, review: Review) -> list[object]:
    turns = sorted({box.turn for box in review.boxes})
    # What newer reviews can say besides comes last, so that older exports stay up to date.
    more = [review.answer, review.why] if review.answer is not None or review.why else []
    return [name, reviewer, review.decision, turns, *more]


@dataclass(frozen=True, slots=True)
class Pair:
    """How far two raters agree."""

    first: str
    second: str
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class ReviewStats:
    """A run's reviews in numbers. `verification`, `rules` and `judge` compare people, each and all, with the engine.

    Verification accepts a trajectory that is right and leaves for no reason; rules, and the judge where they settle
    nothing, accept what they call correct. `everybody` are the trajectories on which all who decided agree.
    """

    states: dict[ReviewState, int]
    reviewers: dict[str, dict[str, int]]
    """By name: accepted, of them in bulk, rejected, boxes, answers, comments."""
    reasons: dict[str, int]
    """Rejections by reason, all of them; those without one are `none`."""
    people: tuple[Pair, ...]
    verification: tuple[Pair, ...]
    rules: tuple[Pair, ...]
    judge: tuple[Pair, ...]


EVERYBODY: Final = "everybody"


def review_stats(by_trajectory: Mapping[str, ByReviewer], verdicts: Iterable[Verdict]) -> ReviewStats:
    """Counts and agreement over the latest reviews, with 95% intervals; `verdicts` of at least what was reviewed.

    What was accepted in bulk was not looked at, and enters no agreement.
    """
    states: dict[ReviewState, int] = {s: 0 for s in ReviewState if s is not ReviewState.UNREVIEWED}
    labels: dict[str, dict[str, str]] = {}
    everybody: dict[str, str] = {}
    for name, reviews in by_trajectory.items():
        state = state_of(reviews)
        if state in states:
            states[state] += 1
        decided = {who: r.decision.value for who, r in reviews.items() if r.decision is not None and not r.bulk}
        for who, label in decided.items():
            labels.setdefault(who, {})[name] = label
        if len(set(decided.values())) == 1:
            everybody[name] = next(iter(decided.values()))
    verified, ruled, judged = _engine_labels(v for v in verdicts if v.trajectory_id in by_trajectory)
    people = {who: labels[who] for who in sorted(labels)}
    raters = {EVERYBODY: everybody} | people if len(people) > 1 else people
    return ReviewStats(
        states=states,
        reviewers=_reviewers(by_trajectory.values()),
        reasons=_reasons(by_trajectory.values()),
        people=tuple(Pair(a, b, agreement(people[a], people[b])) for a, b in combinations(people, 2)),
        verification=tuple(Pair(who, "verification", agreement(raters[who], verified)) for who in raters),
        rules=tuple(Pair(who, "rules", agreement(raters[who], ruled)) for who in raters) if ruled else (),
        judge=tuple(Pair(who, "judge", agreement(raters[who], judged)) for who in raters) if judged else (),
    )


def _engine_labels(verdicts: Iterable[Verdict]) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """What verification as a whole, its rules alone and its judge alone say of each trajectory, in people's words."""
    verified, ruled, judged = {}, {}, {}
    for verdict in verdicts:
        name, right = verdict.trajectory_id, verdict.outcome is Outcome.CORRECT
        settled = verdict.outcome is not Outcome.UNKNOWN
        verified[name] = _label(right and not verdict.reasons) if settled else UNKNOWN
        if verdict.method is Method.JUDGE:
            judged[name] = _label(right) if settled else UNKNOWN
        elif verdict.method is not Method.NONE:
            ruled[name] = _label(right)
    return verified, ruled, judged


def _label(accepted: bool) -> str:
    return (Decision.ACCEPT if accepted else Decision.REJECT).value


_COUNTED: Final = ("accepted", "in_bulk", "rejected", "boxes", "answers", "comments")


def _reasons(all_reviews: Iterable[ByReviewer]) -> dict[str, int]:
    rejections = [r for by in all_reviews for r in by.values() if r.decision is Decision.REJECT]
    counts = Counter(str(review.why or "none") for review in rejections)
    return {name: counts[name] for name in (*Why, "none") if counts[name]}


def _reviewers(all_reviews: Iterable[ByReviewer]) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = {}
    for reviews in all_reviews:
        for who, review in reviews.items():
            counts = totals.setdefault(who, dict.fromkeys(_COUNTED, 0))
            counts["accepted"] += review.decision is Decision.ACCEPT
            counts["in_bulk"] += review.bulk
            counts["rejected"] += review.decision is Decision.REJECT
            counts["boxes"] += len(review.boxes)
            counts["answers"] += review.answer is not None
            counts["comments"] += bool(review.comment)
    return dict(sorted(totals.items()))
