"""Screen: the teacher answers a seed n times without tools; n of n right goes to the easy pool.

Source: Glance-or-Gaze, arXiv 2601.13942, the uncertainty filter of stage 1 (N = 4).
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from gog.prompts import render
from gog.schemas import (
    ImagePart,
    Message,
    Origin,
    Outcome,
    Reject,
    Screening,
    Seed,
    TextPart,
    Trajectory,
    Unit,
)
from gog.transforms.dialect.turns import Answer, parse_turn
from gog.transforms.episode.driver import Driven, take_turn
from gog.transforms.episode.machine import EpisodeSettings, question_text, start, system_prompt
from gog.transforms.episode.tools import known_tools
from gog.transforms.episode.trajectory import Making, images_of, make_trajectory
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling, ServiceError
from gog.transforms.synthesize.services import STOPS, Services, reject_reason
from gog.transforms.verify.verdict import settle


class ScreenSettings(BaseModel):
    """How the teacher is asked without tools."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passes: int = Field(default=4, ge=1)
    """Times that a question is asked without tools: right every time is too easy."""
    temperature: float = Field(default=1.0, ge=0)
    """Of these answers."""
    max_tokens: int = Field(default=1024, ge=16)
    """Of such an answer, its reasoning included."""


@dataclass(frozen=True, slots=True)
class Screened:
    """A screened seed. A hard one goes on; an easy one carries the trajectory of a right pass; a reject says why."""

    seed: Seed
    screening: Screening | None
    easy: Trajectory | None = None
    reject: Reject | None = None


def screen(seed_id: str, teacher: str, outcomes: Sequence[Outcome], *, least_settled: float = 0.5) -> Screening | None:
    """Judge a seed by the outcomes of all its passes; one that failed, or that nobody could judge, is `UNKNOWN`.

    Easy means right in every pass that was asked for: a pass that nobody could settle leaves it unproven, and the
    seed goes on, at the price of some searches. None, and so a seed that leaves, only when fewer than `least_settled`
    of the passes were settled: a single failure among several does not cost a seed, and a pass rate over one pass of
    four, which decides whether an answer without search is trusted, would be a coin's. Without any pass there is
    nothing to say: neither easy nor failed.
    """
    passes = sum(outcome is Outcome.CORRECT for outcome in outcomes)
    settled = sum(outcome is not Outcome.UNKNOWN for outcome in outcomes)
    if settled < math.ceil(len(outcomes) * least_settled):
        return None
    return Screening(
        seed_id=seed_id,
        teacher=teacher,
        k=settled,
        passes=passes,
        unknown=len(outcomes) - settled,
        pass_rate=passes / settled if settled else 0.0,
        easy=0 < len(outcomes) == passes,
    )


async def screen_seed(services: Services, seed: Seed, settings: ScreenSettings, episode: EpisodeSettings) -> Screened:
    """Ask the teacher `passes` times and decide."""
    asked = await asyncio.gather(
        *(_ask(services, seed, settings, index) for index in range(settings.passes)), return_exceptions=True
    )
    replies: list[ChatReply] = []
    failures: list[ServiceError] = []
    for reply in asked:
        if isinstance(reply, ServiceError):
            failures.append(reply)
        elif isinstance(reply, BaseException):
            raise reply
        else:
            replies.append(reply)
    settled = await asyncio.gather(*(_outcome(services, seed, reply) for reply in replies))
    outcomes = [*(outcome for outcome, _ in settled), *(Outcome.UNKNOWN for _ in failures)]
    screening = screen(seed.seed_id, services.teacher.id, outcomes)
    # A run that stopped has not screened the seed, whatever the passes before it say: it will be asked again.
    stops = [reason for reason in [*map(reject_reason, failures), *(why for _, why in settled)] if reason in STOPS]
    if stops or screening is None:
        detail = str(failures[0]) if failures else "passes could not be judged"
        final = stops[0] if stops else "screen.teacher_failed" if failures else "verify.unknown"
        reject = Reject.of("screen", Unit.SEED, seed.seed_id, final, detail=detail, seed_id=seed.seed_id)
        return Screened(seed, None, reject=reject)
    if not screening.easy:
        return Screened(seed, screening)
    reject = Reject.of("screen", Unit.SEED, seed.seed_id, "screen.too_easy", seed_id=seed.seed_id)
    return Screened(seed, screening, _kept_answer(services, seed, replies[0], episode), reject)


async def _ask(services: Services, seed: Seed, settings: ScreenSettings, index: int) -> ChatReply:
    prompt = render("screen/answer")
    images = images_of(seed)
    pictures = (ImagePart(image=image.sha256) for image in images)
    # The sizes are those of the files: nothing is said of where anything lies.
    question = question_text(EpisodeSettings(), seed.question, images)
    request = ChatRequest(
        messages=(
            Message(role="system", content=prompt.text),
            Message(role="user", content=(*pictures, TextPart(text=question))),
        ),
        sampling=Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens),
        sample_index=index,
        prompt_hash=prompt.hash,
    )
    return await services.gateway.chat(services.teacher, request, "screen")


async def _outcome(services: Services, seed: Seed, reply: ChatReply) -> tuple[Outcome, str]:
    """The outcome of a pass, and why it is unknown."""
    action = parse_turn(reply.message, 0, known_tools()).action
    if not isinstance(action, Answer):
        return Outcome.WRONG, ""
    outcome, _, why = await settle(action.text, seed, services.ask_judge("screen"))
    return outcome, why


def _kept_answer(services: Services, seed: Seed, reply: ChatReply, settings: EpisodeSettings) -> Trajectory:
    """The screening answer as a one-turn episode under the policy's own prompt: no second call is paid."""
    system, system_hash = system_prompt(settings)
    driven = take_turn(Driven(start(settings, seed.question, images_of(seed), system)), reply)
    making = Making(
        origin=Origin.SCREEN,
        teacher=services.teacher.id,
        sample_index=0,
        prompt_hashes={"episode/system": system_hash, "screen/answer": render("screen/answer").hash},
    )
    return make_trajectory(seed, driven, making)
