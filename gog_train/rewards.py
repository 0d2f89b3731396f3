"""What a rollout is paid: `(1 - lambda) * accuracy + lambda * format - cost * searches`.

Accuracy comes from the verifier that filters the data: rules first, then the judge. A rollout that says nothing of the
policy is masked, never paid zero: the judge failed, a search failed, the token budget or the turns ran out.

Source: Glance-or-Gaze, arXiv 2601.13942, stage 2; what `format` asks for is ours (design section 11).
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gog.schemas import Behaviour, Outcome, Tool
from gog.transforms.dialect.turns import ANSWER_TAG
from gog.transforms.episode.machine import Episode, behaviour_of, is_reflective
from gog.transforms.verify.judge import JudgeCall, JudgeQuestion, JudgeReply, Ruling
from gog.transforms.verify.verdict import settle
from gog_train.environment import Ending, Rollout, searches_of

MAX_ANSWER: Final = 300
"""Characters of a final answer that is in form."""

_MASKED: Final = {
    Ending.OVERLONG: "overlong",
    Ending.OUT_OF_TURNS: "out_of_turns",
    Ending.TOOL_FAILED: "tool",
}
MASKS: Final = (*_MASKED.values(), "judge")
"""Why a rollout is masked."""

IN_FORM: Final = frozenset({"", "repeated"})
"""Codes of a step that does not break the form: a repeated search is well written."""


@dataclass(frozen=True, slots=True)
class RewardSettings:
    """Weights of the reward. `format_weight` is the paper's lambda; `search_cost` is taken off for each search."""

    format_weight: float = 0.1
    search_cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Scored:
    """A rollout's reward and its parts; `masked` says why it has none."""

    ending: Ending
    accuracy: float | None
    format: float
    searches: int
    reward: float | None
    masked: str = ""


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
        self.answered += reply.ruling is not Ruling.UNKNOWN
        return reply


async def score(rollout: Rollout, judge: JudgeCall | None, settings: RewardSettings) -> Scored:
    """The reward of a rollout that has ended. Without a judge the rules alone settle, and the rest is masked."""
    episode, ending = rollout.episode, rollout.ending
    in_form, searches = format_of(episode), searches_of(episode)
    if ending in _MASKED:
        return Scored(ending, None, in_form, searches, None, _MASKED[ending])
    accuracy = 0.0
    if ending is Ending.ANSWERED:
        outcome, _, _ = await settle(episode.answer, rollout.gold, judge)
        if outcome is Outcome.UNKNOWN:
            return Scored(ending, None, in_form, searches, None, "judge")
        accuracy = float(outcome is Outcome.CORRECT)
    paid = (1 - settings.format_weight) * accuracy + settings.format_weight * in_form - settings.search_cost * searches
    return Scored(ending, accuracy, in_form, searches, paid)


async def score_all(rollouts: Sequence[Rollout], judge: JudgeCall | None, settings: RewardSettings) -> list[Scored]:
    """The rewards of a batch; the judge is asked about all of them at once."""
    return list(await asyncio.gather(*(score(rollout, judge, settings) for rollout in rollouts)))


def format_of(episode: Episode) -> float:
    """1 when every turn parses, there is one final answer of at most 300 characters and no strike; 0 otherwise."""
    if episode.answer is None or episode.strikes or len(episode.answer) > MAX_ANSWER:
        return 0.0
    if any(step.error not in IN_FORM for step in episode.steps):
        return 0.0
    said = [message for message in episode.messages if message.role == "assistant"]
    return float(sum(len(ANSWER_TAG.findall(message.text)) for message in said) == 1)


def metrics_of(scored: Sequence[Scored], rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Means over a batch, by name: parts of the reward, endings, masks, turns, tools and behaviours."""
    count = len(scored)
    paid = [one for one in scored if one.reward is not None]
    found = {"episode/masked": 1 - len(paid) / count}
    if paid:
        found["reward/accuracy"] = sum(one.accuracy or 0.0 for one in paid) / len(paid)
        found["reward/format"] = sum(one.format for one in paid) / len(paid)
    masks, endings = Counter(one.masked for one in scored), Counter(one.ending for one in scored)
    found |= {f"masked/{name}": masks[name] / count for name in MASKS}
    found |= {f"ended/{ending}": endings[ending] / count for ending in Ending}
    episodes = [rollout.episode for rollout in rollouts]
    calls = Counter(step.action for episode in episodes for step in episode.steps if step.evidence_ids)
    behaviours = Counter(behaviour_of(episode.steps) for episode in episodes)
    found |= {f"searches/{tool}": calls[tool.value] / count for tool in Tool}
    found |= {f"behaviour/{name}": behaviours[name] / count for name in Behaviour}
    found["behaviour/reflective"] = sum(is_reflective(episode.steps) for episode in episodes) / count
    found["episode/turns"] = sum(episode.turns for episode in episodes) / count
    found["episode/strikes"] = sum(episode.strikes for episode in episodes) / count
    return found
