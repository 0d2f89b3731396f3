"""The verdict on a trajectory: outcome, grounding and leaks, put together."""

from collections.abc import Mapping
from typing import Final

from gog.schemas import Evidence, Method, Outcome, Seed, Trajectory, Verdict, Vote
from gog.schemas.reasons import STOP_REASONS
from gog.transforms.services.protocols import ServiceError
from gog.transforms.verify import grounding
from gog.transforms.verify.judge import JudgeCall, JudgeQuestion, JudgeReply, Kind, Ruling
from gog.transforms.verify.leaks import leaks
from gog.transforms.verify.rules import check
from gog.transforms.verify.suspicions import suspicions

LEAST_PASS_RATE: Final = 0.5
"""No-tool pass rate from which an answer without any search is taken for known rather than guessed."""

MAX_CANDIDATE: Final = 2000
"""Characters of an answer that a judge is shown."""

MAX_VOTE: Final = 2000
"""Characters of a panel's replies that are kept, each."""

_OUTCOMES: Final = {Ruling.YES: Outcome.CORRECT, Ruling.NO: Outcome.WRONG, Ruling.UNKNOWN: Outcome.UNKNOWN}


class _Asked:
    """The judge, and what it said: replies are kept for the row, failures become the reason."""

    def __init__(self, judge: JudgeCall | None) -> None:
        self._judge = judge
        self.replies: list[JudgeReply] = []
        self.votes: list[Vote] = []
        self.reason = "verify.unknown"

    async def ask(self, kind: Kind, seed: Seed | JudgeQuestion, answer: str, evidence: str = "") -> Ruling:
        if self._judge is None:
            return Ruling.UNKNOWN
        try:
            reply = await self._judge(question_of(kind, seed, answer, evidence))
        except ServiceError as error:
            self.reason = STOP_REASONS.get(error.failure, self.reason)
            return Ruling.UNKNOWN
        self.replies.append(reply)
        self.votes += (
            Vote(judge=one.judge, about=kind, says=one.ruling.value, reply=one.raw[:MAX_VOTE]) for one in reply.votes
        )
        return reply.ruling


def question_of(kind: Kind, seed: Seed | JudgeQuestion, answer: str, evidence: str = "") -> JudgeQuestion:
    """What a judge is asked about an answer to the seed."""
    return JudgeQuestion(
        kind=kind,
        question=seed.question,
        answers=seed.answers,
        candidate=answer[:MAX_CANDIDATE],
        evidence=evidence,
        answer_type=seed.answer_type,
        answer_unit=seed.answer_unit,
        answer_low=seed.answer_low,
        answer_high=seed.answer_high,
    )


async def settle(
    answer: str | None, seed: Seed | JudgeQuestion, judge: JudgeCall | None
) -> tuple[Outcome, Method, str]:
    """Outcome of an answer alone: the rules, then the judge. For screening, labels and reward, where there is no more.

    `seed` may be the question to a judge, with its candidate left empty.

    The third value is the reason for which an unknown outcome leaves: `verify.unknown`, or `budget.reached` and
    `store.miss` when that is why the judge could not be asked. It is empty otherwise.
    """
    asked = _Asked(judge)
    outcome, method = await _settle(answer, seed, asked)
    return outcome, method, asked.reason if outcome is Outcome.UNKNOWN else ""


async def _settle(answer: str | None, seed: Seed | JudgeQuestion, asked: _Asked) -> tuple[Outcome, Method]:
    outcome, method = check(answer, seed)
    if outcome is not Outcome.UNKNOWN or answer is None:
        return outcome, method
    outcome = _OUTCOMES[await asked.ask("answer", seed, answer)]
    return outcome, Method.NONE if outcome is Outcome.UNKNOWN else Method.JUDGE


async def verdict(
    trajectory: Trajectory,
    seed: Seed,
    evidence_by_id: Mapping[str, Evidence],
    no_tool_pass_rate: float | None,
    judge: JudgeCall | None,
) -> Verdict:
    """What verification says of a trajectory; it is verified when `reasons` is empty.

    The judge is asked about the answer only when no rule settles it, about leaks only where a rule cannot tell, and
    about grounding only for a right answer that leaked nothing. A judge that fails makes the verdict unknown, never
    wrong. `no_tool_pass_rate` is None when no pass without tools could be settled. `KeyError` when a step's evidence is
    missing.
    """
    asked = _Asked(judge)
    outcome, method = await _settle(trajectory.answer, seed, asked)
    evidence = grounding.evidence_of(trajectory, evidence_by_id)
    reasons = {Outcome.WRONG: ["verify.wrong"], Outcome.UNKNOWN: [asked.reason], Outcome.CORRECT: []}[outcome]
    leaked = await _leaked(trajectory, seed, asked if not reasons else None)
    if leaked is not False and (leaked or not reasons):
        reasons.append("verify.leaked" if leaked else asked.reason)
    grounded = None
    if not reasons:
        grounded, reasons = await _ground(trajectory, seed, evidence, no_tool_pass_rate, asked)
    answer = trajectory.answer or ""
    forms = (answer, *seed.answers) if outcome is Outcome.CORRECT else (answer,)
    return Verdict(
        trajectory_id=trajectory.trajectory_id,
        seed_id=seed.seed_id,
        outcome=outcome,
        method=method,
        score=1.0 if outcome is Outcome.CORRECT else 0.0,
        judge=next((reply.judge for reply in asked.replies if reply.judge), ""),
        judge_reply="\n".join(reply.raw[:4000] for reply in asked.replies if reply.raw),
        votes=tuple(asked.votes),
        grounded=grounded,
        literal=bool(answer) and grounding.literal(forms, grounding.hits_text(evidence)),
        leaked=leaked,
        gaze_useful=grounding.gaze_useful(trajectory, seed, evidence_by_id),
        reasons=tuple(reasons),
    )


async def _leaked(trajectory: Trajectory, seed: Seed, asked: _Asked | None) -> bool | None:
    """Whether it leaked, by rule, or else by the judge where there is a suspicion; None where nobody can say."""
    if leaks(trajectory, seed):
        return True
    places = suspicions(trajectory, seed)
    if not places:
        return False
    ruling = await asked.ask("leak", seed, "", "\n".join(places)) if asked else Ruling.UNKNOWN
    return {Ruling.YES: True, Ruling.NO: False, Ruling.UNKNOWN: None}[ruling]


async def _ground(
    trajectory: Trajectory,
    seed: Seed,
    evidence: tuple[Evidence, ...],
    no_tool_pass_rate: float | None,
    asked: _Asked,
) -> tuple[bool | None, list[str]]:
    """Grounded or not (None: exempt or unknown), and the reason to leave."""
    if not grounding.searched(evidence):
        if no_tool_pass_rate is None:
            return None, ["verify.unknown"]
        return (None, []) if no_tool_pass_rate >= LEAST_PASS_RATE else (False, ["verify.ungrounded"])
    text = grounding.evidence_text(evidence)
    if not text:
        return False, ["verify.ungrounded"]
    ruling = await asked.ask("grounding", seed, trajectory.answer or "", text)
    if ruling is Ruling.UNKNOWN:
        return None, [asked.reason]
    return (True, []) if ruling is Ruling.YES else (False, ["verify.ungrounded"])
