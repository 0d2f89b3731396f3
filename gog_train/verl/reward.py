"""The reward of verl's rollouts: `(1 - lambda) * accuracy + lambda * format`, from the shared verifier.

verl hands over the whole response as text, tools included. Only what the model says after the last tool's result is
read: whatever a page says, its tags were broken before the model saw it, so the last `</tool_response>` is not its own.

Source: verl 0.9.1, reward manager `naive`; Glance-or-Gaze, arXiv 2601.13942, stage 2.
"""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from gog.schemas import Message, Outcome
from gog.transforms.dialect.turns import ANSWER_TAG, Answer, parse_turn
from gog.transforms.services.loop import process_loop
from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.store.sqlite import Mode, Store
from gog.transforms.verify.judge import JudgeCall, JudgeQuestion
from gog.transforms.verify.verdict import settle
from gog_train.environment import gold_of
from gog_train.rewards import IN_FORM, MAX_ANSWER
from gog_train.services import RULES, Addresses, PassingImages, open_judge

RESULT_END: Final = "</tool_response>"
ATTEMPTS: Final = 3
"""Times that a judge is asked, each with its own retries, before the training stops."""


class JudgeIsDownError(RuntimeError):
    """The judge cannot be asked. verl has no reward that is missing, and a failing judge is no wrong answer."""


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    format_weight: float = 0.1,
    judge: str = RULES,
    judge_key_env: str = "",
    judge_thinking_tokens: int = 0,
    **_: Any,
) -> dict[str, float]:
    """Score of a response; `acc` and `format` are its parts. Raises `JudgeIsDownError`, which ends the training.

    `tool_failed` is 1 where a search failed in spite of its retries. Such a rollout says nothing of the policy, but
    verl cannot take it out of the loss: its share has to be watched.
    """
    said = last_part(solution_str)
    action = parse_turn(Message(role="assistant", content=said), 0).action
    noted = (extra_info or {}).get("gog") or {}
    told = {"searches": float(noted.get("searches", 0)), "tool_failed": float(bool(noted.get("tool_failed")))}
    if not isinstance(action, Answer):
        return {"score": 0.0, "acc": 0.0, "format": 0.0, **told}
    asked = _judge(judge, judge_key_env, judge_thinking_tokens)
    accuracy = await _accuracy(action.text, gold_of(json.loads(ground_truth)), asked)
    in_form = (
        len(action.text) <= MAX_ANSWER
        and len(ANSWER_TAG.findall(said)) == 1
        and not noted.get("strikes")
        and all(error in IN_FORM for error in noted.get("errors", ()))
    )
    score = (1 - format_weight) * accuracy + format_weight * in_form
    return {"score": score, "acc": accuracy, "format": float(in_form), **told}


def last_part(response: str) -> str:
    """What the model says after the last tool's result, without the header of its turn."""
    _, told, said = response.rpartition(RESULT_END)
    if not told:
        return response
    head, header, rest = said.partition("assistant\n")
    return rest if header and not head.strip() else said


async def _accuracy(answer: str, gold: JudgeQuestion, judge: JudgeCall) -> float:
    for _ in range(ATTEMPTS):
        work = asyncio.run_coroutine_threadsafe(settle(answer, gold, judge), process_loop())
        outcome, _, why = await asyncio.wrap_future(work)
        if outcome is not Outcome.UNKNOWN:
            return float(outcome is Outcome.CORRECT)
    raise JudgeIsDownError(f"the judge does not settle an answer ({why or 'unreadable'}): look after its endpoint")


@cache
def _judge(address: str, key_env: str, thinking_tokens: int) -> JudgeCall:
    calls = Path(tempfile.mkdtemp(prefix="gog-judge-"))
    settings = ModelSettings(key_env=key_env, thinking_tokens=thinking_tokens)
    addresses = Addresses("", "", address, calls, judge_settings=settings)
    return open_judge(addresses, Store(calls, Mode.LIVE), PassingImages())
