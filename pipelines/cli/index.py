"""`gog index`: a local search world out of one's own pictures and pages, and what a run is kept apart from."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from gog.pipelines.cli.common import (
    FELL_SHORT,
    ConfigOption,
    JsonOption,
    LakeOption,
    UseError,
    config_of,
    example,
    print_json,
)
from gog.pipelines.cli.progress import PLAIN_EVERY
from gog.pipelines.lake.one_line import one_line

SHOWN: Final = 10
MORE: Final = (
    "Each line of the texts is a JSON object with image (a file below the pictures' folder), title, text and url; "
    "all are optional, but one of the first three is there. A text with an image can be found by its picture and by "
    "its words. Pictures without a text go in under their file names."
)
APART: Final = (
    "`gog run` does this by itself; here it can be seen before. A row that can be found by neither has no picture at "
    "hand, and asks what any picture could be asked."
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    index = typer.Typer(
        name="index", help="Local search indexes.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
    )
    index.callback()(_index)
    index.command(epilog=example("gog index build --images photos --texts captions.jsonl --out index", more=MORE))(
        build
    )
    index.command(epilog=example("gog index benchmarks -c fvqa.yaml", more=APART))(benchmarks)
    app.add_typer(index, epilog=example("gog index build --images photos --texts captions.jsonl --out index"))


def _index() -> None:
    """Local search indexes."""


def benchmarks(config: ConfigOption = None, lake: LakeOption = None, as_json: JsonOption = False) -> None:
    """Index the benchmarks that a run is kept apart from.

    They are those of the config's `decontaminate` section. The index lies in the lake; it is made anew when their
    files change.
    """
    from gog.pipelines.sources.benchmarks import benchmarks_of
    from gog.pipelines.views.summary import console_for, plain_table

    opened = benchmarks_of(config_of(config, lake))
    if opened is None:
        raise UseError("the config names no benchmarks: add `decontaminate: {against: [{benchmark: ..., path: ...}]}`")
    lines = opened().coverage()
    if as_json:
        print_json([line._asdict() for line in lines])
        return
    columns = ("benchmark", ">rows", ">found by image", ">found by question", ">by neither")
    cells = [(name, *(f"{count:,}" for count in counts)) for name, *counts in lines]
    console_for(sys.stdout).print(plain_table("Kept apart from", columns, cells))


def build(
    images: Annotated[
        Path | None, typer.Option("--images", metavar="FOLDER", help="Pictures, in this folder and below it.")
    ] = None,
    texts: Annotated[
        Path | None, typer.Option("--texts", metavar="FILE", help="JSONL: a caption or a page a line.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The index; an earlier one is replaced.")] = Path(
        "index"
    ),
    as_json: JsonOption = False,
) -> None:
    """Index your own pictures and pages for search.

    The addresses `gallery:OUT` and `corpus:OUT` in a config then search in them.
    """
    from gog.pipelines.tools.build_index import build_index

    if images is None and texts is None:
        raise UseError("nothing to index: name a folder with --images, a file with --texts, or both")
    if images is not None and not images.is_dir():
        raise UseError(f"{images} is no folder: --images takes a folder of pictures")
    shown = time.monotonic()

    def on_picture(number: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > PLAIN_EVERY:
            shown = time.monotonic()
            print(f"{number:,} pictures", file=sys.stderr, flush=True)

    report = build_index(images, texts, out, on_picture=on_picture)
    if as_json:
        skipped = [{"where": where, "why": why} for where, why in report.skipped]
        print_json({"out": str(out)} | asdict(report) | {"skipped": skipped})
    else:
        untitled = f", {report.untitled:,} of them by file name alone" if report.untitled else ""
        print(f"{out}/gallery  {report.pictures:,} pictures{untitled}")
        print(f"{out}/corpus   {report.pages:,} pages in {report.passages:,} passages")
        for where, why in report.skipped[:SHOWN]:
            print(f"left out: {one_line(where, 100)}: {one_line(why, 200)}")
        if len(report.skipped) > SHOWN:
            print(f"left out: {len(report.skipped) - SHOWN:,} more (--json lists them all)")
        print(f'In a config:  text_search: "corpus:{out}"  image_search: "gallery:{out}"')
    if not report.pictures and not report.pages:
        print("gog: nothing could be indexed: every picture and line was left out", file=sys.stderr)
        raise typer.Exit(FELL_SHORT)
