"""Label: k tries of a policy at a seed give its complexity.

Source: Glance-or-Gaze, arXiv 2601.13942, stage 2: queries are replayed by the SFT model; the pass rate is the level.
"""

import asyncio

from pydantic import BaseModel, ConfigDict, Field

from gog.schemas import Complexity, Outcome, Reject, Seed, Unit
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.label.complexity import ComplexitySettings, complexity
from gog.transforms.services.protocols import Policy
from gog.transforms.synthesize.rollout import Attempt, RolloutSettings, rollout
from gog.transforms.synthesize.services import STOPS, Services
from gog.transforms.verify.verdict import settle


class LabelSettings(BaseModel):
    """How often and how a policy tries, and where levels begin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int = Field(default=8, ge=1)
    """Tries a seed."""
    rollout: RolloutSettings = RolloutSettings(temperature=1.0, hints=False)
    """How the policy acts."""
    levels: ComplexitySettings = ComplexitySettings()
    """Where levels begin."""


async def label_seed(
    services: Services,
    policy: Policy,
    seed: Seed,
    solvable: bool,
    settings: LabelSettings,
    episode: EpisodeSettings,
) -> Complexity | Reject:
    """The seed's complexity from k tries without hints, or why it has none.

    A try that ends without an answer failed; one that broke, or that nobody can judge, is unknown.
    """
    tries = await asyncio.gather(
        *(
            rollout(services, policy, seed, (), index, settings.rollout, episode, teacher=False, purpose="label")
            for index in range(settings.k)
        )
    )
    stops = [(t.reject.reason, t.reject.detail) for t in tries if t.reject and t.reject.reason in STOPS]
    settled = [] if stops else await asyncio.gather(*(_outcome(services, seed, attempt) for attempt in tries))
    stops += [(why, "the judge could not be asked") for _, why in settled if why in STOPS]
    if stops:
        reason, detail = stops[0]
        return Reject.of("label", Unit.SEED, seed.seed_id, reason, detail=detail, seed_id=seed.seed_id)
    outcomes = [outcome for outcome, _ in settled]
    return complexity(seed.seed_id, policy.id, outcomes, settings.levels, solvable=solvable)


async def _outcome(services: Services, seed: Seed, attempt: Attempt) -> tuple[Outcome, str]:
    """The outcome of a try, and why it is unknown."""
    if attempt.trajectory is not None:
        outcome, _, why = await settle(attempt.trajectory.answer, seed, services.ask_judge("label"))
        return outcome, why
    assert attempt.reject is not None
    failed = attempt.reject.reason.startswith("episode.")
    return (Outcome.WRONG, "") if failed else (Outcome.UNKNOWN, attempt.reject.reason)
