"""Settings of a training: a YAML file closed to unknown keys, each of them also an option of the command line."""

import argparse
import difflib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class TrainingError(ValueError):
    """Training cannot start, or go on. The message is one line that says what to do."""


class TrainSettings(BaseModel):
    """What both stages share."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=(), validate_default=True
    )

    model: str = Field(min_length=1)
    """Folder or name of the model to start from; the folder of a saved adapter is merged into its base first."""
    revision: str | None = None
    """Revision of a model that is named."""
    export: Path
    """Folder that `gog export --format trl` wrote."""
    output: Path
    """Folder for checkpoints, the trained model and the run card."""
    thinking: bool | None = None
    """true: reasoning stands in <think> tags, false: it is plain text before the call or the answer. By default as the
    export says."""

    tune: Literal["lora", "full"] = "lora"
    """lora: an adapter beside the weights. full: all weights of the language model, in single precision."""
    lora_rank: int = Field(default=8, ge=1)
    """Rank of the adapter. It is on every linear layer of the language model's blocks."""
    lora_alpha: int = Field(default=16, ge=1)
    """Scale of the adapter, times its rank."""
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the adapter's inputs that is dropped."""
    train_vision: bool = False
    """Train the blocks of the vision tower too. vLLM serves an adapter on them only merged."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay of AdamW."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Decides the adapter's first weights, the order of the rows and all sampling."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """auto: bf16 where a GPU has it, fp32 elsewhere."""
    attention: Literal["sdpa", "flash_attention_2", "eager"] = "sdpa"
    """Implementation of attention."""
    gradient_checkpointing: Literal["auto", "on", "off"] = "auto"
    """Less memory for a third more time. auto: on where there is a GPU."""

    log_every: int = Field(default=5, ge=1)
    """Steps between two lines of metrics."""
    save_every: int = Field(default=100, ge=1)
    """Steps between two checkpoints."""
    keep: int = Field(default=2, ge=1)
    """Checkpoints that are kept."""
    give_up: int = Field(default=30, ge=0)
    """Steps without anything to learn (a gradient of 0, rollouts all paid the same, most of them masked) after which
    training stops with the reason; 0: never."""
    patience: int = Field(default=0, ge=0)
    """Evaluations without a better one than the best after which training ends, as if it were done; 0: never."""
    report: Literal["none", "tensorboard", "trackio", "wandb"] = "none"
    """Where metrics go, beside the log and the curves. tensorboard writes below OUTPUT/runs."""
    save: Literal["adapter", "merged", "both"] = "adapter"
    """What is saved at the end: the adapter alone, a whole model, or both. With `tune: full` it is the whole model."""
    resume: str = Field(default="", json_schema_extra={"bare": "last"})
    """Go on from a checkpoint: its folder, or `last` for the last one of OUTPUT."""


S = TypeVar("S", bound=TrainSettings)


def read_settings(kind: type[S], arguments: Sequence[str], program: str, examples: str) -> S:
    """Settings of a command line: `--config FILE`, then options, of which each replaces a key of the file.

    `--help` prints every key and ends the process. Raises `TrainingError`.
    """
    options = vars(_parser(kind, program, examples).parse_args(list(arguments)))
    config = options.pop("config")
    values = _read_file(config) if config else {}
    where = f"{config}: " if config else ""
    values |= {key: _value(kind, key, text) for key, text in options.items() if text is not None}
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise TrainingError(f"{where}{_first(error, list(kind.model_fields))}") from None


def bundled_configs() -> list[str]:
    """Names of the configs that come with the package."""
    folder = files("gog_train").joinpath("configs")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def _parser(kind: type[S], program: str, examples: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=(kind.__doc__ or "").strip(),
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", help=f"a YAML file, or one of {', '.join(bundled_configs())}")
    for name, field in kind.model_fields.items():
        default = "" if field.is_required() or field.default in ("", None) else f" (default: {_shown(field.default)})"
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        bare = "true" if field.annotation is bool else extra.get("bare")
        more: dict[str, Any] = {"nargs": "?", "const": bare} if bare else {}
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            *([f"--{name}"] if "_" in name else []),
            dest=name,
            metavar="VALUE",
            help=f"{' '.join((field.description or '').split())}{default}".replace("%", "%%"),
            **more,
        )
    return parser


def _shown(default: object) -> str:
    if isinstance(default, BaseModel):
        return "as there"
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def _read_file(name: str) -> dict[str, Any]:
    from gog.transforms.yaml_text import YamlError, load_yaml

    path = Path(name)
    try:
        if not path.exists() and name in bundled_configs():
            text = files("gog_train").joinpath("configs", f"{name}.yaml").read_text("utf-8")
        else:
            text = path.read_text("utf-8")
        values = load_yaml(text)
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(bundled_configs())
        reason = getattr(error, "strerror", None) or error
        raise TrainingError(f"cannot read {name}: {reason}; --config takes a YAML file or one of {known}") from None
    except YamlError as error:
        raise TrainingError(f"{name} is not YAML: {error}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise TrainingError(f"{name} has to be a mapping of settings, such as `model: FOLDER`")
    return values


def _value(kind: type[S], name: str, text: str) -> object:
    """A value of the command line: text, which pydantic reads; lists and `null` as in YAML."""
    from gog.transforms.yaml_text import YamlError, load_yaml

    if text == "null" or text.startswith(("[", "{")):
        try:
            return load_yaml(text)
        except YamlError as error:
            raise TrainingError(f"--{name.replace('_', '-')}: {text[:100]!r} cannot be read: {error}") from None
    if "tuple" in str(kind.model_fields[name].annotation):
        return text.split(",")
    return text


def _first(error: ValidationError, known: Sequence[str]) -> str:
    """The first thing that is wrong, and what to do."""
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"])) or "settings"
    match first["type"]:
        case "extra_forbidden":
            close = difflib.get_close_matches(key, known, n=1)
            return f"{key} is no setting" + (f"; did you mean {close[0]}?" if close else "; --help lists them")
        case "missing":
            return f"{key} is missing: name it in the file or as --{key.replace('_', '-')}"
        case "value_error" if not first["loc"]:  # of several settings together: it names them
            return first["msg"].removeprefix("Value error, ")
        case _:
            return f"{key}: {first['msg']} (it is {str(first['input'])[:80]!r})"
