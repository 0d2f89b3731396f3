"""Rewards of rollouts. One that says nothing of the policy is masked, never paid zero: the judge or another term
failed, a search failed or is not in a replay, the token budget or the turns ran out, or there is no judge where the
rules need one.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gog.schemas import Behaviour, Method, Outcome
from gog.transforms.episode.machine import behaviour_of
from gog.transforms.episode.steps import is_reflective
from gog.transforms.verify.judge import JudgeCall, JudgeQuestion, JudgeReply
from gog_train.environment import Ending, Rollout
from gog_train.rewards.outcomes import paid_as
from gog_train.rewards.terms import Finished, RewardSettings

_MASKED: Final = {
    Ending.OVERLONG: "overlong",
    Ending.OUT_OF_TURNS: "out_of_turns",
    Ending.TOOL_FAILED: "tool",
    Ending.MISSED: "miss",
}
MASKS: Final = (*_MASKED.values(), "unsettled", "judge", "term")
"""Why a rollout is masked."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A rollout's reward and its terms' values, by name; `masked` says why it has none.

    `unsettled`: no rule settled its answer, and there is no judge. `outcome` is None where it gave no answer.
    """

    ending: Ending
    reward: float | None
    values: Mapping[str, float | None] = field(default_factory=dict)
    masked: str = ""
    unsettled: bool = False
    outcome: Outcome | None = None
    method: Method = Method.NONE

    @property
    def prefix(self) -> bool:
        """Whether it has a reward though it did not come to its end: the turns before its last one are learned from."""
        return self.reward is not None and self.ending in _MASKED

    @property
    def right(self) -> bool | None:
        """Whether it answered, and right; None where tools or judge failed, or nobody could settle the answer."""
        if self.ending in (Ending.TOOL_FAILED, Ending.MISSED) or self.outcome is Outcome.UNKNOWN:
            return None
        return self.outcome is Outcome.CORRECT


@dataclass(slots=True)
class CountedJudge:
    """A judge whose questions and readable replies are counted."""

    judge: JudgeCall
    asked: int = 0
    answered: int = 0

    async def __call__(self, question: JudgeQuestion) -> JudgeReply:
        """Ask. Raises `ServiceError`."""
        self.asked += 1
        reply = await self.judge(question)
        self.answered += reply.readable
        return reply


async def score(rollout: Rollout, judge: JudgeCall | None, settings: RewardSettings) -> Scored:
    """The reward of a rollout that has ended. Without a judge `settings.unsettled` says what the rest is."""
    if rollout.ending in _MASKED and settings.unfinished == "mask":
        return Scored(rollout.ending, None, masked=_MASKED[rollout.ending])
    finished, unsettled, method = finished_of(rollout), False, Method.NONE
    if rollout.ending is Ending.ANSWERED:
        outcome, unsettled, _, method = await paid_as(rollout.episode.answer, rollout.gold, judge, settings.unsettled)
        finished = replace(finished, outcome=outcome)
    reward, values = settings.pay(finished)
    silent = "unsettled" if unsettled else "judge"
    why = "" if reward is not None else silent if finished.outcome is Outcome.UNKNOWN else "term"
    return Scored(rollout.ending, reward, values, why, unsettled, finished.outcome, method)


def finished_of(rollout: Rollout) -> Finished:
    """The rollout as terms see it, its answer not yet settled."""
    episode = rollout.episode
    turns = tuple(message.text for message in episode.messages if message.role == "assistant")
    return Finished(rollout.row, turns, episode.steps, episode.strikes, episode.answer, None)


async def score_all(rollouts: Sequence[Rollout], judge: JudgeCall | None, settings: RewardSettings) -> list[Scored]:
    """The rewards of a batch; the judge is asked about all of them at once."""
    return list(await asyncio.gather(*(score(rollout, judge, settings) for rollout in rollouts)))


def unsettled_of(scored: Sequence[Scored]) -> int:
    """Rollouts whose answers nobody settled for want of a judge, masked or paid."""
    return sum(one.unsettled for one in scored)


def with_signal(scored: Sequence[Scored], group: int) -> list[bool]:
    """For each group whether some of its paid rollouts are right and some wrong, as verl filters by `acc`.

    By the reward, a malformed one among wrong ones would be a signal, of full size once it is divided by the deviation.
    """
    groups = [scored[start : start + group] for start in range(0, len(scored), group)]
    return [len({one.values.get("accuracy") for one in rollouts if one.reward is not None}) > 1 for rollouts in groups]


def metrics_of(scored: Sequence[Scored], rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Means over a batch, by name: terms of the reward, endings, masks, turns, tools and behaviours."""
    count = len(scored)
    paid = [one for one in scored if one.reward is not None]
    metrics = {"episode/masked": 1 - len(paid) / count, "episode/unsettled": unsettled_of(scored) / count}
    metrics["episode/prefix"] = sum(one.prefix for one in scored) / count
    for name in paid[0].values if paid else ():
        metrics[f"reward/{name}"] = sum(one.values[name] or 0.0 for one in paid) / len(paid)
    masks, endings = Counter(one.masked for one in scored), Counter(one.ending for one in scored)
    metrics |= {f"masked/{name}": masks[name] / count for name in MASKS}
    metrics |= {f"ended/{ending}": endings[ending] / count for ending in Ending}
    episodes = [rollout.episode for rollout in rollouts]
    calls = Counter(step.action for episode in episodes for step in episode.steps if step.evidence_ids)
    behaviours = Counter(behaviour_of(episode) for episode in episodes)
    names = [tool.name for tool in episodes[0].settings.known]
    metrics |= {f"searches/{name}": calls[name] / count for name in names}
    metrics |= {f"behaviour/{name}": behaviours[name] / count for name in Behaviour}
    metrics["behaviour/reflective"] = sum(is_reflective(episode.steps) for episode in episodes) / count
    metrics["episode/turns"] = sum(episode.turns for episode in episodes) / count
    metrics["episode/strikes"] = sum(episode.strikes for episode in episodes) / count
    return metrics
