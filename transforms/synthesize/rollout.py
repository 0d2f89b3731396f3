"""Synthesize by rollout: the teacher acts with real tools; region proposals are given as hints."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from gog.prompts import prompt_hash, render
from gog.schemas import Evidence, Origin, Region, Reject, Seed, StopReason, Trajectory, Unit
from gog.schemas.boxes import to_frame
from gog.transforms.dialect.observations import one_line
from gog.transforms.episode.driver import OnTurn, drive, speaker
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start, system_prompt
from gog.transforms.episode.tool import ToolError
from gog.transforms.episode.trajectory import Making, images_of, make_trajectory
from gog.transforms.services.protocols import Policy, Sampling, ServiceError
from gog.transforms.synthesize.services import Services, reject_reason


class RolloutSettings(BaseModel):
    """How a model acts out an episode."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=0.8, ge=0)
    """Of each turn."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Of each turn."""
    max_tokens: int = Field(default=2048, ge=16)
    """Of a turn, its reasoning included."""
    hints: bool = True
    """Whether the model is told of the proposed regions; what is trained never shows them."""

    @property
    def sampling(self) -> Sampling:
        """The settings as part of a request."""
        return Sampling(self.temperature, self.top_p, self.max_tokens)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a seed: a trajectory with its evidence, or a reject."""

    seed: Seed
    trajectory: Trajectory | None = None
    evidence: tuple[Evidence, ...] = ()
    reject: Reject | None = None
    unanswered: Trajectory | None = None
    """The whole episode that stopped without an answer; the reject's payload is cut."""


def attempt_id(seed: Seed, sample_index: int) -> str:
    """Name of an attempt before it has a trajectory."""
    return f"{seed.seed_id}/{sample_index}"


def hint_text(regions: tuple[Region, ...], seed: Seed, settings: EpisodeSettings) -> str | None:
    """The regions as the teacher is told of them, in the episode's frame."""
    if not regions:
        return None
    images = images_of(seed)
    listed = []
    for region in regions:
        image = images[region.on_image]
        numbers = ", ".join(f"{v:g}" for v in to_frame(region.box, settings.spec, image.width, image.height))
        place = f"image {region.on_image}, " if len(images) > 1 else ""
        listed.append({"box": f"{place}[{numbers}]", "label": one_line(region.label)})
    return render("episode/hints", regions=listed).text


async def rollout(
    services: Services,
    policy: Policy,
    seed: Seed,
    regions: tuple[Region, ...],
    sample_index: int,
    settings: RolloutSettings,
    episode: EpisodeSettings,
    *,
    teacher: bool = True,
    purpose: str = "episode",
    on_turn: OnTurn | None = None,
) -> Attempt:
    """One rollout of `policy`. As `teacher` it gets the teacher's prompt and hints; else the policy's own prompt.

    A failed call rejects the attempt with the infrastructure's reason. An episode that ends without an answer
    rejects it too, with the trajectory as payload.
    """
    system, system_hash = system_prompt(episode, teacher=teacher)
    hints = hint_text(regions, seed, episode) if teacher and settings.hints else None
    state = start(episode, seed.question, images_of(seed), system, hints=hints)
    offered = offered_tools(episode)
    speak = speaker(services.gateway, policy, settings.sampling, sample_index, offered, system_hash, purpose)
    driven = await drive(state, speak, services.tools(episode.top_k, purpose), on_turn)
    if driven.failure is not None:
        return broken(seed, sample_index, driven.failure, driven.evidence)
    hashes = {("episode/teacher" if teacher else "episode/system"): system_hash}
    if hints is not None:
        hashes["episode/hints"] = prompt_hash("episode/hints")
    making = Making(Origin.ROLLOUT, policy.id, sample_index, hashes)
    return finished(seed, make_trajectory(seed, driven, making), driven.evidence, driven.cut)


def reject_attempt(seed: Seed, sample_index: int, reason: str, detail: str, payload: str = "") -> Reject:
    """Why an attempt leaves."""
    return Reject.of(
        "synthesize",
        Unit.ATTEMPT,
        attempt_id(seed, sample_index),
        reason,
        detail=detail,
        payload=payload,
        seed_id=seed.seed_id,
    )


def broken(seed: Seed, sample_index: int, error: ServiceError, evidence: tuple[Evidence, ...] = ()) -> Attempt:
    """The attempt that a failing call ended: a reject, with the evidence so far."""
    reason = reject_reason(error, tool=isinstance(error, ToolError))
    return Attempt(seed, evidence=evidence, reject=reject_attempt(seed, sample_index, reason, str(error)))


def finished(seed: Seed, trajectory: Trajectory, evidence: tuple[Evidence, ...], cut: int = 0) -> Attempt:
    """The attempt of an episode that has stopped: without an answer it is a reject, its evidence kept.

    `cut` turns were cut off, which the reject says: many of them mean that `max_tokens` is too low for the model.
    """
    if trajectory.stop is StopReason.ANSWERED:
        return Attempt(seed, trajectory, evidence)
    detail = f"{cut} of {len(trajectory.steps)} turns were cut off at max_tokens" if cut else ""
    payload = trajectory.model_dump_json(exclude_defaults=True)
    reject = reject_attempt(seed, trajectory.sample_index, f"episode.{trajectory.stop}", detail, payload)
    return Attempt(seed, evidence=evidence, reject=reject, unanswered=trajectory)
