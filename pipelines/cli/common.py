"""What commands share: options, the config, which run is meant, how errors are told."""

import errno
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from gog.pipelines.config.config import Config, ConfigError, load_config, parse_config
from gog.pipelines.lake.one_line import one_line

FELL_SHORT: Final = 1
WRONG_USE: Final = 2
STOPPED: Final = 130

OWN_CONFIG: Final = "gog.yaml"
"""What `gog init` writes."""


def _passed_over(path: str | None) -> str | None:
    """Says so where somebody has a config and works on the bundled world all the same."""
    if path is None and Path(OWN_CONFIG).is_file():
        print(f"gog: this is the bundled world; for {OWN_CONFIG}, which is here, add -c {OWN_CONFIG}", file=sys.stderr)
    return path


ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="A YAML file; `gog init` writes one. Without it, the bundled world.",
        callback=_passed_over,
    ),
]
OfConfig = Annotated[
    str | None, typer.Option("--config", "-c", metavar="FILE", help="The config whose lake and run are meant.")
]
LakeOption = Annotated[
    str | None, typer.Option("--lake", metavar="FOLDER", help="The lake's folder; the config's, or ./lake.")
]
RunOption = Annotated[
    str | None, typer.Option("--run", metavar="NAME", help="Name of the run; the config's unless given.")
]
OfRun = Annotated[
    str | None, typer.Option("--run", metavar="NAME", help="Name of the run; needed where the lake has several.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class UseError(ValueError):
    """The command was used wrongly; the message is one line that says what to do."""


class ListenError(OSError):
    """Nobody can listen at an address; the message says what to name instead."""


@contextmanager
def listening(host: str, port: int) -> Iterator[None]:
    """What keeps a server from listening, as one line. Raises `ListenError`."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = "something else listens there; name another with --port, or 0 for a free one"
        elif error.errno in {errno.EACCES, errno.EPERM}:
            why = "the system does not allow it; name a port above 1023 with --port"
        else:
            why = f"{error.strerror or error}; name an address of this machine"
        raise ListenError(f"cannot listen on port {port} of {host}: {why}") from error


class Told(NamedTuple):
    """An error as the user gets it: one line and an exit code."""

    line: str
    code: int


def example(*lines: str, more: str = "") -> str:
    """The end of a command's help: examples as they are typed, and a remark."""
    shown = "\n".join(f"  {line}" for line in lines)
    return f"\b\nExample{'s' if len(lines) > 1 else ''}:\n{shown}" + (f"\n\n{more}" if more else "")


def config_of(path: str | None, lake: str | None = None, run: str | None = None, seed: int | None = None) -> Config:
    """The config of a command: a file or the bundled world, with what the command line says on top."""
    config = load_config(path)
    update = {"lake": lake, "run": run, "seed": seed}
    given = {key: value for key, value in update.items() if value is not None}
    return parse_config(config.model_dump(mode="json") | given, "command line") if given else config


def pointing(config: Config, run: bool = True) -> str:
    """The options that lead a command to this lake and run, where they are not what it takes by itself."""
    from gog.pipelines.lake.lake import Lake

    lake = "" if Path(config.lake) == Path("lake") else f" --lake {shlex.quote(config.lake)}"
    several = run and len(Lake(Path(config.lake), create=False).runs()) > 1
    return lake + (f" --run {config.run}" if several else "")


class RunPlace(NamedTuple):
    """An existing run of a lake."""

    lake: str
    run: str

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.lake) / "runs" / self.run


def runs_of(config: str | None, lake: str | None, run: str | None) -> list[RunPlace]:
    """The existing runs that are meant: the one that is named here or in the config, else all of the lake.

    Raises `UseError` when there is no such lake or run.
    """
    from gog.pipelines.lake.lake import Lake

    made = config_of(config, lake, run) if config else None
    root = made.lake if made else lake or "./lake"
    named = run or (made.run if made else None)
    if not (Path(root) / "lake.json").exists():
        raise UseError(f"there is no lake at {root}: name one with --lake, or make one with `gog run`")
    there = Lake(Path(root), create=False).runs()
    if named is None:
        if not there:
            raise UseError(f"there is no run in {root} yet; `gog run` makes one")
        return [RunPlace(root, name) for name in there]
    if named not in there:
        known = f"it has {', '.join(there)}" if there else "it has none yet"
        raise UseError(f"there is no run {named!r} in {root}: {known}")
    return [RunPlace(root, named)]


def one_run(config: str | None, lake: str | None, run: str | None) -> RunPlace:
    """The run that is meant; `UseError` when the lake has several and none is named."""
    found = runs_of(config, lake, run)
    if len(found) > 1:
        raise UseError(f"{found[0].lake} has several runs, name one with --run: {', '.join(p.run for p in found)}")
    return found[0]


def tell(error: BaseException) -> Told | None:
    """The error as one line with its exit code; None for a bug, which shows where it is."""
    from gog.pipelines.steps.context import causes_of

    if any(isinstance(cause, KeyboardInterrupt) for cause in causes_of(error)):
        return Told("stopped; what was finished is kept, the same command goes on", STOPPED)
    if isinstance(error, typer.TyperException):
        command = getattr(getattr(error, "ctx", None), "command_path", "gog")
        line = one_line(error.format_message()).rstrip(".")
        return Told(f"{line[:1].lower()}{line[1:]}; see {command} --help", error.exit_code)
    wrong, short = _known()
    if isinstance(error, wrong + short):
        return Told(one_line(error), WRONG_USE if isinstance(error, wrong) else FELL_SHORT)
    if isinstance(error, OSError) and error.errno is not None:
        from gog.pipelines.lake.disk import disk_advice

        where = f"{error.filename}: " if error.filename else ""
        return Told(one_line(f"{where}{disk_advice(error) or error.strerror}"), FELL_SHORT)
    return None


def _known() -> tuple[tuple[type[Exception], ...], tuple[type[Exception], ...]]:
    """Errors that are told in one line: of wrong use, and of a job that fell short."""
    from gog.pipelines.lake.lake import LakeError
    from gog.pipelines.steps.run import FunnelError
    from gog.pipelines.tools.train import LaunchError
    from gog.schemas.rows import SchemaError
    from gog.transforms.curate.splits import HubError, LeakError
    from gog.transforms.evaluate.benchmarks.items import BenchmarkError
    from gog.transforms.evaluate.protocols.scores import ProtocolError
    from gog.transforms.services.gateway.budget import PriceError
    from gog.transforms.services.models.server_process import ChildError
    from gog.transforms.services.protocols import ServiceError
    from gog.transforms.services.search.index_folder import IndexFolderError
    from gog.transforms.services.store.schema import StoreError
    from gog.transforms.sources.formats import SourceError
    from gog.transforms.sources.mapping import MappingError

    wrong = (
        UseError,
        ConfigError,
        MappingError,
        SourceError,
        PriceError,
        IndexFolderError,
        BenchmarkError,
        ProtocolError,
        LaunchError,
    )
    short = (
        ChildError,
        FunnelError,
        HubError,
        LakeError,
        LeakError,
        ListenError,
        SchemaError,
        ServiceError,
        StoreError,
    )
    return wrong, short


def print_json(value: Any) -> None:
    """JSON for programs, on standard output."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1, default=str)
    sys.stdout.write("\n")


def beam_args(args: Sequence[str]) -> tuple[str, ...]:
    """Options for Beam after `--`. Raises `UseError` on anything else."""
    wrong = [arg for arg in args if not arg.startswith("--")]
    if wrong:
        raise UseError(f"unexpected argument {wrong[0]!r}; options for Beam follow `--`, as --name=value")
    return tuple(args)
