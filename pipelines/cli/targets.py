"""Which config, lake and run a command means. The engine is loaded when one is asked for."""

import getpass
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gog.pipelines.cli.errors import UseError

if TYPE_CHECKING:
    from gog.pipelines.api import Run
    from gog.pipelines.config.config import Config


def config_of(path: str | None, lake: str | None = None, run: str | None = None, seed: int | None = None) -> "Config":
    """The config of a command: a file or the bundled world, with what the command line says on top."""
    from gog.pipelines.config.config import load_config, parse_config

    config = load_config(path)
    update = {"lake": lake, "run": run, "seed": seed}
    given = {key: value for key, value in update.items() if value is not None}
    return parse_config(config.model_dump(mode="json") | given, "command line") if given else config


def pointing(config: "Config", run: bool = True) -> str:
    """The options that lead a command to this lake and run, where they are not what it takes by itself."""
    from gog.pipelines.lake.lake import Lake

    lake = "" if Path(config.lake) == Path("lake") else f" --lake {shlex.quote(config.lake)}"
    several = run and len(Lake(Path(config.lake), create=False).runs()) > 1
    return lake + (f" --run {config.run}" if several else "")


def runs_of(config: str | None, lake: str | None, run: str | None, *, several: bool = True) -> "list[Run]":
    """The existing runs that are meant: the one that is named here or in the config, else all of the lake.

    Raises `UseError` when there is no such lake or run, and where one is wanted of several.
    """
    from gog.pipelines.api import Run
    from gog.pipelines.lake.lake import Lake

    loaded = config_of(config, lake, run) if config else None
    root = loaded.lake if loaded else lake or "./lake"
    named = run or (loaded.run if loaded else None)
    if not (Path(root) / "lake.json").exists():
        raise UseError(f"there is no lake at {root}: name one with --lake, or make one with `gog run`")
    opened = Lake(Path(root), create=False)
    there = opened.runs()
    if named is None:
        if not there:
            raise UseError(f"there is no run in {root} yet; `gog run` makes one")
        if not several and len(there) > 1:
            raise UseError(f"{root} has several runs, name one with --run: {', '.join(there)}")
        return [Run(opened, name) for name in there]
    if named not in there:
        known = f"it has {', '.join(there)}" if there else "it has none yet"
        raise UseError(f"there is no run {named!r} in {root}: {known}")
    return [Run(opened, named)]


def one_run(config: str | None, lake: str | None, run: str | None) -> "Run":
    """The run that is meant; `UseError` when the lake has several and none is named."""
    return runs_of(config, lake, run, several=False)[0]


def own_config(run: "Run") -> "Config":
    """The config that a run was made with, out of its manifest."""
    from gog.pipelines.config.config import parse_config

    place = {"lake": str(run.lake.root), "run": run.name}
    return parse_config(run.manifest.config | place, f"the manifest of the run {run.name!r}")


def reviewer_of(given: str | None) -> str:
    """Who reviews: the name that is given, or that of the login. `UseError` on one that is none."""
    from gog.pipelines.lake.review_files import reviewer_name

    try:
        return reviewer_name(given if given is not None else _login())
    except ValueError as error:
        raise UseError(f"--reviewer: {error}") from None


def _login() -> str:
    with suppress(KeyError, OSError, ImportError):
        return getpass.getuser()
    return "me"
