"""Small records for tests of verification and curation: seeds, hits, and trajectories told turn by turn."""

from collections.abc import Sequence
from dataclasses import dataclass

from gog.schemas import (
    WHOLE,
    AnswerType,
    Behaviour,
    Box,
    EpisodeImage,
    Evidence,
    Function,
    Hit,
    Message,
    Method,
    Origin,
    Outcome,
    Seed,
    Step,
    StopReason,
    ToolCall,
    Trajectory,
    Verdict,
)
from gog.transforms.verify.grounding import literal
from gog.transforms.verify.judge import JudgeQuestion, JudgeReply, Ruling
from gog.transforms.verify.rules import check

SHA = "a" * 64


def make_seed(
    *answers: str,
    kind: AnswerType = AnswerType.STRING,
    question: str = "Which country's flag is at the top right?",
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    entity: str | None = None,
    seed_id: str = "seed-0",
    phash: str = "0" * 16,
    page: str | None = None,
) -> Seed:
    return Seed(
        seed_id=seed_id,
        dataset="test",
        question=question,
        answers=answers or ("Kenya",),
        answer_type=kind,
        answer_unit=unit,
        answer_low=low,
        answer_high=high,
        image_sha256=SHA,
        width=800,
        height=600,
        image_phash=phash,
        entity=entity,
        gold_page=page,
    )


def make_evidence(evidence_id: str, *titles: str, tool: str = "gaze", snippet: str = "") -> Evidence:
    hits = tuple(Hit(rank=n, title=title, url="", snippet=snippet) for n, title in enumerate(titles, 1))
    return Evidence(evidence_id=evidence_id, tool=tool, hits=hits, provider="test")


@dataclass(frozen=True)
class Turn:
    """One assistant turn, and what came back to it."""

    said: str
    action: str = "answer"
    evidence: Evidence | None = None
    shown: str | None = None
    reasoning: str | None = None


def make_trajectory(
    turns: Sequence[Turn],
    *,
    answer: str | None = "Kenya",
    behaviour: Behaviour = Behaviour.GAZE,
    reflective: bool = False,
    trajectory_id: str = "trajectory-0",
    seed_id: str = "seed-0",
    stop: StopReason = StopReason.ANSWERED,
) -> Trajectory:
    messages = [Message(role="system", content="s"), Message(role="user", content="q")]
    steps = []
    for number, turn in enumerate(turns):
        call = ToolCall(id=f"c{number}", function=Function(name=turn.action, arguments="{}"))
        calls = () if turn.action in {"answer", "none"} else (call,)
        messages.append(
            Message(role="assistant", content=turn.said, reasoning_content=turn.reasoning, tool_calls=calls)
        )
        shown = turn.shown
        if shown is None and turn.evidence is not None:
            shown = "\n".join(f"{hit.title}: {hit.snippet}" for hit in turn.evidence.hits)
        if calls:
            messages.append(Message(role="tool", content=shown or "found nothing.", tool_call_id=f"c{number}"))
        found = (turn.evidence.evidence_id,) if turn.evidence is not None else ()
        box = Box(0, 0, 0.5, 0.5) if turn.action in {"gaze", "zoom"} else None
        steps.append(Step(turn=number, action=turn.action, box=box, evidence_ids=found))
    return Trajectory(
        trajectory_id=trajectory_id,
        seed_id=seed_id,
        sample_index=0,
        origin=Origin.ROLLOUT,
        behaviour=behaviour,
        reflective=reflective,
        messages=tuple(messages),
        tools=(),
        images=(EpisodeImage(sha256=SHA, width=800, height=600, box=WHOLE),),
        steps=tuple(steps),
        answer=answer,
        stop=stop,
        teacher="test",
    )


def make_verdict(trajectory: Trajectory, *, grounded: bool | None = True, useful: bool | None = None) -> Verdict:
    return Verdict(
        trajectory_id=trajectory.trajectory_id,
        seed_id=trajectory.seed_id,
        outcome=Outcome.CORRECT,
        method=Method.EXACT,
        score=1.0,
        grounded=grounded,
        gaze_useful=useful,
    )


async def closed_world_judge(question: JudgeQuestion) -> JudgeReply:
    """A judge by rule, for worlds where every accepted form is known: no model is asked.

    An answer that matches no accepted form is wrong; an answer is grounded when the evidence names it word for word.
    """
    if question.kind == "answer":
        right = check(question.candidate, question, closed=True)[0] is Outcome.CORRECT
    elif question.kind == "leak":
        right = literal(question.answers, question.evidence)
    else:
        right = literal((question.candidate, *question.answers), question.evidence)
    return JudgeReply(Ruling.YES if right else Ruling.NO, judge="rules:closed-world")
