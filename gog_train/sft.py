"""Supervised fine-tuning on an SFT export: `python -m gog_train.sft --config FILE`.

LoRA on the transformer blocks, loss on the trained turns of the assistant alone, images in every turn. By default the
paper's settings: rank 8, 3 epochs, learning rate 1e-4, batches of 8 (arXiv 2601.13942).

torch, transformers, peft and TRL are imported inside of the functions.
"""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pydantic import Field, model_validator

from gog_train.checkpoints import check_notes, read_notes, resumed, save, write_card
from gog_train.collator import EpisodeCollator, pictures
from gog_train.data import Export, ExportError, open_export
from gog_train.processors import END_OF_TURN, backbone_of, check, fit, load_model, load_processor
from gog_train.rows import Rows, fitting_rows, rows_of, trainable, write_left_out
from gog_train.settings import TrainingError, TrainSettings, read_settings
from gog_train.template import template

EXAMPLES: Final = """\
examples:
  python -m gog_train.sft --config sft_qwen2_5_vl --export exports/trl-qwen2.5-vl --output gog-2.5-7b
  python -m gog_train.sft --config my.yaml --report tensorboard --save both
  python -m gog_train.sft --config my.yaml --resume
  accelerate launch --num_processes 8 -m gog_train.sft --config my.yaml

exit codes: 0 trained and saved, 1 stopped before the end (--resume goes on), 2 nothing trained: the message says why
"""

LANGUAGE: Final = r"(?:.*\.)?language_model\.layers\.\d+\.(?:self_attn|mlp)\.\w+_proj"
VISION: Final = r"(?:.*\.)?visual\.blocks\.\d+\.(?:attn\.(?:qkv|proj)|mlp\.(?:\w+_proj|linear_fc\d))"
"""Linear layers of the transformer blocks, by name, in both families."""


class SftSettings(TrainSettings):
    """Supervised fine-tuning (SFT) of a Qwen-VL model on the trajectories of an export."""

    epochs: float = Field(default=3.0, gt=0)
    """Times that every row is seen."""
    max_steps: int | None = Field(default=None, ge=1)
    """Steps after which it ends, whatever `epochs` says."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Highest learning rate."""
    schedule: str = Field(default="cosine", pattern="^(cosine|linear|constant_with_warmup)$")
    """How the learning rate falls: cosine, linear or constant_with_warmup."""
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""
    batch_size: int = Field(default=8, ge=1)
    """Rows a step, over all devices."""
    device_batch_size: int = Field(default=1, ge=1)
    """Rows a device holds at a time; the rest of a batch is accumulated."""
    max_length: int = Field(default=16384, ge=256)
    """Tokens of a row, images included. A longer row is left out and listed in OUTPUT/left_out.jsonl; none is cut."""
    evaluate_every: int | None = Field(default=None, ge=1)
    """Steps between two evaluations on the validation split; without it, at the end of each epoch."""
    evaluate: bool = True
    """Evaluate on the validation split, where it has rows."""
    workers: int = Field(default=2, ge=0)
    """Processes that prepare batches; 0 prepares them in the training process."""

    @model_validator(mode="after")
    def _whole_batches(self) -> "SftSettings":
        if self.batch_size % self.device_batch_size:
            raise ValueError("device_batch_size has to divide batch_size")
        return self


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training came to."""

    finished: bool
    """Whether it went to its end; a stopped one has a checkpoint."""
    steps: int
    metrics: dict[str, float]
    saved: dict[str, Path]
    """Folder of the adapter and of the merged model, as wanted; none of a stopped training."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    try:
        settings = read_settings(
            SftSettings, sys.argv[1:] if arguments is None else arguments, "gog_train.sft", EXAMPLES
        )
        _quiet()
        trained = train(settings)
    except (TrainingError, ExportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0 if trained.finished else 1


def _quiet() -> None:
    """No bars of libraries between our lines."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()


def say(line: str) -> None:
    """Progress goes to the error stream, so that output stays free."""
    print(line, file=sys.stderr, flush=True)


def train(settings: SftSettings) -> Trained:
    """Check everything, train, save. Raises `TrainingError` or `ExportError` before the first step."""
    from gog_train.callbacks import Progress, Stop

    checkpoint = resumed(settings.output, settings.resume)
    _accumulation(settings)
    _check_report(settings.report)
    export = open_export(settings.export, "sft", backbone_of(settings.model, settings.revision).name)
    thinking = export.thinking if settings.thinking is None else settings.thinking
    form = template(export.backbone.name, thinking=thinking)
    check_notes(settings.model, form)
    processor = load_processor(settings.model, settings.revision)
    fit(processor, form, export.backbone)
    splits = _splits(settings, export, processor)
    stop, first = Stop(), int(os.environ.get("RANK", "0")) == 0
    if first:
        write_left_out(settings.output, splits, settings.max_length)
    trainer = make_trainer(settings, processor, splits, [stop, Progress(say)])
    with stop.on_signals():
        result = trainer.train(resume_from_checkpoint=checkpoint)
    steps = trainer.state.global_step
    metrics = _metrics(result.metrics, trainer.state.log_history)
    if stop.asked and steps < trainer.state.max_steps:
        say(f"stopped at step {steps} of {trainer.state.max_steps}: --resume goes on from there")
        return Trained(False, steps, metrics, {})
    if not first:
        return Trained(True, steps, metrics, {})
    model = trainer.accelerator.unwrap_model(trainer.model)
    saved = save(model, processor, form, export.backbone, settings.output, settings.save)
    card = write_card(settings.output, _card(settings, export, splits, steps, metrics))
    say(f"saved {', '.join(map(str, saved.values()))}; run card: {card}")
    for folder in saved.values():
        say(f"serve it: {shlex.join((read_notes(str(folder)) or {})['serve'])}")
    return Trained(True, steps, metrics, saved)


def make_trainer(settings: SftSettings, processor: Any, splits: Mapping[str, Rows], callbacks: Sequence[Any]) -> Any:
    """TRL's trainer around a freshly loaded model with an adapter."""
    from peft import LoraConfig
    from transformers import PrinterCallback, ProgressCallback
    from trl import SFTTrainer

    validation = splits.get("validation")
    arguments = _arguments(settings, evaluates=bool(validation))
    model = load_model(
        settings.model,
        settings.revision,
        dtype="bfloat16" if arguments.bf16 else "float32",
        attention=settings.attention,
    )
    lora = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=f"{LANGUAGE}|{VISION}" if settings.train_vision else LANGUAGE,
        task_type="CAUSAL_LM",
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=trainable(splits["train"]),
        eval_dataset=trainable(validation) if validation else None,
        processing_class=processor,
        data_collator=EpisodeCollator(processor),
        peft_config=lora,
        callbacks=list(callbacks),
    )
    for silent in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(silent)
    return trainer


