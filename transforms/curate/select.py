"""Best of k: which right attempts of one seed are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from gog.schemas import Behaviour, Reject, Trajectory, Unit, Verdict


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
    candidates: Sequence[Candidate], keep: int = 1, *, prefer_reflective: bool = False
) -> tuple[tuple[Candidate, ...], tuple[Reject, ...]]:
    """The best `keep` attempts of one seed, best first, and `curate.not_best` for the others.

    Order: grounded (an attempt exempt from grounding counts as grounded), then no gaze that found nothing of use (an
    attempt that needed no gaze is as good as one whose gaze was useful), then reflective where that is preferred,
    then fewest tool calls, then a behaviour not kept yet; what is still equal goes by trajectory id. Raises
    `ValueError` on attempts of several seeds and on one that is not verified.
    """
    if len({candidate.trajectory.seed_id for candidate in candidates}) > 1:
        raise ValueError("best of k is chosen among the attempts of one seed")
    if any(candidate.verdict.reasons for candidate in candidates):
        raise ValueError("only verified attempts can be chosen")
    left = list(candidates)
    kept: list[Candidate] = []
    while left and len(kept) < keep:
        behaviours = {candidate.trajectory.behaviour for candidate in kept}
        best = min(left, key=lambda candidate: _rank(candidate, behaviours, prefer_reflective))
        left.remove(best)
        kept.append(best)
    detail = f"kept: {', '.join(one.trajectory.trajectory_id for one in kept) or 'none'}"
    rejects = [
        candidate.reject("curate.not_best", detail)
        for candidate in sorted(left, key=lambda candidate: candidate.trajectory.trajectory_id)
    ]
    return tuple(kept), tuple(rejects)


def _rank(
    candidate: Candidate, kept: frozenset[Behaviour] | set[Behaviour], prefer_reflective: bool
) -> tuple[bool, bool, bool, int, bool, str]:
    trajectory, verdict = candidate.trajectory, candidate.verdict
    return (
        verdict.grounded is False,
        verdict.gaze_useful is False,
        prefer_reflective and not trajectory.reflective,
        sum(bool(message.tool_calls) for message in trajectory.messages),
        trajectory.behaviour in kept,
        trajectory.trajectory_id,
    )
