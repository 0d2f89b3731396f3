"""Supervised fine-tuning on an SFT export: `python -m gog_train.sft --config FILE`.

LoRA on the transformer blocks (or the whole model), loss on the trained turns of the assistant alone, images in every
turn. By default the paper's settings: rank 8, 3 epochs, learning rate 1e-4, batches of 8 (arXiv 2601.13942).

torch, transformers, peft and TRL are imported inside of the functions.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from gog.schemas import Behaviour
from gog.transforms.dialect.backbones import Backbone
from gog_train.checkpoints import resumed
from gog_train.collator import EpisodeCollator, pictures
from gog_train.data import Export
from gog_train.processors import backbone_of, check, end_turns
from gog_train.rows import Rows, fitting_rows, rows_of, trainable, with_mix, write_left_out
from gog_train.settings import TrainingError, TrainSettings
from gog_train.stages import (
    Trained,
    adapter,
    check_packages,
    command_line,
    common_arguments,
    finish,
    first_process,
    metrics_of,
    opened,
    processes,
    ready,
    say,
    starting_model,
    watched,
)
from gog_train.training_lake import TrainingLake

EXAMPLES: Final = """\
examples:
  python -m gog_train.sft --config sft_qwen2_5_vl --export exports/trl-qwen2.5-vl --output gog-2.5-7b
  python -m gog_train.sft --config my.yaml --report tensorboard --save both
  python -m gog_train.sft --config my.yaml --resume
  accelerate launch --num_processes 8 -m gog_train.sft --config my.yaml

