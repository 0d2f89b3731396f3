"""What the store holds; cassettes; clearing up."""

import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gog.pipelines.cli.errors import FellShortError, UseError
from gog.pipelines.cli.options import (
    ConfigOption,
    JsonOption,
    LakeOption,
    OlderThan,
    command_app,
    example,
    option,
    print_json,
    seconds_of,
)
from gog.pipelines.cli.targets import store_config
from gog.pipelines.lake.one_line import one_line

if TYPE_CHECKING:
    from gog.pipelines.config.config import Config
    from gog.transforms.image_store import ImageStore
    from gog.transforms.services.store.records import AnyStore

SHOWN: Final = 10
Kind = Annotated[list[str] | None, option("--kind", "KIND", "Only this kind, as stats names it; may be repeated.")]

app = command_app(
    help=__doc__, no_args_is_help=True, epilog=example("gog store stats", "gog store export fvqa.cassette --run fvqa")
)


@app.command(epilog=example("gog store stats", "gog store stats -c fvqa.yaml --json"))
def stats(config: ConfigOption = None, lake: LakeOption = None, as_json: JsonOption = False) -> None:
    """What is kept, by kind, provider and failure.

    Sizes are those in the store, where long texts are compressed; money is what the answers cost when they were bought.
    """
    from gog.pipelines.connect.stores import store_path
    from gog.pipelines.views.summary import console_for, plain_table
    from gog.transforms.services.store.records import ALL

    loaded = store_config(config, lake)
    with closing(_open(loaded)) as store:
        groups, runs = store.statistics(ALL), store.runs()
    if as_json:
        print_json({"store": store_path(loaded), "groups": [asdict(group) for group in groups], "events": runs})
        return
    now = time.time()
    lines = [
        (
            group.kind,
            group.provider,
            group.failure,
            f"{group.entries:,}",
            f"{group.bytes / 1e6:,.1f}",
            f"{_days(now - group.newest)} - {_days(now - group.oldest)}",
            f"{group.cost:,.2f}",
        )
        for group in groups
    ]
    total = ("all", "", "", f"{sum(g.entries for g in groups):,}", f"{sum(g.bytes for g in groups) / 1e6:,.1f}", "")
    columns = ("=kind", "provider", "failure", ">entries", ">MB", ">age in days", ">cost $")
    table = plain_table(store_path(loaded), columns, lines, (*total, f"{sum(g.cost for g in groups):,.2f}"))
    console_for(sys.stdout).print(table)
    print("Events: " + (", ".join(f"{run} {count:,}" for run, count in runs.items()) or "none"))


@app.command(epilog=example("gog store verify"))
def verify(config: ConfigOption = None, lake: LakeOption = None, as_json: JsonOption = False) -> None:
    """Whether every answer is sound; exit code 1 when not.

    Finds damage, keys that are not the hash of their request, and answers that are not of the form of their kind.
    """
    loaded = store_config(config, lake)
    with closing(_open(loaded)) as store:
        problems = list(store.problems())
        count = store.count()
    if as_json:
        print_json({"entries": count, "problems": [asdict(problem) for problem in problems]})
    else:
        for problem in problems[:SHOWN]:
            print(one_line(f"{problem.kind} {problem.key[:16]}: {problem.what}".strip(" :"), 300))
        if len(problems) > SHOWN:
            print(f"{len(problems) - SHOWN:,} more (--json lists them all)")
        if not problems:
            print(f"{count:,} entries, all sound")
    if problems:
        raise FellShortError(f"{len(problems):,} problems: restore a copy, or `gog store import` a cassette")


@app.command(
    epilog=example("gog store export fvqa.cassette --run fvqa", "gog store export world -c fvqa.yaml --for-training")
)
def export(
    file: Annotated[Path, typer.Argument(help="The cassette to write; a folder for a training.", metavar="FILE")],
    config: ConfigOption = None,
    lake: LakeOption = None,
    run: Annotated[str | None, option("--run", "NAME", "Only what this run asked.")] = None,
    kind: Kind = None,
    for_training: Annotated[
        bool, typer.Option("--for-training", help="Seal a world that rollouts search in without a network.")
    ] = False,
) -> None:
    """Write a cassette: answers in one file that travels.

    With it and the same config a run can be replayed anywhere: `gog store import FILE` there, then `gog run` with
    store.mode replay. Events, and so what a run spent, stay here.

    With --for-training a folder is written instead, with the indexes that the config searches and their encoders too:
    `world: FOLDER` in the settings of a GRPO training. It is only read, by as many processes as there are.
    """
    if for_training:
        if kind:
            raise UseError("--kind: a world has all that rollouts may ask: leave it out")
        _seal(store_config(config, lake), file, run)
        return
    from gog.transforms.services.store.cassette import write_cassette
    from gog.transforms.services.store.records import Choice

    loaded = store_config(config, lake)
    with closing(_open(loaded)) as store:
        _check_run(store, run)
        chosen = store.choose(Choice(kinds=tuple(kind or ()), run=run))
        written = write_cassette(file, chosen, _images(loaded))
    missing = f"; {written.missing:,} pictures that answers name are not in the lake" if written.missing else ""
    print(f"{file}: {written.entries:,} entries, {written.images:,} pictures{missing}")


def _check_run(store: "AnyStore", run: str | None) -> None:
    known = store.runs()
    if run is not None and run not in known:
        raise UseError(f"no run {run!r} has asked this store; it knows {', '.join(known) or 'none'}")


