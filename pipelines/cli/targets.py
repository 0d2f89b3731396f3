"""Which config, lake and run a command means. The engine is loaded when one is asked for."""

import getpass
import os
import re
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.options import OWN_CONFIG
from gog.transforms.nearby import SHOWN

if TYPE_CHECKING:
    from gog.pipelines.api import Run
    from gog.pipelines.config.config import Config


def config_of(
    path: str | None, lake: str | None = None, run: str | None = None, seed: int | None = None, *, demo: bool = False
) -> "Config":
    """The config of a command, with what the command line says on top: the file that is named, the bundled world, or
    what is there: `gog.yaml`, else what a run of the lake was made with. Raises `UseError` where there is neither.
    """
    from gog.pipelines.config.config import bundled, load_config, parse_config

    if demo and path is not None:
        raise UseError("--demo is the bundled world and -c another config: give one of the two")
    if demo or path is not None:
        config = bundled("atlas") if path is None else load_config(path)
    else:
        config = _config_here(lake, run)
    update = {"lake": lake, "run": run, "seed": seed}
    given = {key: value for key, value in update.items() if value is not None}
    return parse_config(config.model_dump(mode="json") | given, "command line") if given else config


def _config_here(lake: str | None, run: str | None) -> "Config":
    """The config that nobody has named; it is told which one that is."""
    from gog.pipelines.config.config import fingerprint

    own = _own()
    there = _runs_in(lake or (own.lake if own else "./lake"))
    if own is None:
        name = run if run is not None else next(iter(there), None) if len(there) == 1 else None
        if name in there:
            return _as_made(there[name])
        raise _no_config(list(there))
    if run in there and run != own.run and not there[run].manifest.fingerprint.startswith(f"{fingerprint(own)}-"):
        return _as_made(there[run])
    print(f"gog: with {OWN_CONFIG}, which is here", file=sys.stderr)
    return own


def _as_made(run: "Run") -> "Config":
    """The config that a run was made with."""
    from gog.pipelines.config.kept import taken_up

    print(f"gog: with the config that the run {run.name!r} in {run.lake.root} was made with", file=sys.stderr)
    return taken_up(run.manifest.config, run.lake.root, run.name)


def _no_config(runs: list[str]) -> UseError:
    """What can be typed where no config is named and none is taken by itself."""
    here = [str(path) for path in sorted(Path().glob("*.y*ml")) if _is_config(path)]
    found = f"; here is {', '.join(here[:SHOWN])}" if here else ""
    ways = f"`gog init` writes one, -c FILE names another{found}, and --demo is the bundled world"
    several = f"; --run takes a run of the lake as it was made: {', '.join(runs[:SHOWN])}" if len(runs) > 1 else ""
    return UseError(f"there is no {OWN_CONFIG} here: {ways}{several}")


def _is_config(path: Path) -> bool:
    """Whether a YAML file looks like a config of ours."""
    with suppress(OSError):
        return re.search(r"^source:", path.read_text("utf-8", "replace"), re.MULTILINE) is not None
    return False


def lake_of(lake: str | None) -> str:
    """Where the lake is: as it is named, as `gog.yaml` says, or ./lake. Raises `AddressError` on what is no place."""
    from gog.transforms.place import check_address

    own = _own()
    root = lake or (own.lake if own else "./lake")
    check_address(root)
    return root


def store_config(path: str | None, lake: str | None = None) -> "Config":
    """The config whose store is meant; where there is none, that of the lake's runs, or of an empty lake."""
    from gog.pipelines.config.config import load_config, parse_config
    from gog.pipelines.config.kept import taken_up

    if path is not None or Path(OWN_CONFIG).is_file():
        config = load_config(path) if path is not None else _config_here(lake, None)
        return parse_config(config.model_dump(mode="json") | {"lake": lake}, "command line") if lake else config
    root = lake or "./lake"
    made = next(iter(_runs_in(root).values()), None)
    return (
        taken_up(made.manifest.config, made.lake.root, made.name)
        if made
        else parse_config({"lake": root}, "command line")
    )


def _own() -> "Config | None":
    """`gog.yaml`, where it is here."""
    from gog.pipelines.config.config import load_config

    return load_config(OWN_CONFIG) if Path(OWN_CONFIG).is_file() else None


def _runs_in(root: str) -> "dict[str, Run]":
    """The runs of a lake by name; none where there is no lake."""
    from gog.pipelines.api import Run
    from gog.pipelines.lake.lake import Lake, is_lake

    if not is_lake(root):
        return {}
    lake = Lake(root, create=False)
    return {name: Run(lake, name) for name in lake.runs()}


def pointing(config: "Config", run: bool = True) -> str:
    """The options that lead a command to this lake and run, where they are not what it takes by itself."""
    lake = (
        ""
        if os.path.normpath(config.lake) == os.path.normpath(lake_of(None))
        else f" --lake {shlex.quote(config.lake)}"
    )
    return lake + (f" --run {config.run}" if run and len(_runs_in(config.lake)) > 1 else "")


def runs_of(config: str | None, lake: str | None, run: str | None, *, several: bool = True) -> "list[Run]":
    """The existing runs that are meant: the one that is named here or in the config, else all of the lake.

    Where one is wanted of several, that of `gog.yaml`. Raises `UseError` when there is no such lake or run, and where
    none is named of several.
    """
    from gog.pipelines.lake.lake import is_lake

    loaded = config_of(config, lake, run) if config else None
    root = loaded.lake if loaded else lake_of(lake)
    named = run or (loaded.run if loaded else None)
    if not is_lake(root):
        raise UseError(
            f"there is no lake at {root}{_lakes_near(root)}: name one with --lake, or make one with `gog run`"
        )
    there = _runs_in(root)
    if named is None:
        if not there:
            raise UseError(f"there is no run in {root} yet; `gog run` makes one")
        if several or len(there) == 1:
            return list(there.values())
        own = _own()
        if own is None or own.run not in there:
            raise UseError(f"{root} has several runs, name one with --run: {', '.join(there)}")
        print(f"gog: the run {own.run!r} of {OWN_CONFIG}; --run names another", file=sys.stderr)
        named = own.run
    if named not in there:
        known = f"it has {', '.join(there)}" if there else "it has none yet"
        raise UseError(f"there is no run {named!r} in {root}: {known}")
    return [there[named]]


def _lakes_near(root: str) -> str:
    """Lakes below this folder, beside it, and beside the one that was meant."""
    from gog.transforms.place import is_remote

    folders = {Path(), Path("..")} | ({Path(root).parent} if not is_remote(root) else set())
    found = sorted({str(path.parent) for folder in folders for path in folder.glob("*/lake.json")})
    if Path("lake.json").exists():
        found.insert(0, ".")
    return f", but at {', '.join(found[:SHOWN])}" if found else ""


def one_run(config: str | None, lake: str | None, run: str | None) -> "Run":
    """The run that is meant; `UseError` when the lake has several and none is named."""
    return runs_of(config, lake, run, several=False)[0]


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
