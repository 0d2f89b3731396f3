"""One item answered under one paradigm, with what the protocols say of it."""

from collections.abc import Awaitable, Callable
from typing import Final

from pydantic import BaseModel, ConfigDict

from gog.schemas import Evidence, FurtherImage, Outcome, Seed, Trajectory, content_id
from gog.transforms.evaluate.behaviour import Course, course_of
from gog.transforms.evaluate.benchmark import benchmark_named
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.paradigms import Paradigm
from gog.transforms.evaluate.protocols.peers import JUDGE
from gog.transforms.evaluate.protocols.protocol import Protocol
from gog.transforms.evaluate.protocols.scores import Grade, Score
from gog.transforms.images import decode_image, phash, sha256_hex
from gog.transforms.services.protocols import ChatRequest, ServiceError
from gog.transforms.synthesize.judge import Heard
from gog.transforms.synthesize.rollout import Attempt
from gog.transforms.synthesize.services import STOPS, reject_reason
from gog.transforms.verify.grounding import target_names
from gog.transforms.verify.rules import check

AskJudge = Callable[[ChatRequest, Callable[[str], Grade | None]], Awaitable[Heard[Grade]]]
"""Asks the judge, or a panel, and reads each reply: None for one that gives no grade. Raises `ServiceError`."""


class Answered(BaseModel):
    """An item, how it was answered, and its scores under the official and the judge protocol.

    `failure` is the infrastructure's: then there is no prediction and both scores are unknown. An episode that ended
    without an answer has the empty prediction, which is the model's own doing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str
    item_id: str
    asked: str
    """Changes with the question, its accepted answers or its image; see `asked_of`."""
    paradigm: Paradigm
    policy: str
    question: str
    answers: tuple[str, ...]
    targets: tuple[str, ...]
    """Names by which evidence may name what the question is about."""
    image_sha256: str
    prediction: str = ""
    failure: str = ""
    detail: str = ""
    official: Score
    judged: Score
    ruled: Grade = Grade.UNKNOWN
    """What the engine's own rules say of the prediction, whoever scored it."""
    opinion: Grade = Grade.UNKNOWN
    """What the judge says of the prediction, where it was asked; the judge protocol asks only what no match settles."""
    trajectory: Trajectory | None = None
    evidence: tuple[Evidence, ...] = ()

    @property
    def course(self) -> Course | None:
        """What the measures of behaviour need; None where the outside broke the episode."""
        return None if self.trajectory is None else course_of(self.trajectory, self.evidence, self.targets)

    def settled(self, *, judge_all: bool = False) -> bool:
        """Nothing is left to try again: the answer was had, and what was asked of a judge was had as well."""
        scored = not self.failure and self.official.value is not None and self.judged.value is not None
        heard = not judge_all or not self.prediction.strip() or self.opinion is not Grade.UNKNOWN
        return scored and heard


def asked_of(item: BenchItem) -> str:
    """Digest of what is asked and accepted: a kept answer counts for the very same item alone."""
    accepted = [list(item.answers), item.answer_type, item.answer_unit, item.answer_low, item.answer_high]
    image = sha256_hex(item.image) if item.image is not None else ""
    further = [sha256_hex(data) for data, _ in item.further_images]
    return content_id("asked", [item.version, item.question, accepted, image, list(item.flags), *further])


def seed_of(item: BenchItem, image_sha256: str, width: int, height: int, phash: str) -> Seed:
    """The item as what an episode starts from. A model sees the question and the image alone."""
    return Seed(
        seed_id=content_id("seed", [item.benchmark, item.version, item.item_id]),
        dataset=item.benchmark,
        dataset_version=item.version,
        question=item.question,
        answers=item.answers,
        answer_type=item.answer_type,
        answer_unit=item.answer_unit,
        answer_low=item.answer_low,
        answer_high=item.answer_high,
        image_sha256=image_sha256,
        width=width,
        height=height,
        image_phash=phash,
        entity=item.entity or None,
        category=item.category,
        language=item.language,
    )


def with_image(item: BenchItem, put: Callable[[bytes, str], str]) -> Seed:
    """The item's seed, its images kept by `put` (bytes and suffix to sha256). The item has an image."""
    assert item.image is not None
    image = decode_image(item.image)
    seed = seed_of(item, put(item.image, item.image_suffix), image.width, image.height, phash(image))
    further = []
    for data, suffix in item.further_images:
        image = decode_image(data)
        further.append(
            FurtherImage(sha256=put(data, suffix), width=image.width, height=image.height, phash=phash(image))
        )
    return seed.model_copy(update={"further_images": tuple(further)})