def _seal(config: "Config", folder: Path, run: str | None) -> None:
    from gog.pipelines.tools.seal import seal

    with closing(_open(config)) as store:
        _check_run(store, run)
        sealed = seal(config, store, folder, run)
    missing = f", {sealed.missing:,} pictures that answers name are not in the lake" if sealed.missing else ""
    others = f", {sealed.others:,} answers of other services stayed out" if sealed.others else ""
    print(f"{folder}: {sealed.images:,} pictures, {sealed.bytes / 1e6:,.1f} MB{missing}{others}")
    for kind, count in sealed.answers.items():
        if kind in sealed.indexes:
            of = "passages" if kind == "text_search" else "pictures"
            rest = f"whatever else is asked is searched in its {sealed.indexes[kind]:,} {of}"
        elif kind in sealed.left_out:
            rest = f"anything else is a miss: {sealed.left_out[kind]}, its encoder, cannot be copied"
        else:
            rest = "anything else is a miss"
        if count or kind != "tool":
            print(f"{kind}: {count:,} answers; {rest}")
    for encoder in sealed.by_name:
        print(f"{encoder} is not in it: it is loaded by its name, out of the hub's cache of each machine")
    print(f"In the settings of a training:  world: {folder}")


@app.command("import", epilog=example("gog store import fvqa.cassette"))
def import_(
    file: Annotated[Path, typer.Argument(help="A cassette.", metavar="FILE")],
    config: ConfigOption = None,
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the answers of a cassette into the store.

    What is there already stays: the first answer to a request wins, and others are told as conflicts. Importing twice
    changes nothing. Exit code 1 when something in the file was refused.
    """
    from gog.pipelines.connect.stores import make_store
    from gog.transforms.services.store.cassette import Cassette
    from gog.transforms.services.store.records import Mode

    loaded = store_config(config, lake)
    if not file.is_file():
        raise UseError(f"{file}: no such file")
    cassette = Cassette(file)
    with closing(make_store(loaded, Mode.RECORD)) as store:
        added = store.add(cassette.entries())
    cassette.take_images(_images(loaded))
    if as_json:
        print_json(asdict(added) | {"images": cassette.images, "refused": cassette.refused})
    else:
        print(f"{added.new:,} new, {added.same:,} there already, {cassette.images:,} pictures")
        if added.conflicts:
            keys = ", ".join(key[:16] for key in added.conflicts[:3])
            print(f"{len(added.conflicts):,} conflicts: the store has other answers, and keeps them ({keys})")
        for line in cassette.refused[:SHOWN]:
            print(f"refused: {one_line(line, 200)}")
    if cassette.refused:
        raise FellShortError(f"{len(cassette.refused):,} lines or pictures of {file} were refused")


@app.command(epilog=example("gog store gc --older-than 90d --kind text_search", "gog store gc --unreachable --yes"))
def gc(
    config: ConfigOption = None,
    lake: LakeOption = None,
    older_than: OlderThan = None,
    kind: Kind = None,
    failures: Annotated[bool, typer.Option("--failures", help="Only failures.")] = False,
    unreachable: Annotated[bool, typer.Option("--unreachable", help="Only what no run of the lake has asked.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without this it is only counted.")] = False,
) -> None:
    """Remove what is no longer wanted; counts first.

    What fits all the options is meant.
    """
    from gog.pipelines.connect.stores import make_store
    from gog.transforms.services.store.records import Choice, Mode

    loaded = store_config(config, lake)
    if not (older_than or kind or failures or unreachable):
        raise UseError("say what: --older-than AGE, --kind KIND, --failures, --unreachable, or several of them")
    before = None if older_than is None else time.time() - seconds_of(older_than)
    runs = _runs(loaded) if unreachable else None
    _open(loaded).close()
    with closing(make_store(loaded, Mode.RECORD)) as store:
        choice = Choice(tuple(kind or ()), before, failures, unasked_by=runs)
        groups = store.statistics(choice)
        only_runs = unreachable and not (older_than or kind or failures)
        gone = [run for run in store.runs() if run not in (runs or ())] if only_runs else []
        count, size = sum(group.entries for group in groups), sum(group.bytes for group in groups)
        cost = sum(group.cost for group in groups)
        events = f", and the events of {len(gone):,} runs" if gone else ""
        print(f"{count:,} entries, {size / 1e6:,.1f} MB, bought for ${cost:,.2f}{events}")
        if yes:
            store.drop(store.keys(choice), gone)
            print("removed")
        else:
            print("nothing is removed yet: the same with --yes does it")


def _open(config: "Config") -> "AnyStore":
    from gog.pipelines.connect.stores import read_store, store_path

    store = read_store(config)
    if store is None:
        raise UseError(f"there is no store at {store_path(config)} yet: name another --lake, or `gog run` makes one")
    return store


def _images(config: "Config") -> "ImageStore":
    from gog.pipelines.lake.lake import images_at

    return images_at(config.lake)


def _runs(config: "Config") -> tuple[str, ...]:
    """Runs of the lake with their previews. Raises `UseError` where other lakes may share the store."""
    from gog.pipelines.lake.lake import Lake
    from gog.pipelines.rehearse.samples import booked
    from gog.transforms.place import folders_in

    if config.store.path:
        raise UseError(f"{config.store.path} may serve other lakes, whose runs are not known here: use --older-than")
    lake = Lake(config.lake, create=False)
    names = {*lake.runs(), *(path.name for path in folders_in(lake.root / "previews"))}
    return tuple(sorted(names | {booked(name) for name in names}))


def _days(seconds: float) -> str:
    return f"{max(0.0, seconds) / 86_400:.0f}"