exit codes: 0 trained and saved, 1 stopped before the end (--resume goes on), 2 nothing trained: the message says why
"""


class SftSettings(TrainSettings):
    """Supervised fine-tuning (SFT) of a Qwen-VL model on the trajectories of an export."""

    epochs: float = Field(default=3.0, gt=0)
    """Times that every row is seen."""
    max_steps: int | None = Field(default=None, ge=1)
    """Steps after which it ends, whatever `epochs` says."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Highest learning rate. By default the paper's 1e-4 for an adapter, 1e-5 for `tune: full`."""
    schedule: str = Field(default="cosine", pattern="^(cosine|linear|constant_with_warmup)$")
    """How the learning rate falls: cosine, linear or constant_with_warmup."""
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""
    batch_size: int = Field(default=8, ge=1)
    """Rows a step, over all devices."""
    device_batch_size: int = Field(default=1, ge=1)
    """Rows a device holds at a time; the rest of a batch is accumulated."""
    mix: dict[Behaviour, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Shares of behaviours in an epoch, such as direct: 0.435: rows of a scarce one come up to 4 times."""
    max_length: int = Field(default=16384, ge=256)
    """Tokens of a row, images included. A longer row is left out and listed in OUTPUT/left_out.jsonl; none is cut."""
    evaluate_every: int | None = Field(default=None, ge=1)
    """Steps between two evaluations on the validation split; without it, at the end of each epoch."""
    evaluate: bool = True
    """Evaluate on the validation split, where it has rows."""
    workers: int = Field(default=2, ge=0)
    """Processes that prepare batches; 0 prepares them in the training process."""

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        return self.learning_rate or (1e-4 if self.tune == "lora" else 1e-5)

    @model_validator(mode="after")
    def _whole_batches(self) -> "SftSettings":
        if self.batch_size % self.device_batch_size:
            raise ValueError("device_batch_size has to divide batch_size")
        if sum(self.mix.values()) > 1 + 1e-9:
            raise ValueError("the shares of mix add up to more than 1")
        return self


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return command_line(SftSettings, train, words, "gog_train.sft", EXAMPLES)


def train(settings: SftSettings) -> Trained:
    """Check everything, train, save. Raises `TrainingError` or `ExportError` before the first step."""
    from gog_train.callbacks import BROKEN, STILL, Stop, Watch
    from gog_train.held_out import Best

    checkpoint = resumed(settings.output, settings.resume)
    _accumulation(settings)
    check_packages(settings)
    export, form, processor = opened(settings, "sft")
    splits = _splits(settings, export, processor)
    if first_process():
        write_left_out(settings.output, splits, settings.max_length)
    stop = Stop()
    watch = Watch(stop, (STILL, BROKEN), settings.give_up)
    lake = TrainingLake(settings.output, 0, say)
    best = Best("eval_loss", higher=False, patience=settings.patience, say=say)
    trainer = make_trainer(settings, processor, splits, [stop, watch, best, *watched(export, form, lake)])
    try:
        with stop.on_signals():
            result = trainer.train(resume_from_checkpoint=checkpoint)
    except BaseException:
        lake.end("failed")
        raise
    steps = trainer.state.global_step
    metrics = _metrics(result.metrics, trainer.state.log_history)
    stopped = stop.asked and steps < trainer.state.max_steps
    lake.end("stopped" if stopped else "done", stop.why if stopped else best.why)
    if stopped:
        say(f"{stop.why} at step {steps} of {trainer.state.max_steps}: --resume goes on from there")
        return Trained(False, steps, metrics, {})
    saved = finish(settings, trainer, form, export, {"stage": "sft", "rows": _counts(splits), "metrics": metrics})
    return Trained(True, steps, metrics, saved)


def make_trainer(settings: SftSettings, processor: Any, splits: Mapping[str, Rows], callbacks: Sequence[Any]) -> Any:
    """TRL's trainer around a freshly loaded model with an adapter."""
    from trl import SFTTrainer

    validation, backbone = splits.get("validation"), backbone_of(settings.model, settings.revision)
    model = starting_model(settings, processor)
    end_turns(model, processor.tokenizer, backbone)
    trainer = SFTTrainer(
        model=model,
        args=_arguments(settings, backbone, evaluates=bool(validation)),
        train_dataset=trainable(splits["train"]),
        eval_dataset=trainable(validation) if validation else None,
        processing_class=processor,
        data_collator=EpisodeCollator(processor),
        peft_config=adapter(settings, backbone),
        callbacks=list(callbacks),
    )
    return ready(trainer)


def _arguments(settings: SftSettings, backbone: Backbone, *, evaluates: bool) -> Any:
    from trl import SFTConfig

    return SFTConfig(
        **common_arguments(settings),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        learning_rate=settings.rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        per_device_train_batch_size=settings.device_batch_size,
        per_device_eval_batch_size=settings.device_batch_size,
        gradient_accumulation_steps=_accumulation(settings),
        eos_token=backbone.end_of_turn,
        router_aux_loss_coef=None if backbone.balancing else 0.0,
        assistant_only_loss=True,
        max_length=None,  # rows are measured before: nothing is cut
        remove_unused_columns=False,
        eval_strategy="no" if not evaluates else "steps" if settings.evaluate_every else "epoch",
        eval_steps=settings.evaluate_every,
        dataloader_num_workers=settings.workers,
    )


def _accumulation(settings: SftSettings) -> int:
    """Batches that a device adds up to a step."""
    devices = processes()
    at_once = settings.device_batch_size * devices
    if settings.batch_size % at_once:
        raise TrainingError(
            f"batch_size {settings.batch_size} is no multiple of {devices} devices times device_batch_size "
            f"{settings.device_batch_size}: change one of them"
        )
    return settings.batch_size // at_once


def _splits(settings: SftSettings, export: Export, processor: Any) -> dict[str, Rows]:
    """The rows of each split; validation only where it is wanted."""
    wanted = ["train", *(["validation"] if settings.evaluate and export.files("validation") else [])]
    datasets = {name: rows_of(export, name) for name in wanted}
    check(processor, export.backbone, pictures(datasets["train"][0]))
    splits = {
        name: fitting_rows(rows, processor, export.backbone, settings.max_length, name, say)
        for name, rows in datasets.items()
    }
    if not splits["train"]:
        raise TrainingError(f"no row of {settings.export} has at most {settings.max_length} tokens: raise max_length")
    if settings.patience and not splits.get("validation"):
        raise TrainingError("patience counts evaluations: set evaluate, on an export with validation rows")
    shares = {str(name): share for name, share in settings.mix.items()}
    return splits | {"train": with_mix(splits["train"], shares, say)}


def _metrics(result: Mapping[str, float], history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What was logged, and tokens a second."""
    metrics = metrics_of(result, history)
    if metrics.get("train_runtime"):
        metrics["tokens_per_second"] = metrics.get("num_tokens", 0.0) / metrics["train_runtime"]
    return metrics


def _counts(splits: Mapping[str, Rows]) -> dict[str, dict[str, int]]:
    """Rows and tokens of each split, for the run card."""
    return {
        name: {"trained": len(rows), "tokens": rows.tokens, "left_out": len(rows.left_out)}
        for name, rows in splits.items()
    }


if __name__ == "__main__":
    sys.exit(main())
