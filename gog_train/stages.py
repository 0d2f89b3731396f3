"""What both stages of a training share: the command line around it, the model with its adapter, the trainer's
arguments, the processes, the end.

torch, transformers and peft are imported inside of the functions.
"""

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

from gog.transforms.dialect.backbones import BACKBONES, Backbone, Template
from gog_train.base import keep_base
from gog_train.checkpoints import check_notes, read_notes, save, write_card
from gog_train.data import Export, ExportError, Kind, open_export
from gog_train.processors import backbone_of, fit, load_model, load_processor
from gog_train.settings import TrainingError, TrainSettings, read_settings
from gog_train.training_lake import TrainingLake

LANGUAGE_MODEL: Final = re.compile(r"(?:.*\.)?(?:language_model|lm_head)\..*")
"""Weights of the language model, by name; the others are the vision tower's, and what joins them."""

NO_ADAPTER: Final = "vLLM takes no adapter on a vision tower or on experts"
MERGE: Final = f"{NO_ADAPTER}: `--resume --save both` writes the merged model"

S = TypeVar("S", bound=TrainSettings)


def __getattr__(name: str) -> str:
    """`LANGUAGE` and `VISION`, for programs that import them: the layers of all families in one pattern.

    Of a family's model it matches what the family's own pattern does, and of the layers whose weights it names some.
    """
    if name not in ("LANGUAGE", "VISION"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    patterns = (getattr(BACKBONES[family], name.lower()) for family in BACKBONES)
    return "|".join(dict.fromkeys(filter(None, patterns)))


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training came to."""

    finished: bool
    """Whether it went to its end; a stopped one has a checkpoint."""
    steps: int
    metrics: dict[str, float]
    saved: dict[str, Path]
    """Folder of the adapter and of the merged model, as wanted; none of a stopped training."""


def command_line(
    kind: type[S], train: Callable[[S], Trained], words: Sequence[str], program: str, examples: str
) -> int:
    """Read the settings and train; returns the exit code: 0 trained, 1 stopped before the end, 2 nothing trained."""
    try:
        settings = read_settings(kind, words, program, examples)
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
    """Progress goes to the error stream of the first process, so that output stays free."""
    if first_process():
        print(line, file=sys.stderr, flush=True)


def first_process() -> bool:
    """Whether this is the process that writes, of all that a launcher started."""
    return int(os.environ.get("RANK", "0")) == 0


def processes() -> int:
    """How many processes a launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def has_gpu() -> bool:
    """Whether torch finds a GPU."""
    import torch

    return bool(torch.cuda.is_available())


def check_packages(settings: TrainSettings) -> None:
    """Raise `TrainingError` where a setting needs a package that is missing."""
    if settings.report != "none" and find_spec(settings.report) is None:
        raise TrainingError(f"report: {settings.report} needs its package: pip install {settings.report}")
    if settings.attention == "flash_attention_2" and find_spec("flash_attn") is None:
        raise TrainingError(
            "attention: flash_attention_2 needs its package: pip install flash-attn --no-build-isolation, "
            "or set `attention: sdpa`"
        )
    if settings.attention == "flash_attention_2" and not (has_gpu() and bf16(settings)):
        raise TrainingError(
            "attention: flash_attention_2 computes on a GPU in bf16 alone: set `precision: bf16` or `attention: sdpa`"
        )


def check_family(settings: TrainSettings, backbone: Backbone) -> None:
    """Raise `TrainingError` where a setting does not go with the family."""
    if settings.tune == "lora" and settings.train_vision and not backbone.vision:
        raise TrainingError(
            f"train_vision: no adapter goes on the vision tower of a {backbone.name}: leave it out, or set `tune: full`"
        )
    if settings.tune == "lora" and settings.lora_dropout and backbone.experts:
        raise TrainingError(f"lora_dropout: the experts of a {backbone.name} take none: set `lora_dropout: 0`")
    if not backbone.mutual:
        return
    why = f"the tokens of an image see one another in a {backbone.name}"
    if settings.attention == "flash_attention_2":
        raise TrainingError(f"attention: {why}, which flash_attention_2 leaves out: set `attention: sdpa`")
    if getattr(settings, "vllm", "off") != "off":
        raise TrainingError(f"vllm: {why}, and vLLM was not seen to give the trainer's probabilities: set `vllm: off`")


def opened(settings: TrainSettings, kind: Kind, levels: Sequence[int] = (1, 2)) -> tuple[Export, Template, Any]:
    """The checked export, its chat template, and the model's processor, fitted to both.

    Raises `TrainingError` or `ExportError`.
    """
    export = open_export(settings.export, kind, backbone_of(settings.model, settings.revision).name, levels)
    check_family(settings, export.backbone)
    template = export.template(settings.thinking)
    check_notes(settings.model, template)
    processor = load_processor(settings.model, settings.revision)
    fit(processor, template, export.backbone)
    return export, template, processor


def bf16(settings: TrainSettings) -> bool:
    """Whether training is in bfloat16. Raises `TrainingError` where it is demanded of a GPU that has none."""
    import torch

    gpu = has_gpu()
    has = gpu and torch.cuda.is_bf16_supported()
    if settings.precision == "bf16" and gpu and not has:
        raise TrainingError("this GPU has no bf16: set `precision: fp32`")
    return settings.precision == "bf16" or (settings.precision == "auto" and has)


def common_arguments(settings: TrainSettings) -> dict[str, Any]:
    """Arguments of TRL's trainers that mean the same in both stages."""
    gpu = has_gpu()
    return {
        "output_dir": str(settings.output),
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "gradient_checkpointing": settings.gradient_checkpointing == "on"
        or (settings.gradient_checkpointing == "auto" and gpu),
        "bf16": bf16(settings),
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu,
        "ddp_find_unused_parameters": False,  # every row has an image: all of the adapter is used in every step
        "seed": settings.seed,
        "data_seed": settings.seed,
        "logging_steps": settings.log_every,
        "save_steps": settings.save_every,
        "save_total_limit": settings.keep,
        "report_to": [] if settings.report == "none" else [settings.report],
        "disable_tqdm": True,
    }


def starting_model(settings: TrainSettings, processor: Any) -> Any:
    """The model to start from.

    Where it is an adapter, the merged one is kept as `output/base`: the new adapter, the rollouts and the reference of
    the KL term belong to that, not to the base of the old one. A folder is named by its whole path, as in what is
    saved: PEFT looks from where it is loaded.
    """
    from transformers import set_seed

    # Whole models keep their weights in single precision: bf16 has no digits for what a step adds.
    dtype = "bfloat16" if bf16(settings) and settings.tune == "lora" else "float32"
    model = load_model(settings.model, settings.revision, dtype=dtype, attention=settings.attention)
    place = Path(settings.model)
    if (place / "adapter_config.json").is_file():
        base = settings.output.resolve() / "base"
        keep_base(model, processor, place, base)
        model.config._name_or_path = model.name_or_path = str(base)
    elif place.is_dir():
        model.config._name_or_path = model.name_or_path = str(place.resolve())
    if settings.tune == "full" and not settings.train_vision:
        for name, weight in model.named_parameters():
            weight.requires_grad = LANGUAGE_MODEL.fullmatch(name) is not None
    set_seed(settings.seed)  # TRL seeds only after it has made the adapter
    return model


def adapter(settings: TrainSettings, backbone: Backbone) -> Any:
    """The LoRA adapter, as PEFT takes it; None where the whole model is trained."""
    from peft import LoraConfig

    if settings.tune == "full":
        return None
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=backbone.layers(vision=settings.train_vision),
        target_parameters=list(backbone.experts) or None,
        task_type="CAUSAL_LM",
    )


