"""What commands share: options, how errors are told, progress."""

import json
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from gog.pipelines.config import Config, ConfigError, load_config, parse_config

FELL_SHORT = 1
WRONG_USE = 2

ConfigOption = Annotated[
    str | None, typer.Option("--config", "-c", help="A YAML file; `gog init` writes one. The bundled world without it.")
]
LakeOption = Annotated[str | None, typer.Option("--lake", help="The lake's folder; ./lake unless the config says.")]
RunOption = Annotated[str | None, typer.Option("--run", help="Name of the run; the config's unless given.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def config_of(path: str | None, lake: str | None = None, run: str | None = None, seed: int | None = None) -> Config:
    """The config of a command: a file or the bundled world, with what the command line says on top."""
    config = load_config(Path(path)) if path else bundled("atlas")
    update = {"lake": lake, "run": run, "seed": seed}
    given = {key: value for key, value in update.items() if value is not None}
    return parse_config(config.model_dump(mode="json") | given, "command line") if given else config


def bundled(name: str) -> Config:
    """A config that comes with the engine."""
    text = files("gog.pipelines").joinpath("configs", f"{name}.yaml").read_text("utf-8")
    return parse_config(yaml.safe_load(text), f"{name}.yaml")


def known_errors() -> tuple[type[Exception], ...]:
    """Errors that are told in one line; any other is a bug and shows where."""
    from gog.pipelines.formats import SourceError
    from gog.pipelines.lake import LakeError
    from gog.pipelines.run import FunnelError
    from gog.schemas.rows import SchemaError
    from gog.transforms.ingest import MappingError
    from gog.transforms.services.folders import IndexFolderError
    from gog.transforms.services.store import StoreError
    from gog.transforms.splits import HubError, LeakError

    return (
        ConfigError,
        FunnelError,
        HubError,
        IndexFolderError,
        LakeError,
        LeakError,
        MappingError,
        SchemaError,
        SourceError,
        StoreError,
    )


def plain_error(error: Exception) -> str:
    """An error as one line."""
    return " ".join(str(error).split())


def print_json(value: Any) -> None:
    """JSON for programs, on standard output."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1, default=str)
    sys.stdout.write("\n")


def beam_args(args: Sequence[str]) -> tuple[str, ...]:
    """Options for Beam after `--`. Raises `ConfigError` on anything else."""
    wrong = [arg for arg in args if not arg.startswith("--")]
    if wrong:
        raise ConfigError(f"unexpected argument {wrong[0]!r}; options for Beam follow `--`, as --name=value")
    return tuple(args)
