"""Settings of reinforcement learning (`gog_train.grpo`)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.search.upload import UploadSettings
from gog_train.rewards.terms import RewardSettings, Unfinished, Unsettled
from gog_train.sampling import Curriculum
from gog_train.services import RULES, StoreMode
from gog_train.settings import TrainSettings

Loss = Literal["token-mean", "sequence", "dr-grpo"]
Correction = Literal["token-truncate", "token-mask", "sequence-truncate", "sequence-mask", "off"]


class GrpoSettings(TrainSettings):
    """Reinforcement learning (GRPO) of a Qwen-VL model on the questions of an export, with tools."""

    learning_rate: float | None = Field(default=None, gt=0)
    """Highest learning rate. By default 5e-5 for an adapter and the paper's 2e-6 for `tune: full`."""
    schedule: str = Field(default="constant", pattern="^(constant|cosine|linear|constant_with_warmup)$")
    """How the learning rate changes: constant, cosine, linear or constant_with_warmup."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""
    epochs: int = Field(default=15, ge=1)
    """Times that every question is asked."""
    max_steps: int | None = Field(default=None, ge=1)
    """Steps after which it ends, whatever `epochs` says."""
    questions: int = Field(default=32, ge=1)
    """Questions a step, over all devices."""
    rollouts: int = Field(default=4, ge=2)
    """Rollouts a question: the group that advantages are normalised in."""
    device_batch_size: int = Field(default=1, ge=1)
    """Rollouts a device holds at a time in the backward pass; the rest of a step is accumulated."""
    kl: float = Field(default=0.001, ge=0)
    """Weight of the KL divergence from the model that it starts from."""
    updates: int = Field(default=1, ge=1)
    """Optimiser steps that a batch of rollouts is shared out to."""
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    """Ratios of probabilities are clipped so far from 1: something only where `updates` is more than 1."""
    epsilon_high: float | None = Field(default=None, gt=0)
    """So far above 1, where that is another number (DAPO's clip-higher: 0.28)."""
    loss: Loss = "token-mean"
    """How the loss adds up tokens. token-mean: each counts the same. sequence: each rollout does. dr-grpo: each token
    does, over a constant length, and advantages are not divided by the deviation."""
    temperature: float = Field(default=1.0, gt=0)
    """Temperature of the rollouts."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus of the rollouts."""
    max_tokens: int = Field(default=8192, ge=16)
    """Tokens of a rollout, what the tools return included. A longer one is masked."""
    turn_tokens: int = Field(default=2048, ge=1)
    """Tokens of one turn. A rollout with a longer one is masked."""
    context: int = Field(default=16384, ge=64)
    """Tokens of prompt and rollout that vLLM makes room for."""

    levels: tuple[int, ...] = (2,)
    """Levels of the questions that are asked."""
    curriculum: Curriculum = "mixed"
    """mixed: levels in random order. levels: in each epoch the easier ones first. phases: all epochs of the easier
    ones first."""
    resample: int = Field(default=2, ge=0)
    """Batches that are drawn at most, a step, to replace questions whose rollouts are all paid the same; 0: none."""

    format_weight: float = Field(default=0.1, ge=0, le=1)
    """Weight of the form in the reward (lambda); the rest is the weight of the answer."""
    search_cost: float = Field(default=0.0, ge=0)
    """What each search takes off the reward."""
    rewards: dict[str, float | None] = Field(default={})
    """Further terms of the reward, of installed packages by name or as my_pkg.my_mod:term, each with its weight: null
    is the term's own."""
    judge: str = RULES
    """http(s)://HOST/v1#MODEL, asked where no rule settles an answer; `rules:` asks nobody."""
    unsettled: Unsettled = "mask"
    """Without a judge, a rollout whose answer no rule settles. mask: it is out of the loss. zero: it is paid as wrong,
    right only where no other wording than the accepted ones is."""
    unfinished: Unfinished = "mask"
    """A rollout that a failed search, the token budget or the turns end. mask: it is out of the loss and of its group.
    prefix: it counts in its group as one without an answer; its last turn is out of the loss, and the turns before it
    are never made less likely."""
    panel: tuple[str, ...] = ()
    """Further judges, asked beside it: most of those that can be read decide, and a tie is out of the loss."""
    judge_settings: ModelSettings = ModelSettings()
    """How judges are spoken to, as in `models` of a run's config: `{key_env: JUDGE_KEY}` names a key's variable."""
    judge_window: int = Field(default=200, ge=20)
    """Questions to the judge over which its health is watched."""
    judge_health: float = Field(default=0.95, ge=0, le=1)
    """Least share of them that it has to answer; below, training stops."""

    text_search: str = "corpus:atlas"
    """corpus:FOLDER, corpus:atlas, searxng:URL, serper:, brave: or tavily:."""
    image_search: str = "gallery:atlas"
    """gallery:FOLDER or gallery:atlas; serper: or serpapi: with store_mode replay."""
    world: Path | None = None
    """Folder that `gog store export --for-training` wrote: searches, pages and tools are answered out of it, without a
    network; what it cannot know masks the rollout."""
    pages: str = ""
    """local: or jina:, for episodes with a tool that reads pages."""
    store: Path | None = None
    """Folder of a store of answers, such as LAKE/store."""
    store_mode: StoreMode = "live"
    """live: no store. record: look up, else call and keep. replay: look up; what is not there masks the rollout."""

    uploader: UploadSettings | None = None
    """Where pictures are lent to searches that take them by address, with store_mode record: {put, url, key_env}."""

    eval_every: int | None = Field(default=None, ge=1)
    """Steps between two evaluations: the greedy policy answers questions of the validation split. Without it: none."""
    eval_questions: int = Field(default=64, ge=1)
    """Questions of an evaluation, at most."""
    keep_rollouts: Literal["all"] | Annotated[int, Field(ge=0)] = 100
    """Last steps whose rollouts are kept in OUTPUT/rollouts, to be looked at with `gog view`; `all`; 0: of none."""

    vllm: Literal["off", "colocate", "server"] = "off"
    """Who generates: the training model itself, vLLM on the same GPUs, or a server that `trl vllm-serve` runs."""
    vllm_memory: float = Field(default=0.3, gt=0, lt=1)
    """Share of a GPU's memory for a colocated vLLM."""
    vllm_server: str = "http://127.0.0.1:8000"
    """Address of the server."""
    correction: Correction = "token-truncate"
    """What of a rollout of vLLM's is weighed by the ratio of the trainer's probability to vLLM's: each token, the ratio
    cut at `correction_max` (truncate) or dropped above it (mask); or the whole sequence, of which little is left at
    thousands of tokens; or off."""
    correction_max: float = Field(default=2.0, gt=1)
    """Highest ratio."""

    @model_validator(mode="after")
    def _fits(self) -> "GrpoSettings":
        if self.questions * self.rollouts % (self.device_batch_size * self.updates):
            raise ValueError("device_batch_size (times updates) has to divide questions times rollouts")
        if self.save_every % self.updates:
            raise ValueError("updates has to divide save_every: a checkpoint goes on with a fresh batch of rollouts")
        if (self.eval_every or self.updates) % self.updates:
            raise ValueError("updates has to divide eval_every: the best evaluation is kept as a checkpoint")
        if self.patience and not self.eval_every:
            raise ValueError("patience counts evaluations: set eval_every")
        beside = self.model_fields_set & {"text_search", "image_search", "pages", "store", "store_mode", "uploader"}
        if self.world and beside:
            raise ValueError(f"world answers searches, pages and tools: leave out {', '.join(sorted(beside))}")
        if self.updates == 1 and self.model_fields_set & {"epsilon", "epsilon_high"}:
            raise ValueError("epsilon clips nothing with one step a batch: leave it out, or set `updates`")
        _ = self.reward.terms  # says which there are, where one is not
        return self

    @property
    def reward(self) -> RewardSettings:
        """The terms of the reward with their weights."""
        return RewardSettings(self.format_weight, self.search_cost, self.rewards, self.unsettled, self.unfinished)

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        return self.learning_rate or (5e-5 if self.tune == "lora" else 2e-6)
