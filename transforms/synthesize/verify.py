"""Verify: rules first, then the judge; what the verdict speaks against leaves with its reason."""

from dataclasses import dataclass

from gog.schemas import Evidence, Reject, Seed, Trajectory, Unit, Verdict
from gog.transforms.synthesize.services import Services
from gog.transforms.verify.verdict import verdict


@dataclass(frozen=True, slots=True)
class Verified:
    """A trajectory with its verdict; `reject` is set when it leaves."""

    trajectory: Trajectory
    verdict: Verdict
    reject: Reject | None


async def verify_trajectory(
    services: Services,
    seed: Seed,
    trajectory: Trajectory,
    evidence: tuple[Evidence, ...],
    no_tool_pass_rate: float | None,
) -> Verified:
    """The verdict; the first of its reasons is the reject's, the others stand in the detail."""
    by_id = {item.evidence_id: item for item in evidence}
    found = await verdict(trajectory, seed, by_id, no_tool_pass_rate, services.ask_judge())
    if not found.reasons:
        return Verified(trajectory, found, None)
    stopped = services.gateway.budget.stopped if found.reasons[0] in ("judge.ill", "setup.wrong") else ""
    detail = stopped or ", ".join(found.reasons)
    return Verified(trajectory, found, leaves(seed, trajectory, found.reasons[0], detail))


def leaves(seed: Seed, trajectory: Trajectory, reason: str, detail: str) -> Reject:
    """The reject of a trajectory; its payload is the answer."""
    return Reject.of(
        "verify",
        Unit.TRAJECTORY,
        trajectory.trajectory_id,
        reason,
        detail=detail,
        payload=trajectory.answer or "",
        seed_id=seed.seed_id,
    )