def watched(export: Export, form: Template, lake: TrainingLake) -> list[Any]:
    """Callbacks that show a training: its curves, a line for each log, checkpoints that can be served."""
    from gog_train.callbacks import Progress, Served
    from gog_train.curves import Curves

    written = lake if first_process() else None
    return [Curves(written, export.sha256), Served(form, export.backbone), Progress(say)]


def ready(trainer: Any) -> Any:
    """The trainer, silent: `callbacks.Progress` tells. Raises `TrainingError` for sharded weights.

    Curves come first: those who report get the tokens a second that they add.
    """
    from transformers import PrinterCallback, ProgressCallback

    from gog_train.curves import Curves

    zero = getattr(trainer.accelerator.state, "deepspeed_plugin", None)
    if trainer.is_fsdp_enabled or (zero is not None and zero.zero_stage == 3):
        raise TrainingError(
            "the launcher shards the weights (FSDP or ZeRO-3), for which neither rollouts nor saving are made: "
            "launch with plain data parallelism or ZeRO-2"
        )
    for silent in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(silent)
    trainer.callback_handler.callbacks.sort(key=lambda callback: not isinstance(callback, Curves))
    return trainer


def metrics_of(result: Mapping[str, float], history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The last of every number that was logged."""
    metrics: dict[str, float] = {}
    for logged in (*history, result):
        metrics |= {key: float(value) for key, value in logged.items() if isinstance(value, int | float)}
    return dict(sorted(metrics.items()))


def finish(
    settings: TrainSettings, trainer: Any, form: Template, export: Export, card: Mapping[str, Any]
) -> dict[str, Path]:
    """Save what is wanted and the run card; `card` is the stage's part of it. The first process alone does so."""
    if not first_process():
        return {}
    model = trainer.accelerator.unwrap_model(trainer.model)
    if settings.tune == "full" and bf16(settings):
        model = model.to("bfloat16")  # as it is served
    saved = save(model, trainer.processing_class, form, export.backbone, settings.output, settings.save)
    summary = {
        "settings": settings.model_dump(mode="json"),
        "export": {"folder": str(export.folder), "sha256": export.sha256, "manifest": export.manifest},
        "steps": int(trainer.state.global_step),
    }
    path = write_card(settings.output, {**summary, **card})
    say(f"saved {', '.join(map(str, saved.values()))}; run card: {path}")
    for folder in saved.values():
        serve = (read_notes(str(folder)) or {})["serve"]
        say(f"serve it: {shlex.join(serve)}" if serve else MERGE)
    return saved
