"""Reinforcement learning on an RL export: `python -m gog_train.grpo --config FILE`.

GRPO with rollouts through the shared episode, the tools that the teacher had and the verifier that filtered the data.
By default the paper's settings (arXiv 2601.13942): 4 rollouts a question, KL 0.001, 8,192 tokens, 15 epochs, Level 2.
Its learning rate, 2e-6, is that of `tune: full`: it hardly moves an adapter, whose default is 5e-5.

torch, transformers, peft and TRL are imported inside of the functions.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from gog.transforms.dialect.backbones import Template
from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.search.upload import UploadSettings
from gog_train.checkpoints import resumed
from gog_train.collator import pictures
from gog_train.data import Export
from gog_train.judge_health import JudgeHealth, JudgeIllError
from gog_train.processors import check
from gog_train.questions import GOLD, bare, check_prompts, questions
from gog_train.reach import reach
from gog_train.rewards.terms import RewardSettings, Unsettled
from gog_train.sampling import Curriculum, order
from gog_train.services import RULES, Addresses, StoreMode, TrainingServices, check_judge, longest_wait_s, open_services
from gog_train.settings import TrainingError, TrainSettings
from gog_train.stages import (
    Trained,
    adapter,
    check_packages,
    command_line,
    common_arguments,
    finish,
    has_gpu,
    metrics_of,
    opened,
    processes,
    ready,
    say,
    starting_model,
)

Loss = Literal["token-mean", "sequence", "dr-grpo"]
LOSSES: Final[dict[Loss, tuple[str, str]]] = {
    "token-mean": ("dapo", "group"),
    "sequence": ("grpo", "group"),
    "dr-grpo": ("dr_grpo", "none"),
}
"""TRL's name of a loss, and what its advantages are divided by."""

Correction = Literal["token-truncate", "token-mask", "sequence-truncate", "sequence-mask", "off"]

EXAMPLES: Final = """\
examples:
  python -m gog_train.grpo --config grpo_qwen2_5_vl --model models/sft/merged --export exports/trl-rl --output models/rl
  python -m gog_train.grpo --config my.yaml --judge http://127.0.0.1:8001/v1#gpt-oss-120b --vllm colocate
  python -m gog_train.grpo --config my.yaml --text-search corpus:index --image-search gallery:index --levels 1,2
  python -m gog_train.grpo --config my.yaml --resume
  accelerate launch --num_processes 8 -m gog_train.grpo --config my.yaml --vllm colocate

exit codes: 0 trained and saved, 1 stopped before the end (--resume goes on), 2 nothing trained: the message says why
"""


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
    pages: str = ""
    """local: or jina:, for episodes with a tool that reads pages."""
    store: Path | None = None
    """Folder of a store of answers, such as LAKE/store."""
    store_mode: StoreMode = "live"
    """live: no store. record: look up, else call and keep. replay: look up; what is not there masks the rollout."""

    uploader: UploadSettings | None = None
    """Where pictures are lent to searches that take them by address, with store_mode record: {put, url, key_env}."""

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
        if self.updates == 1 and self.model_fields_set & {"epsilon", "epsilon_high"}:
            raise ValueError("epsilon clips nothing with one step a batch: leave it out, or set `updates`")
        _ = self.reward.terms  # says which there are, where one is not
        return self

    @property
    def reward(self) -> RewardSettings:
        """The terms of the reward with their weights."""
        return RewardSettings(self.format_weight, self.search_cost, self.rewards, self.unsettled)

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        return self.learning_rate or (5e-5 if self.tune == "lora" else 2e-6)


@dataclass(frozen=True, slots=True)
class Material:
    """What was checked and is trained with."""

    export: Export
    form: Template
    processor: Any
    rows: Any
    """The questions, in the order of the training."""
    services: TrainingServices


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return command_line(GrpoSettings, train, words, "gog_train.grpo", EXAMPLES)


def train(settings: GrpoSettings) -> Trained:
    """Check everything, train, save. Raises `TrainingError` or `ExportError` before the first step."""
    from gog_train.callbacks import BROKEN, DRIFTED, DULL, MASKED, STILL, Moment, Progress, Stop, Watch

    checkpoint = resumed(settings.output, settings.resume)
    material = prepare(settings)
    try:
        stop, moment = Stop(settings.updates), Moment()
        watch = Watch(stop, (DULL, MASKED, DRIFTED, STILL, BROKEN), settings.give_up)
        trainer = make_trainer(settings, material, [stop, watch, moment, Progress(say)])
        with stop.on_signals():
            try:
                result = trainer.train(resume_from_checkpoint=checkpoint)
            except JudgeIllError as error:
                moment.put_back()
                return _stopped(trainer, str(error))
        if stop.asked and trainer.state.global_step < trainer.state.max_steps:
            return _stopped(trainer, stop.why)
        metrics = metrics_of(result.metrics, trainer.state.log_history)
        card = {"stage": "grpo", "questions": len(material.rows), "rewards": settings.reward.card(), "metrics": metrics}
        if material.services.judge is None:
            say(f"{trainer.unsettled} rollouts had an answer that no rule settles; unsettled: {settings.unsettled}")
            card |= {"unsettled_rollouts": trainer.unsettled}
        saved = finish(settings, trainer, material.form, material.export, card)
        return Trained(True, int(trainer.state.global_step), metrics, saved)
    finally:
        material.services.close()


