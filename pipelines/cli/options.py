"""Options that commands share, the examples under a command's help, and JSON for programs."""

import json
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from gog.pipelines.cli.errors import UseError

OWN_CONFIG: Final = "gog.yaml"
"""What `gog init` writes."""
_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def option(names: str, metavar: str, about: str, **more: Any) -> Any:
    """An option of a command with a value: its names, as they are typed, what the value is called, and its help."""
    return typer.Option(*names.split(), metavar=metavar, help=about, **more)


ConfigOption = Annotated[
    str | None,
    option("--config -c", "FILE", "A YAML file; `gog init` writes one. Unless given, ./gog.yaml."),
]
OfConfig = Annotated[str | None, option("--config -c", "FILE", "The config whose lake and run are meant; ./gog.yaml.")]
DemoOption = Annotated[bool, typer.Option("--demo", help="The bundled world in place of a config.")]
LakeOption = Annotated[
    str | None,
    option("--lake", "PLACE", "A folder, or s3://, gs:// or az://BUCKET/NAME; the config's, or ./lake."),
]
RunOption = Annotated[str | None, option("--run", "NAME", "Name of the run; the config's unless given.")]
OfRun = Annotated[str | None, option("--run", "NAME", "Name of the run; needed where the lake has several.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
SeedOption = Annotated[int | None, option("--seed", "NUMBER", "Seed of every draw; the config's unless given.")]
AcceptOption = Annotated[int | None, option("--accept", "NUMBER", "Stop when so many trajectories are kept.", min=1)]
MinKept = Annotated[int, option("--min-kept", "NUMBER", "Exit code 1 where less is kept.", min=0)]
OlderThan = Annotated[str | None, option("--older-than", "AGE", "Only what was kept before: 30d, 12h, 2w.")]
BeamOptions = Annotated[
    list[str] | None, typer.Argument(help="Options for Beam, after `--`.", metavar="-- BEAM OPTIONS")
]


def command_app(**settings: Any) -> typer.Typer:
    """What a command's module holds as `app`: a command, or the group of the commands of one word."""
    return typer.Typer(rich_markup_mode=None, add_completion=False, **settings)


def example(*lines: str, more: str = "") -> str:
    """The end of a command's help: examples as they are typed, and a remark."""
    shown = "\n".join(f"  {line}" for line in lines)
    return f"\b\nExample{'s' if len(lines) > 1 else ''}:\n{shown}" + (f"\n\n{more}" if more else "")


def seconds_of(age: str) -> float:
    """Seconds of an age such as 30d. Raises `UseError`."""
    match = _AGE.fullmatch(age.strip())
    if match is None:
        raise UseError(f"{age!r} is no age: a number with s, m, h, d or w behind it, such as 30d")
    return float(match[1]) * _UNIT_S[match[2]]


def beam_args(args: Sequence[str]) -> tuple[str, ...]:
    """Options for Beam after `--`. Raises `UseError` on anything else."""
    wrong = [arg for arg in args if not arg.startswith("--")]
    if wrong:
        raise UseError(f"unexpected argument {wrong[0]!r}; options for Beam follow `--`, as --name=value")
    return tuple(args)


def print_json(value: Any) -> None:
    """JSON for programs, on standard output."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1, default=str)
    sys.stdout.write("\n")
