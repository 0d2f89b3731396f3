"""The episode behind verl's rollouts: what those of a worker share, how one is played, and what it is paid.

Knows nothing of verl: whatever speaks for the policy is a `Speaker`.
"""

import asyncio
import json
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from gog.schemas import content_id
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.target import ToolSettings
from gog.transforms.services.loop import process_loop
from gog.transforms.services.models.chat import ModelSettings
from gog_train.data import inside, read_manifest
from gog_train.environment import Ending, Rollout
from gog_train.judge_health import JudgeHealth
from gog_train.rewards.scoring import CountedJudge, Scored, finished_of, score
from gog_train.rewards.terms import RewardSettings, Unsettled
from gog_train.services import RULES, Addresses, TrainingServices, open_services
from gog_train.settings import TrainingError

T = TypeVar("T")
Block = dict[str, Any]
"""A part of what the model is told: `{"type": "text", "text": ...}` or `{"type": "image", "image": pixels}`."""

THOUGHT: Final = "<think>\n"


class LoopSettings(BaseModel):
    """The section `gog` of an export's `grpo.yaml`: the reward, and how rollouts are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_weight: float = 0.1
    search_cost: float = 0.0
    rewards: dict[str, float | None] | None = None
    judge: str = RULES
    """Addresses with spaces between them."""
    judge_key_env: str = ""
    judge_thinking_tokens: int = 0
    judge_window: int = 200
    unsettled: Unsettled = "mask"
    seeded: bool = False

    def of_reward(self) -> RewardSettings:
        """Its weights, as `gog_train.rewards` takes them."""
        return RewardSettings(self.format_weight, self.search_cost, self.rewards or {}, self.unsettled)

    def addresses(self, environment: Mapping[str, str], tools: ToolSettings) -> Addresses:
        """Where the services are: searches by GOG_TEXT_SEARCH, GOG_IMAGE_SEARCH and GOG_PAGES. Raises `KeyError`."""
        return Addresses(
            environment["GOG_TEXT_SEARCH"],
            environment["GOG_IMAGE_SEARCH"],
            tuple(self.judge.split()),
            Path(environment["GOG_CALLS"]),
            judge_settings=ModelSettings(key_env=self.judge_key_env, thinking_tokens=self.judge_thinking_tokens),
            search=tools.search,
            pages=environment.get("GOG_PAGES", ""),
        )


class Speaker(Protocol):
    """The policy in one rollout."""

    async def say(self) -> str | Ending:
        """Its next turn, or why it has no end."""

    async def hear(self, told: Sequence[tuple[str, list[Block]]]) -> bool:
        """Take what it is told, as role and blocks; False where that does not fit."""


@dataclass(slots=True)
class Home:
    """What the rollouts of a worker share."""

    export: Path
    settings: EpisodeSettings
    services: TrainingServices
    reward: RewardSettings = field(default_factory=RewardSettings)
    health: JudgeHealth = field(default_factory=JudgeHealth)
    opened: bool = False
    """The generation prompt ends with the opening tag of a thought."""
    playing: list[int] = field(default_factory=list)
    """The moments when rollouts began that have not ended."""

    @contextmanager
    def rollout(self, row: Mapping[str, Any]) -> Iterator[Rollout]:
        """A rollout of an export's row. Raises `TrainingError` when the export does not hold its pictures.

        Images that nobody asked for since the oldest rollout began that is still played are forgotten: where
        weights are trained meanwhile, there is always one that is played.
        """
        images = self.services.images
        began = images.moment()
        self.playing.append(began)
        images.forget(min(self.playing))
        try:
            asked = json.loads(row["reward_model"]["ground_truth"]) | {"files": self._originals(row["extra_info"])}
            yield Rollout(asked, self.services.tools, self.services.images, self.settings)
        finally:
            self.playing.remove(began)

    def _originals(self, asked: Mapping[str, Any]) -> list[bytes]:
        files = []
        for name in asked["images"]:
            path = inside(self.export, str(name))
            if not path:
                raise TrainingError(f"the image {name} is not in the export: copy the whole folder")
            files.append(path.read_bytes())
        return files

    async def play(self, rollout: Rollout, speaker: Speaker) -> None:
        """Run a rollout to its end."""
        while not rollout.over:
            said = await speaker.say()
            if isinstance(said, Ending):
                rollout.end(said)
                return
            told = await _on_services_loop(rollout.turn(THOUGHT + said if self.opened else said))
            if told and not await speaker.hear([(message.role, rollout.blocks(message)) for message in told]):
                rollout.end(Ending.OVERLONG)

    async def score(self, rollout: Rollout) -> Scored:
        """What it is paid, as `gog_train.grpo` pays it. Raises `JudgeIllError` when the judge is ill."""
        judge = CountedJudge(self.services.judge) if self.services.judge else None
        scored = await _on_services_loop(score(rollout, judge, self.reward))
        if judge is not None:
            self.health.add(judge.asked, judge.answered)
        return scored


def paid(rollout: Rollout, scored: Scored, reward: RewardSettings, *, held_out: bool) -> dict[str, float] | None:
    """The parts of a rollout's score, `score` among them; None for one that is masked, which verl never gets.

    A held-out question is never left out: masked, it is a wrong answer, and `masked` says so.
    """
    if scored.reward is None and not held_out:
        return None
    parts = {name: scored.values.get(name) or 0.0 for name in reward.terms if name != "cost"}
    parts["acc"] = parts.pop("accuracy")
    counts = {
        "searches": finished_of(rollout).searches,
        "strikes": rollout.episode.strikes,
        "unsettled": scored.unsettled,
        "masked": scored.reward is None,
    }
    return {**parts, **{name: float(count) for name, count in counts.items()}, "score": scored.reward or 0.0}


def seed_of(row: Mapping[str, Any], turn: int) -> int:
    """By which a turn is drawn: of the question, the step of the training, the rollout's number and the turn."""
    asked = [row["extra_info"]["seed_id"], int(row["global_steps"]), int(row["session_id"]), turn]
    return int(content_id("verl-turn", asked).rpartition("-")[2][:8], 16)


def open_home(environment: Mapping[str, str], settings: LoopSettings) -> Home:
    """The export's episode, and its services as in its run. Raises `TrainingError`, `ExportError` or `KeyError`."""
    folder = Path(environment["GOG_EXPORT"])
    manifest = read_manifest(folder, "rl", "verl")
    episode = EpisodeSettings.model_validate(manifest["episode"])
    tools = ToolSettings.model_validate(manifest["tools"])
    services = open_services(settings.addresses(environment, tools), tools.crops, episode)
    backbone = BACKBONES[manifest["backbone"]["name"]]
    opened = backbone.template(thinking=manifest["backbone"]["thinking"]).opened
    return Home(folder, episode, services, settings.of_reward(), JudgeHealth(settings.judge_window), opened)


@cache
def home(environment: tuple[tuple[str, str], ...], settings: str) -> Home:
    """`open_home`, once in a process; `settings` is JSON."""
    return open_home(dict(environment), LoopSettings.model_validate_json(settings))


async def _on_services_loop(work: Coroutine[Any, Any, T]) -> T:
    """What comes of work that has to be done on the loop of the services."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, process_loop()))
