"""Local search indexes."""

import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from gog.pipelines.cli.errors import FellShortError, UseError
from gog.pipelines.cli.options import ConfigOption, JsonOption, LakeOption, command_app, example, option, print_json
from gog.pipelines.cli.targets import config_of
from gog.pipelines.lake.one_line import one_line

if TYPE_CHECKING:
    from gog.pipelines.tools.build_index import IndexReport
    from gog.transforms.services.search.encoders_of import NamedEncoder

SHOWN: Final = 10
MORE: Final = (
    "Texts are files, or folders with them: .md, .txt and .html, each a page under its path; JSONL (packed or not), "
    "Parquet, Wikipedia's dumps of CirrusSearch and Kiwix's of ZIM, and WebDataset tars, with the pictures in them. A "
    "row has image (a file below the pictures' folder), title, text and url; all are optional, but one of the first "
    "three is there. A text with an image can be found by its picture and by its words. Pictures without a text go in "
    "under their file names."
)
APART: Final = (
    "`gog run` does this by itself; here it can be seen before. A row that can be found by neither has no picture at "
    "hand, and asks what any picture could be asked."
)

app = command_app(
    help=__doc__,
    no_args_is_help=True,
    epilog=example("gog index build --images photos --texts captions.jsonl --out index"),
)


@app.command(epilog=example("gog index build --images photos --texts captions.jsonl --out index", more=MORE))
def build(
    images: Annotated[Path | None, option("--images", "FOLDER", "Pictures, in this folder and below it.")] = None,
    texts: Annotated[
        list[Path] | None,
        option(
            "--texts",
            "PATH",
            "Pages and captions: a folder, or a file of .md, .txt, .html, JSONL, Parquet, .tar or .zim. Repeatable.",
        ),
    ] = None,
    image_encoder: Annotated[
        str, option("--image-encoder", "ADDRESS", "Model that pictures are compared by, such as onnx:FILE.")
    ] = "",
    text_encoder: Annotated[
        str, option("--text-encoder", "ADDRESS", "Model that finds pages by what they mean, beside their words.")
    ] = "",
    out: Annotated[
        str,
        option("--out", "PLACE", "The index: a folder, or s3://, gs:// or az://BUCKET/NAME; one there is replaced."),
    ] = "index",
    as_json: JsonOption = False,
) -> None:
    """Index your own pictures and pages for search.

    The addresses `gallery:OUT` and `corpus:OUT` in a config then search in them.
    """
    from gog.pipelines.cli.progress import PLAIN_EVERY
    from gog.pipelines.tools.build_index import build_index
    from gog.transforms import cores
    from gog.transforms.place import place
    from gog.transforms.services.search.grid_table import GRID_SAYS

    if images is None and not texts:
        raise UseError("nothing to index: name a folder with --images, texts with --texts, or both")
    if images is not None and not images.is_dir():
        raise UseError(f"{images} is no folder: --images takes a folder of pictures")
    encoders = {"images": _encoder(image_encoder, "sees"), "texts": _encoder(text_encoder, "reads")}
    shown = time.monotonic()

    def on(number: int, what: str) -> None:
        nonlocal shown
        if time.monotonic() - shown > PLAIN_EVERY:
            shown = time.monotonic()
            print(f"{number:,} {what}", file=sys.stderr, flush=True)

    cores.use_all_cores()
    try:
        report = build_index(
            images,
            texts or [],
            place(out),
            image_encoder=encoders["images"],
            text_encoder=encoders["texts"],
            on_picture=partial(on, what="pictures"),
            on_page=partial(on, what="pages"),
        )
    finally:
        cores.close()
    if as_json:
        skipped = [{"where": where, "why": why} for where, why in report.skipped]
        cells = {kind: found._asdict() for kind, found in report.cells.items()}
        names = {f"encoder_of_{kind}": named.encoder.id if named else None for kind, named in encoders.items()}
        print_json({"out": out} | names | asdict(report) | {"skipped": skipped, "cells": cells})
    else:
        untitled = f", {report.untitled:,} of them by file name alone" if report.untitled else ""
        print(f"{out}/gallery  {report.pictures:,} pictures{untitled}")
        print(f"{out}/corpus   {report.pages:,} pages in {report.passages:,} passages")
        for kind, one in report.cells.items():
            found = f"{one.recall_at_10:.1%} of what an exact search has in its first ten"
            enough = "" if one.holds else ", which is less than it should be"
            print(f"{out}/{kind} is searched in {one.probes:,} of {one.cells:,} cells, which finds {found}{enough}")
        for where, why in report.skipped[:SHOWN]:
            print(f"left out: {one_line(where, 100)}: {one_line(why, 200)}")
        if len(report.skipped) > SHOWN:
            print(f"left out: {len(report.skipped) - SHOWN:,} more (--json lists them all)")
        if report.pictures and not image_encoder:
            print(f"{GRID_SAYS}: name an encoder with --image-encoder")
        if report.pictures or report.pages:
            print(f'In a config:  text_search: "corpus:{out}"  image_search: "gallery:{out}"')
    if short := _short(report, images, texts or []):
        raise FellShortError(short)


def _encoder(address: str, ability: str) -> "NamedEncoder | None":
    """The encoder at an address, which can do what it is for; None where none is named."""
    from gog.transforms.services.provider import ProviderError
    from gog.transforms.services.search.encoders_of import open_encoder

    if not address:
        return None
    try:
        named = open_encoder(address)
    except ProviderError as error:
        raise UseError(str(error)) from None
    if not getattr(named.encoder, ability):
        takes, not_taken = ("texts", "pictures") if ability == "sees" else ("pictures", "texts")
        raise UseError(f"{address} takes {takes}, not {not_taken}")
    return named


def _short(report: "IndexReport", images: Path | None, texts: list[Path]) -> str:
    """What was asked for and did not come."""
    if not report.pictures and not report.pages:
        return "nothing could be indexed: every picture and text was left out"
    if images is not None and not report.pictures:
        return f"no picture could be indexed: {images} has none that can be read"
    if images is not None and report.captions and not report.matched:
        return f"none of {report.captions:,} pictures that the texts name is in {images}: write paths below it"
    if texts and not report.pages and (images is not None or not report.pictures):
        return f"no page could be indexed: nothing in {', '.join(map(str, texts))} has a text"
    return ""


@app.command(epilog=example("gog index benchmarks -c fvqa.yaml", more=APART))
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
