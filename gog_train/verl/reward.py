"""The reward of verl's rollouts: the terms of `gog_train.rewards`, read off a response's text.

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

from gog.schemas import Message, Outcome, Step
from gog.transforms.dialect.turns import Answer, parse_turn
from gog.transforms.episode.tools import known_tools
from gog.transforms.passing_images import PassingImages
from gog.transforms.services.loop import process_loop
from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store
from gog.transforms.verify.judge import JudgeCall, JudgeQuestion
from gog_train.environment import gold_of
from gog_train.rewards.outcomes import PaidAs, paid_as
from gog_train.rewards.terms import Finished, RewardSettings, Unsettled
from gog_train.services import RULES, Addresses, open_judge
from gog_train.verl.stop import ask_to_stop

RESULT_END: Final = "</tool_response>"
ATTEMPTS: Final = 3
"""Times that a judge is asked, each with its own retries, before the training stops."""
ALONE: Final = "verl can mask no rollout: name a judge (GOG_JUDGE), or set GOG_UNSETTLED=zero to pay it as wrong"


class NoRewardError(RuntimeError):
    """Nobody settles an answer, or another term has no value. verl masks nothing, and neither is a wrong answer.

    Raising it asks for the end of the training, since verl itself goes on without the rollout.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        ask_to_stop(why)


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    format_weight: float = 0.1,
    search_cost: float = 0.0,
    rewards: Mapping[str, float | None] | None = None,
    judge: str = RULES,
    judge_key_env: str = "",
    judge_thinking_tokens: int = 0,
    unsettled: Unsettled = "mask",
    **_: Any,
) -> dict[str, float]:
    """Score of a response; `acc`, `format` and each of `rewards` (weights of further terms) are its parts.
    Raises `NoRewardError`, which ends the training.

    Without a judge an answer that no rule settles is paid as wrong where `unsettled` is zero, and `unsettled` beside
    the score is 1 for it. verl can mask no rollout, so with mask such an answer ends the training.

    `tool_failed` is 1 where a search failed in spite of its retries. Such a rollout says nothing of the policy, but
    verl cannot take it out of the loss: its share has to be watched.
    """
    last = last_part(solution_str)
    action = parse_turn(Message(role="assistant", content=last), 0, known_tools()).action
    noted = (extra_info or {}).get("gog") or {}
    row = json.loads(ground_truth)
    answer, outcome, alone = None, None, False
    if isinstance(action, Answer):
        answer = action.text
        asked = _judge(judge, judge_key_env, judge_thinking_tokens)
        outcome, alone = (await _paid_as(answer, gold_of(row), asked, unsettled))[:2]
    steps = tuple(Step.model_validate(step) for step in noted.get("steps", ()))
    rollout = Finished(row, (*noted.get("turns", ()), last), steps, int(noted.get("strikes", 0)), answer, outcome)
    score, values = _settings(format_weight, search_cost, tuple((rewards or {}).items())).pay(rollout)
    if score is None:
        silent = ", ".join(name for name, value in values.items() if value is None)
        raise NoRewardError(f"no value of {silent}: verl cannot mask a rollout, so its terms must always have one")
    parts = {"acc" if name == "accuracy" else name: value or 0.0 for name, value in values.items() if name != "cost"}
    counts = {"searches": rollout.searches, "tool_failed": bool(noted.get("tool_failed")), "unsettled": alone}
    return {**parts, **{name: float(count) for name, count in counts.items()}, "score": score}


def last_part(response: str) -> str:
    """What the model says after the last tool's result, without the header of its turn."""
    _, result_end, last = response.rpartition(RESULT_END)
    if not result_end:
        return response
    head, header, rest = last.partition("assistant\n")
    return rest if header and not head.strip() else last


async def _paid_as(answer: str, gold: JudgeQuestion, judge: JudgeCall | None, unsettled: Unsettled) -> PaidAs:
    """Raises `NoRewardError` where it stays unknown."""
    for _ in range(ATTEMPTS if judge else 1):
        work = asyncio.run_coroutine_threadsafe(paid_as(answer, gold, judge, unsettled), process_loop())
        paid = await asyncio.wrap_future(work)
        if paid.outcome is not Outcome.UNKNOWN:
            return paid
    if judge is None:
        raise NoRewardError(f"no rule settles an answer, and {ALONE}")
    raise NoRewardError(f"the judge does not settle an answer ({paid.why or 'unreadable'}): look after its endpoint")


@cache
def _settings(format_weight: float, search_cost: float, more: tuple[tuple[str, float | None], ...]) -> RewardSettings:
    return RewardSettings(format_weight, search_cost, dict(more))


@cache
def _judge(address: str, key_env: str, thinking_tokens: int) -> JudgeCall | None:
    calls = Path(tempfile.mkdtemp(prefix="gog-judge-"))
    settings = ModelSettings(key_env=key_env, thinking_tokens=thinking_tokens)
    addresses = Addresses("", "", tuple(address.split()), calls, judge_settings=settings)
    return open_judge(addresses, Store(calls, Mode.LIVE), PassingImages())