def _arguments(settings: SftSettings, *, evaluates: bool) -> Any:
    import torch
    from trl import SFTConfig

    gpu = torch.cuda.is_available()
    if settings.precision == "bf16" and gpu and not torch.cuda.is_bf16_supported():
        raise TrainingError("this GPU has no bf16: set `precision: fp32`")
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and gpu and torch.cuda.is_bf16_supported())
    checkpointing = settings.gradient_checkpointing == "on" or (settings.gradient_checkpointing == "auto" and gpu)
    every_epoch = settings.evaluate_every is None
    return SFTConfig(
        output_dir=str(settings.output),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        per_device_train_batch_size=settings.device_batch_size,
        per_device_eval_batch_size=settings.device_batch_size,
        gradient_accumulation_steps=_accumulation(settings),
        gradient_checkpointing=checkpointing,
        bf16=bf16,
        use_cpu=not gpu,
        seed=settings.seed,
        data_seed=settings.seed,
        eos_token=END_OF_TURN,
        assistant_only_loss=True,
        max_length=None,  # rows are measured before: nothing is cut
        remove_unused_columns=False,
        eval_strategy="no" if not evaluates else "epoch" if every_epoch else "steps",
        eval_steps=settings.evaluate_every,
        logging_steps=settings.log_every,
        save_steps=settings.save_every,
        save_total_limit=settings.keep,
        dataloader_num_workers=settings.workers,
        dataloader_pin_memory=gpu,
        report_to=[] if settings.report == "none" else [settings.report],
        disable_tqdm=True,
    )


def _accumulation(settings: SftSettings) -> int:
    """Batches that a device adds up to a step."""
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    at_once = settings.device_batch_size * devices
    if settings.batch_size % at_once:
        raise TrainingError(
            f"batch_size {settings.batch_size} is no multiple of {devices} devices times device_batch_size "
            f"{settings.device_batch_size}: change one of them"
        )
    return settings.batch_size // at_once


def _check_report(report: str) -> None:
    if report != "none" and find_spec(report) is None:
        raise TrainingError(f"report: {report} needs its package: pip install {report}")


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
    return splits


def _metrics(result: Mapping[str, float], history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The last of every number that was logged, and tokens a second."""
    metrics: dict[str, float] = {}
    for logged in (*history, result):
        metrics |= {key: float(value) for key, value in logged.items() if isinstance(value, int | float)}
    if metrics.get("train_runtime"):
        metrics["tokens_per_second"] = metrics.get("num_tokens", 0.0) / metrics["train_runtime"]
    return dict(sorted(metrics.items()))


def _card(
    settings: SftSettings, export: Export, splits: Mapping[str, Rows], steps: int, metrics: Mapping[str, float]
) -> dict[str, Any]:
    return {
        "stage": "sft",
        "settings": settings.model_dump(mode="json"),
        "export": {"folder": str(export.folder), "sha256": export.sha256, "manifest": export.manifest},
        "rows": {
            name: {"trained": len(rows), "tokens": rows.tokens, "left_out": len(rows.left_out)}
            for name, rows in splits.items()
        },
        "steps": steps,
        "metrics": metrics,
    }


if __name__ == "__main__":
    sys.exit(main())
