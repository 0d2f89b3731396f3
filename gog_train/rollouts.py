"""Rollouts of a training as records of a lake: the trajectory, its seed, what it found, and what it was paid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gog.schemas import (
    AnswerType,
    Evidence,
    FurtherImage,
    Origin,
    Outcome,
    Row,
    Seed,
    StopReason,
    Training,
    Trajectory,
    Verdict,
    content_id,
)
from gog.transforms.episode.machine import system_prompt
from gog.transforms.episode.tool import question_images
from gog.transforms.episode.trajectory import Making, make_trajectory
from gog.transforms.images import decode_image, phash
from gog_train.environment import Ending, Rollout
from gog_train.rewards.scoring import Scored
from gog_train.training_lake import TrainingLake

_REASONS: Final = {
    Ending.OUT_OF_TURNS: "episode.out_of_turns",
    Ending.STRIKES: "episode.strikes",
    Ending.OVERLONG: "episode.cut",
    Ending.BROKEN: "episode.cut",
    Ending.TOOL_FAILED: "search.failed",
    Ending.MISSED: "store.miss",
}
_OF_ANSWERS: Final = {Outcome.WRONG: ("verify.wrong",), Outcome.UNKNOWN: ("verify.unknown",), Outcome.CORRECT: ()}


@dataclass(frozen=True, slots=True)
class Kept:
    """A rollout as a lake holds it."""

    seed: Seed
    trajectory: Trajectory
    verdict: Verdict
    evidence: tuple[Evidence, ...]

    @property
    def pictures(self) -> set[str]:
        """What it shows, and what it found."""
        found = (image.sha256 for image in self.trajectory.images)
        searched = (item.image_sha256 for item in self.evidence)
        thumbs = (hit.thumbnail_sha256 for item in self.evidence for hit in item.hits)
        pictures = (picture.sha256 for item in self.evidence for picture in item.pictures)
        return {name for names in (found, searched, thumbs, pictures) for name in names if name}


@dataclass(frozen=True, slots=True)
class Counted:
    """What the trainer counted of a rollout."""

    advantage: float
    prompt_tokens: int
    completion_tokens: int
    """Those that the policy wrote."""


@dataclass(slots=True)
class Keeper:
    """Collects the rollouts of a step, over all of its batches, and has the lake write them."""

    lake: TrainingLake
    policy: str
    """The model that is trained, by name."""
    _kept: list[Kept] = field(default_factory=list)
    _seeds: dict[str, Seed] = field(default_factory=dict)
    _batches: int = 0

    def add(
        self, step: int, first: int, rollouts: Sequence[Rollout], scored: Sequence[Scored], counted: Sequence[Counted]
    ) -> None:
        """A batch of this process; `first` is the number of its first rollout over all processes."""
        for number, (rollout, score, counts) in enumerate(zip(rollouts, scored, counted, strict=True), first):
            seed = self._seeds.get(rollout.row["id"]) or seed_of(rollout)
            self._seeds[seed.seed_id] = seed
            training = training_of(step, self._batches, score, counts)
            prompts = {"episode/system": system_prompt(rollout.episode.settings)[1]}
            making = Making(Origin.ROLLOUT, self.policy, number, prompts)
            kept = kept_of(rollout, seed, score, counts, training, making)
            self.lake.put(rollout.images, kept.pictures)
            self._kept.append(kept)
        self._batches += 1

    def write(self, step: int, accelerator: Any) -> None:
        """Write the rollouts of all processes, by the first one; the others wait, for it also removes pictures."""
        from accelerate.utils import gather_object

        kept: list[Kept] = gather_object(self._kept)
        if accelerator.is_main_process:
            tables: dict[str, Sequence[Row]] = {
                "evidence": [item for one in kept for item in one.evidence],
                "verdicts": [one.verdict for one in kept],
                "trajectories": [one.trajectory for one in kept],
            }
            self.lake.write(step, (one.seed for one in kept), tables)
        accelerator.wait_for_everyone()
        self._kept, self._batches = [], 0


def training_of(step: int, draw: int, score: Scored, counts: Counted) -> Training:
    """Where it was made, and what it was paid."""
    return Training(
        step=step,
        draw=draw,
        ending=score.ending.value,
        masked=score.masked,
        reward=score.reward,
        terms=dict(score.values),
        advantage=counts.advantage,
    )


def kept_of(rollout: Rollout, seed: Seed, score: Scored, counts: Counted, training: Training, making: Making) -> Kept:
    """The records of a rollout that has ended. Its id is of its step, too: a later one may say the same again."""
    driven = rollout.driven
    stop = driven.episode.stop if score.ending in _STOPS else StopReason.CUT
    driven = replace(
        driven,
        episode=replace(driven.episode, stop=stop),
        prompt_tokens=counts.prompt_tokens,
        completion_tokens=counts.completion_tokens,
    )
    said = make_trajectory(seed, driven, making)
    name = content_id("trajectory", [said.trajectory_id, training.step, training.draw])
    trajectory = said.model_copy(update={"trajectory_id": name, "training": training})
    return Kept(seed, trajectory, verdict_of(trajectory, score), driven.evidence)


_STOPS: Final = (Ending.ANSWERED, Ending.OUT_OF_TURNS, Ending.STRIKES)


def verdict_of(trajectory: Trajectory, score: Scored) -> Verdict:
    """What the reward's verifier says; one without an answer is wrong where it was paid, and unknown elsewhere."""
    if score.ending is Ending.ANSWERED and score.outcome is not None:
        outcome, reasons = score.outcome, _OF_ANSWERS[score.outcome]
    else:
        outcome = Outcome.UNKNOWN if score.masked else Outcome.WRONG
        reasons = (_REASONS[score.ending],)
    return Verdict(
        trajectory_id=trajectory.trajectory_id,
        seed_id=trajectory.seed_id,
        outcome=outcome,
        method=score.method,
        score=float(outcome is Outcome.CORRECT),
        reasons=reasons,
    )


def seed_of(rollout: Rollout) -> Seed:
    """The question of a rollout, as far as the export's row has it."""
    row: Mapping[str, Any] = rollout.row
    image, *further = question_images(rollout.episode.images)
    return Seed(
        seed_id=row["id"],
        dataset=row.get("dataset") or "",
        question=row["question"],
        answers=tuple(row["answers"]),
        answer_type=AnswerType(row["answer_type"]),
        answer_unit=row["answer_unit"],
        answer_low=row["answer_low"],
        answer_high=row["answer_high"],
        image_sha256=image.sha256,
        width=image.width,
        height=image.height,
        image_phash=phash(decode_image(row["files"][0])),
        further_images=tuple(
            FurtherImage(sha256=one.sha256, width=one.width, height=one.height, phash=phash(decode_image(data)))
            for one, data in zip(further, row["files"][1:], strict=True)
        ),
        category=row.get("category") or "",
        language=row.get("language") or "en",
        licence=row.get("licence") or "",
        source_url=row.get("source_url") or "",
        extra={"level": int(row["level"])},
    )
