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
from random import Random
from typing import Any, Final

from gog.transforms.dialect.backbones import Template
from gog_train.checkpoints import resumed
from gog_train.collator import pictures
from gog_train.data import Export
from gog_train.grpo_settings import Correction, GrpoSettings, Loss
from gog_train.judge_health import JudgeHealth, JudgeIllError
from gog_train.processors import check, end_turns
from gog_train.questions import GOLD, bare, check_prompts, questions
from gog_train.reach import reach
from gog_train.rollouts import Keeper
from gog_train.sampling import order
from gog_train.services import WORLD, Addresses, TrainingServices, check_judge, longest_wait_s, open_services
from gog_train.settings import TrainingError
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
    watched,
)
from gog_train.training_lake import TrainingLake

LOSSES: Final[dict[Loss, tuple[str, str]]] = {
    "token-mean": ("dapo", "group"),
    "sequence": ("grpo", "group"),
    "dr-grpo": ("dr_grpo", "none"),
}
"""TRL's name of a loss, and what its advantages are divided by."""

EXAMPLES: Final = """\
examples:
  python -m gog_train.grpo --config grpo_qwen2_5_vl --model models/sft/merged --export exports/trl-rl --output models/rl
  python -m gog_train.grpo --config my.yaml --judge http://127.0.0.1:8001/v1#gpt-oss-120b --vllm colocate
  python -m gog_train.grpo --config my.yaml --text-search corpus:index --image-search gallery:index --levels 1,2
  python -m gog_train.grpo --config my.yaml --resume
  accelerate launch --num_processes 8 -m gog_train.grpo --config my.yaml --vllm colocate

exit codes: 0 trained and saved, 1 stopped before the end (--resume goes on), 2 nothing trained: the message says why
"""


@dataclass(frozen=True, slots=True)
class Material:
    """What was checked and is trained with."""

    export: Export
    form: Template
    processor: Any
    rows: Any
    """The questions, in the order of the training."""
    services: TrainingServices
    held_out: Any = None
    """Questions for the evaluations between steps."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return command_line(GrpoSettings, train, words, "gog_train.grpo", EXAMPLES)


def train(settings: GrpoSettings) -> Trained:
    """Check everything, train, save. Raises `TrainingError` or `ExportError` before the first step."""
    from gog_train.callbacks import BROKEN, DRIFTED, DULL, MASKED, STILL, Moment, Stop, Watch
    from gog_train.held_out import Best

    checkpoint = resumed(settings.output, settings.resume)
    material = prepare(settings)
    keep = None if settings.keep_rollouts == "all" else settings.keep_rollouts
    lake = TrainingLake(settings.output, keep, say)
    try:
        stop, moment = Stop(settings.updates), Moment()
        watch = Watch(stop, (DULL, MASKED, DRIFTED, STILL, BROKEN), settings.give_up)
        best = Best("eval_accuracy", higher=True, patience=settings.patience, say=say)
        shown = watched(material.export, material.form, lake)
        trainer = make_trainer(settings, material, [stop, watch, moment, best, *shown], lake)
        with stop.on_signals():
            try:
                result = trainer.train(resume_from_checkpoint=checkpoint)
            except JudgeIllError as error:
                moment.put_back()
                lake.end("stopped", str(error))
                return _stopped(trainer, str(error))
        if stop.asked and trainer.state.global_step < trainer.state.max_steps:
            lake.end("stopped", stop.why)
            return _stopped(trainer, stop.why)
        lake.end("done", best.why)
        metrics = metrics_of(result.metrics, trainer.state.log_history)
        card = {"stage": "grpo", "questions": len(material.rows), "rewards": settings.reward.card(), "metrics": metrics}
        if material.services.judge is None:
            say(f"{trainer.unsettled} rollouts had an answer that no rule settles; unsettled: {settings.unsettled}")
            card |= {"unsettled_rollouts": trainer.unsettled}
        saved = finish(settings, trainer, material.form, material.export, card)
        return Trained(True, int(trainer.state.global_step), metrics, saved)
    finally:
        lake.end("failed")
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
    held_out = _held_out(settings, export)
    services = open_services(_addresses(settings, export), export.tools.crops, export.episode)
    try:
        check_judge(services.judge)
        _, can, advice = reach(rows.select_columns(list(GOLD)), settings.unsettled, judge=services.judge is not None)
        say(f"{can} -> {advice}" if advice else can)
    except TrainingError:
        services.close()
        raise
    return Material(export, form, processor, questions(rows, numbers), services, held_out)


def _held_out(settings: GrpoSettings, export: Export) -> Any:
    """Questions of the validation split, the same in every run of a seed; None where none are asked."""
    if settings.eval_every is None:
        return None
    rows = export.rows("validation") if export.files("validation") else ()
    if not len(rows):
        raise TrainingError(
            "eval_every: the export has no questions of these levels for validation: raise `splits.validation_share` "
            "of the run's config and curate again, or leave eval_every out"
        )
    check_prompts(rows, export.episode)
    count = min(settings.eval_questions, len(rows))
    return questions(rows, sorted(Random(f"{settings.seed}/held out").sample(range(len(rows)), count)))


def make_trainer(settings: GrpoSettings, material: Material, callbacks: Sequence[Any], lake: TrainingLake) -> Any:
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
        keeper=Keeper(lake, settings.model) if lake.keep != 0 else None,
    )
    model = starting_model(settings, material.processor)
    end_turns(model, material.processor.tokenizer, material.export.backbone)
    trainer = EpisodeTrainer(
        setup,
        model=model,
        args=_arguments(settings, material.export.episode.max_turns, balancing=material.export.backbone.balancing),
        train_dataset=material.rows,
        eval_dataset=material.held_out,
        processing_class=material.processor,
        peft_config=adapter(settings, material.export.backbone),
        callbacks=list(callbacks),
    )
    return ready(trainer)


def _arguments(settings: GrpoSettings, turns: int, *, balancing: bool) -> Any:
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
        eval_strategy="steps" if settings.eval_every else "no",
        eval_steps=settings.eval_every,
        eval_on_start=settings.eval_every is not None and not settings.resume,
        num_generations_eval=1,
        max_completion_length=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        generation_kwargs={"max_new_tokens" if settings.vllm == "off" else "max_tokens": settings.turn_tokens},
        beta=settings.kl,
        epsilon=settings.epsilon,
        epsilon_high=settings.epsilon_high,
        loss_type=loss,
        router_aux_loss_coef=None if balancing else 0.0,
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
    sealed = f"{WORLD}:{settings.world}" if settings.world else ""
    return Addresses(
        text_search=sealed or settings.text_search,
        image_search=sealed or settings.image_search,
        judges=(settings.judge, *settings.panel),
        calls=settings.output / "calls",
        store=settings.store,
        store_mode=settings.store_mode,
        judge_settings=settings.judge_settings,
        search=export.tools.search,
        uploader=settings.uploader,
        pages=sealed if any(tool.asks == "page" for tool in export.episode.offered) else settings.pages,
    )


def _stopped(trainer: Any, why: str) -> Trained:
    """Leave a checkpoint of the steps that are done."""
    steps = int(trainer.state.global_step)
    if steps and not (Path(trainer.args.output_dir) / f"checkpoint-{steps}").is_dir():
        trainer._save_checkpoint(trainer.model, None)
        trainer.callback_handler.on_save(trainer.args, trainer.state, trainer.control)
    say(f"{why}; {steps} of {trainer.state.max_steps} steps are done: --resume goes on from there")
    return Trained(False, steps, metrics_of({}, trainer.state.log_history), {})


if __name__ == "__main__":
    sys.exit(main())