def prepare(settings: GrpoSettings) -> Material:
    """Everything that can be wrong before the first step, checked. Raises `TrainingError` or `ExportError`."""
    _check_environment(settings)
    export, form, processor = opened(settings, "rl", settings.levels)
    rows = export.rows("train")
    check(processor, export.backbone, pictures(bare(rows)[0]))
    check_prompts(rows, export.episode)
    numbers = order(list(rows["level"]), settings.epochs, settings.curriculum, settings.seed)
    if len(numbers) < settings.questions:
        raise TrainingError(
            f"{len(numbers)} questions in all epochs make no step of {settings.questions}: lower `questions`"
        )
    services = open_services(_addresses(settings, export), export.tools.crops, export.episode)
    try:
        check_judge(services.judge)
        _, can, advice = reach(rows.select_columns(list(GOLD)), settings.unsettled, judge=services.judge is not None)
        say(f"{can} -> {advice}" if advice else can)
    except TrainingError:
        services.close()
        raise
    return Material(export, form, processor, questions(rows, numbers), services)


def make_trainer(settings: GrpoSettings, material: Material, callbacks: Sequence[Any]) -> Any:
    """TRL's trainer around a freshly loaded model with an adapter."""
    from gog_train.episode_trainer import EpisodeTrainer, Setup

    setup = Setup(
        services=material.services,
        episode=material.export.episode,
        backbone=material.export.backbone,
        opened=material.form.opened,
        levels=list(material.rows.with_format(None)["level"]),
        reward=settings.reward,
        health=JudgeHealth(settings.judge_window, settings.judge_health),
        resample=settings.resample,
    )
    trainer = EpisodeTrainer(
        setup,
        model=starting_model(settings, material.processor),
        args=_arguments(settings, material.export.episode.max_turns),
        train_dataset=material.rows,
        processing_class=material.processor,
        peft_config=adapter(settings, material.export.backbone),
        callbacks=list(callbacks),
    )
    return ready(trainer)


def _arguments(settings: GrpoSettings, turns: int) -> Any:
    from trl import GRPOConfig

    rollouts = settings.questions * settings.rollouts
    accumulated = rollouts // (settings.device_batch_size * processes() * settings.updates)
    loss, scale = LOSSES[settings.loss]
    return GRPOConfig(
        **common_arguments(settings),
        num_train_epochs=1,  # the rows of all epochs are laid out in their order
        max_steps=settings.max_steps or -1,
        ddp_timeout=longest_wait_s(turns),
        shuffle_dataset=False,
        learning_rate=settings.rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        per_device_train_batch_size=settings.device_batch_size,
        gradient_accumulation_steps=accumulated,
        steps_per_generation=accumulated * settings.updates,
        num_generations=settings.rollouts,
        max_completion_length=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        generation_kwargs={"max_new_tokens" if settings.vllm == "off" else "max_tokens": settings.turn_tokens},
        beta=settings.kl,
        epsilon=settings.epsilon,
        epsilon_high=settings.epsilon_high,
        loss_type=loss,
        scale_rewards=scale,
        use_vllm=settings.vllm != "off",
        vllm_mode="server" if settings.vllm == "server" else "colocate",
        vllm_gpu_memory_utilization=settings.vllm_memory,
        vllm_server_base_url=settings.vllm_server if settings.vllm == "server" else None,
        vllm_max_model_length=settings.context,
        vllm_importance_sampling_correction=settings.correction != "off",
        vllm_importance_sampling_mode=_mode(settings.correction),
        vllm_importance_sampling_clip_max=settings.correction_max,
        log_multimodal=False,
    )


def _mode(correction: Correction) -> str:
    """TRL's name, which it wants of one that is off too."""
    return "token_truncate" if correction == "off" else correction.replace("-", "_")


def _check_environment(settings: GrpoSettings) -> None:
    """What does not depend on the export."""
    check_packages(settings)
    if settings.vllm != "off" and find_spec("vllm") is None:
        raise TrainingError("vllm is not installed: install with gog_train/constraints-gpu.txt, or set `vllm: off`")
    count = processes()
    if settings.vllm == "server" and not has_gpu():
        raise TrainingError("vllm: server gets the weights by NCCL, which needs a GPU: set `vllm: colocate` or `off`")
    if settings.vllm == "server" and count > 1:
        raise TrainingError("vllm server serves one training process: rollouts of several end at different turns")
    at_once = settings.device_batch_size * settings.updates
    if settings.questions % count or settings.questions * settings.rollouts // count % at_once:
        raise TrainingError(
            f"questions {settings.questions} is no multiple of {count} processes, or device_batch_size "
            f"{settings.device_batch_size} (times updates) does not divide their rollouts: change one of them"
        )


def _addresses(settings: GrpoSettings, export: Export) -> Addresses:
    return Addresses(
        text_search=settings.text_search,
        image_search=settings.image_search,
        judges=(settings.judge, *settings.panel),
        calls=settings.output / "calls",
        store=settings.store,
        store_mode=settings.store_mode,
        judge_settings=settings.judge_settings,
        search=export.tools.search,
        uploader=settings.uploader,
        pages=settings.pages,
    )


def _stopped(trainer: Any, why: str) -> Trained:
    """Leave a checkpoint of the steps that are done."""
    steps = int(trainer.state.global_step)
    if steps and not (Path(trainer.args.output_dir) / f"checkpoint-{steps}").is_dir():
        trainer._save_checkpoint(trainer.model, None)
    say(f"{why}; {steps} of {trainer.state.max_steps} steps are done: --resume goes on from there")
    return Trained(False, steps, metrics_of({}, trainer.state.log_history), {})


if __name__ == "__main__":
    sys.exit(main())
