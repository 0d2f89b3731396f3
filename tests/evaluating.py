"""Answers of an evaluation for its tests, without episodes: what was said, what came back, how it was scored."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from scoring import make_item
from verifying import Turn, make_evidence, make_seed, make_trajectory

from gog.schemas import Behaviour, Evidence, FailureClass, Reflection, Reject, Trajectory, Unit
from gog.transforms.evaluate.answered import Answered, scored
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.paradigms import Paradigm
from gog.transforms.evaluate.protocols.scores import Grade
from gog.transforms.services.protocols import ChatRequest, ServiceError
from gog.transforms.synthesize.judge import Heard
from gog.transforms.synthesize.rollout import Attempt

SEED = make_seed("Kenya", entity="Kenya")
YES, NO = "<judge>Yes</judge>\nso.", "<judge>No</judge>\nso."
STOP = ServiceError(FailureClass.BUDGET, "max_calls 3 reached")


class Judge:
    """Replies as it is told, in order, the last reply again and again; keeps what it was asked."""

    def __init__(self, *replies: str | ServiceError) -> None:
        self.replies, self.asked = list(replies), list[ChatRequest]()

    async def ask(self, request: ChatRequest, read: Callable[[str], Grade | None]) -> Heard[Grade]:
        """The next reply."""
        self.asked.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, ServiceError):
            raise reply
        return Heard(read(reply), reply, "judge:1")


def episode(answer: str | None, *, evidence: Sequence[Evidence] = (), **changes: Any) -> Attempt:
    """An attempt that answered, after searches that found this; or one that never did."""
    turns = [Turn("", one.tool, one) for one in evidence]
    made = make_trajectory([*turns, Turn("", "answer" if answer is not None else "none")], answer=answer, **changes)
    if answer is None:
        return Attempt(SEED, evidence=tuple(evidence), reject=rejected("episode.out_of_turns"), unanswered=made)
    return Attempt(SEED, made, tuple(evidence))


def broken(reason: str = "search.failed", detail: str = "no connection") -> Attempt:
    """An attempt that the outside broke."""
    return Attempt(SEED, reject=rejected(reason, detail))


def rejected(reason: str, detail: str = "") -> Reject:
    """A reject of an attempt."""
    return Reject.of("synthesize", Unit.ATTEMPT, "seed-0/0", reason, detail=detail, seed_id="seed-0")


def answered_by(
    attempt: Attempt,
    judge: Judge | None = None,
    item: BenchItem | None = None,
    *,
    judge_all: bool = False,
    paradigm: Paradigm = Paradigm.POLICY,
) -> Answered:
    """The attempt, scored."""
    item = item or make_item(image=b"picture")
    ask = (judge or Judge(NO)).ask
    return asyncio.run(scored(item, SEED, paradigm, "policy:1", attempt, ask, judge_all=judge_all))


def judged_trajectory(*turns: tuple[str, str, Reflection | None], answered: bool = True) -> tuple[Any, list[Evidence]]:
    """An episode of searches: the tool, what it found, and what the turn after it said of that."""
    evidence = [make_evidence(f"e{n}", found, tool=tool) for n, (tool, found, _) in enumerate(turns)]
    attempt = episode("Kenya" if answered else None, evidence=evidence, behaviour=Behaviour.MIXED)
    trajectory: Trajectory | None = attempt.trajectory or attempt.unanswered
    assert trajectory is not None
    said = [None, *(reflection for *_, reflection in turns)]
    steps = tuple(
        step.model_copy(update={"reflection": reflection})
        for step, reflection in zip(trajectory.steps, said, strict=True)
    )
    return trajectory.model_copy(update={"steps": steps, "prompt_tokens": 1000, "completion_tokens": 100}), evidence