async def scored(
    item: BenchItem,
    seed: Seed,
    paradigm: Paradigm,
    policy: str,
    attempt: Attempt,
    ask: AskJudge,
    *,
    judge_all: bool = False,
) -> Answered:
    """The attempt with its scores; `judge_all` asks for the judge's opinion of what exact match has settled too."""
    trajectory, failure, detail = attempt.trajectory or attempt.unanswered, "", ""
    if trajectory is None:
        assert attempt.reject is not None
        failure, detail = attempt.reject.reason, attempt.reject.detail
    prediction = (trajectory.answer or "") if trajectory is not None else ""
    official = benchmark_named(item.benchmark).official
    scores, opinion = (official.unknown(item), JUDGE.unknown(item)), Grade.UNKNOWN
    if not failure:
        try:
            judged, opinion = await _judged(item, prediction, ask, judge_all=judge_all)
            scores = (judged if official is JUDGE else await score(official, item, prediction, ask)), judged
        except ServiceError as error:
            failure, detail = reject_reason(error), str(error)
    return Answered(
        benchmark=item.benchmark,
        item_id=item.item_id,
        asked=asked_of(item),
        paradigm=paradigm,
        policy=policy,
        question=item.question,
        answers=item.answers,
        targets=target_names(seed),
        image_sha256=seed.image_sha256,
        prediction=prediction,
        failure=failure,
        detail=detail[:_DETAIL],
        official=scores[0],
        judged=scores[1],
        ruled=Grade.UNKNOWN if failure else _RULED[check(prediction, item)[0]],
        opinion=opinion,
        trajectory=trajectory,
        evidence=attempt.evidence,
    )


_DETAIL: Final = 1000
"""Characters of a failure's detail that are kept."""
_RULED: Final = {
    Outcome.CORRECT: Grade.CORRECT,
    Outcome.WRONG: Grade.INCORRECT,
    Outcome.UNKNOWN: Grade.UNKNOWN,
}


async def _judged(item: BenchItem, prediction: str, ask: AskJudge, *, judge_all: bool) -> tuple[Score, Grade]:
    """The score by the judge protocol, and what the judge says of the prediction where it was asked."""
    by_rule = JUDGE.score(item, prediction)
    if not by_rule.needs_judge and not (judge_all and prediction.strip()):
        return by_rule, Grade.UNKNOWN
    said = await _ask(JUDGE, item, prediction, ask)
    return (said if by_rule.needs_judge else by_rule), said.grade


async def score(protocol: Protocol, item: BenchItem, prediction: str, ask: AskJudge) -> Score:
    """The score by rule, or by the judge where the protocol needs one. A judge that fails leaves it unknown.

    Raises `ServiceError` where the run stopped (budget, replay): the item is asked again by a later run.
    """
    by_rule = protocol.score(item, prediction)
    return await _ask(protocol, item, prediction, ask) if by_rule.needs_judge else by_rule


async def _ask(protocol: Protocol, item: BenchItem, prediction: str, ask: AskJudge) -> Score:
    assert protocol.ask is not None
    assert protocol.read is not None
    read = protocol.read

    def grade(reply: str) -> Grade | None:
        return None if (found := read(reply)) is Grade.UNKNOWN else found

    try:
        heard = await ask(protocol.ask(item, prediction), grade)
    except ServiceError as error:
        if reject_reason(error) in STOPS:
            raise
        return protocol.unknown(item, reply=f"the judge failed: {error}")
    return protocol.said(item, heard.says or Grade.UNKNOWN, heard.raw, heard.judge)


def stopped(answered: Answered) -> bool:
    """Whether the run stopped before the item was answered: a later run goes on with it."""
    return answered.failure in STOPS


def missing_because(answered: Answered) -> str:
    """What failed, where the answer or a score of it was not had; empty where all is there."""
    if answered.failure:
        return f"{answered.failure}: {answered.detail}".removesuffix(": ")
    unknown = (score for score in (answered.official, answered.judged) if score.value is None)
    return next((score.reply or "no judge settled it" for score in unknown), "")
