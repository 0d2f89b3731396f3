"""Best of k: which right attempts of one seed are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from gog.schemas import Behaviour, Box, Origin, Reject, Trajectory, Unit, Verdict
from gog.schemas.boxes import same_place
from gog.transforms.episode.steps import by_turn


@dataclass(frozen=True, slots=True)
class Candidate:
    """A verified attempt: a trajectory with its verdict."""

    trajectory: Trajectory
    verdict: Verdict

    def reject(self, reason: str, detail: str) -> Reject:
        """Why it leaves."""
        trajectory = self.trajectory
        unit_id, seed_id = trajectory.trajectory_id, trajectory.seed_id
        return Reject.of("curate", Unit.TRAJECTORY, unit_id, reason, detail=detail, seed_id=seed_id)


def select(
    candidates: Sequence[Candidate], keep: int = 1, *, prefer_reflective: bool = True
) -> tuple[tuple[Candidate, ...], tuple[Reject, ...]]:
    """The best `keep` attempts of one seed, best first, and `curate.not_best` for the others.

    Order: grounded (an attempt exempt from grounding counts as grounded), then no gaze that found nothing of use (an
    attempt that needed no gaze is as good as one whose gaze was useful), then a rollout before a composed attempt of
    which nobody knows that it looked at the target, then reflective where that is preferred, then fewest tool calls,
    then a behaviour not kept yet; what is still equal goes by trajectory id. A composed attempt that looked elsewhere
    than all rollouts of its seed did leaves as `curate.off_focus`, unless its gaze names the target. Raises
    `ValueError` on attempts of several seeds and on one that is not verified.
    """
    if len({candidate.trajectory.seed_id for candidate in candidates}) > 1:
        raise ValueError("best of k is chosen among the attempts of one seed")
    if any(candidate.verdict.reasons for candidate in candidates):
        raise ValueError("only verified attempts can be chosen")
    astray = [candidate for candidate in candidates if _astray(candidate, candidates)]
    left = [candidate for candidate in candidates if candidate not in astray]
    kept: list[Candidate] = []
    while left and len(kept) < keep:
        behaviours = {candidate.trajectory.behaviour for candidate in kept}
        best = min(left, key=lambda candidate: _rank(candidate, behaviours, prefer_reflective))
        left.remove(best)
        kept.append(best)
    detail = f"kept: {', '.join(one.trajectory.trajectory_id for one in kept) or 'none'}"
    rejects = [
        *(candidate.reject("curate.not_best", detail) for candidate in left),
        *(candidate.reject("curate.off_focus", "all rollouts looked at another place") for candidate in astray),
    ]
    return tuple(kept), tuple(sorted(rejects, key=lambda reject: reject.id))


def _astray(candidate: Candidate, candidates: Sequence[Candidate]) -> bool:
    """Whether it is a composed attempt whose gaze is of another place than that of every rollout that gazed."""
    if candidate.trajectory.origin is not Origin.COMPOSE or candidate.verdict.gaze_useful is True:
        return False
    ours = _last_gaze(candidate)
    theirs = [
        place
        for other in candidates
        if other.trajectory.origin is Origin.ROLLOUT and other.verdict.gaze_useful is not False
        if (place := _last_gaze(other)) is not None
    ]
    return (
        ours is not None
        and bool(theirs)
        and not any(image == ours[0] and same_place(ours[1], box) for image, box in theirs)
    )


def _last_gaze(candidate: Candidate) -> tuple[int, Box] | None:
    """The last region that the attempt looked at, and that it is trained on, with the number of its picture."""
    steps = candidate.trajectory.steps
    places = [(step.on_image, step.box) for step in steps if step.box is not None and step.train]
    return places[-1] if places else None


def _calls(trajectory: Trajectory) -> int:
    """Calls that it did, those of a turn that did not go well included."""
    said = (message for message in trajectory.messages if message.role == "assistant")
    turns = zip(said, by_turn(trajectory.steps), strict=False)
    return sum(len(steps) for message, steps in turns if message.tool_calls)


def _rank(
    candidate: Candidate, kept: frozenset[Behaviour] | set[Behaviour], prefer_reflective: bool
) -> tuple[bool, bool, bool, bool, int, bool, str]:
    trajectory, verdict = candidate.trajectory, candidate.verdict
    return (
        verdict.grounded is False,
        verdict.gaze_useful is False,
        trajectory.origin is Origin.COMPOSE and verdict.gaze_useful is None,
        prefer_reflective and not trajectory.reflective,
        _calls(trajectory),
        trajectory.behaviour in kept,
        trajectory.trajectory_id,
    )
