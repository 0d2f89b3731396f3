"""Local search indexes."""

import re
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gog.pipelines.cli.errors import FellShortError, UseError
from gog.pipelines.cli.options import ConfigOption, JsonOption, LakeOption, command_app, example, option, print_json
from gog.pipelines.cli.targets import config_of
from gog.pipelines.lake.one_line import one_line

if TYPE_CHECKING:
    from gog.pipelines.tools.build_index import IndexReport
    from gog.pipelines.tools.index_sources import IndexSources
    from gog.transforms.services.search.encoders_of import NamedEncoder
    from gog.transforms.services.search.vector_cells import Cells

SHOWN: Final = 10
MORE: Final = (
    "Texts are files, or folders with them: .md, .txt and .html, each a page under its path; JSONL (packed or not), "
    "Parquet, Wikipedia's dumps of CirrusSearch and Kiwix's of ZIM, and WebDataset tars, with the pictures in them. A "
    "row has image (a file below the pictures' folder), title, text and url; all are optional, but one of the first "
    "three is there. A text with an image can be found by its picture and by its words. Pictures without a text go in "
    "under their file names."
)
ADDED: Final = (
    "A page takes the place of what was there under its address; a picture that is there, by address and file, gets "
    "the title and text that are given now; and a file without an address of its own takes the place of an earlier one "
    "of its name. What is there already as it is changes nothing."
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
    from gog.pipelines.tools.build_index import build_index
    from gog.transforms import cores
    from gog.transforms.place import place
    from gog.transforms.services.search.grid_table import GRID_SAYS

    sources = _sources(images, texts)
    encoders = {"images": _encoder(image_encoder, "sees"), "texts": _encoder(text_encoder, "reads")}
    cores.use_all_cores()
    try:
        report = build_index(sources, place(out), image_encoder=encoders["images"], text_encoder=encoders["texts"])
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
            _tell_cells(f"{out}/{kind}", one)
        _tell_skipped(report.skipped)
        if report.pictures and not image_encoder:
            print(f"{GRID_SAYS}: name an encoder with --image-encoder")
        if report.pictures or report.pages:
            print(f'In a config:  text_search: "corpus:{out}"  image_search: "gallery:{out}"')
    if short := _short(report, images, texts or []):
        raise FellShortError(short)


@app.command(
    epilog=example(
        "gog index add --texts new-pages --out index",
        "gog index add --images photos --out s3://BUCKET/index",
        more=ADDED,
    )
)
def add(
    images: Annotated[Path | None, option("--images", "FOLDER", "Pictures, in this folder and below it.")] = None,
    texts: Annotated[list[Path] | None, option("--texts", "PATH", "Pages and captions, as for a build.")] = None,
    out: Annotated[str, option("--out", "PLACE", "The index, in a folder or on an object store.")] = "index",
    as_json: JsonOption = False,
) -> None:
    """Add pictures and pages to an index; what is in it is not read again.

    The encoders that it was built with are asked for what is new. What searches there meanwhile keeps what it has open.
    """
    from gog.pipelines.tools.change_index import add_to_index
    from gog.transforms import cores
    from gog.transforms.place import place

    sources = _sources(images, texts)
    cores.use_all_cores()
    try:
        report = add_to_index(sources, place(out))
    finally:
        cores.close()
    kinds = {"gallery": (report.gallery, "pictures"), "corpus": (report.corpus, "pages")}
    if as_json:
        told = {
            kind: {"new": one.new, "changed": one.changed, "same": one.same, "total": one.total}
            | {"cells": one.cells and one.cells._asdict()}
            for kind, (one, _) in kinds.items()
        }
        skipped = [{"where": where, "why": why} for where, why in report.skipped]
        print_json({"out": out} | told | {"skipped": skipped})
        return
    for kind, (one, what) in kinds.items():
        counts = f"{one.new:,} new, {one.changed:,} in the place of earlier ones, {one.same:,} were there"
        print(f"{out}/{kind}  {counts}: {one.total:,} {what} by now")
        if one.cells:
            _tell_cells(f"{out}/{kind}", one.cells)
    _tell_skipped(report.skipped)


@app.command(
    epilog=example("gog index remove https://example.org/bryggen --out index", "gog index remove --list gone.txt")
)
def remove(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="An address, as hits show it, or the sha256 of a picture's file."),
    ] = None,
    listed: Annotated[Path | None, option("--list", "FILE", "More of them, one a line.")] = None,
    out: Annotated[str, option("--out", "PLACE", "The index, in a folder or on an object store.")] = "index",
    as_json: JsonOption = False,
) -> None:
    """Take pictures and pages out of an index, by their addresses.

    Answers of searches that a store has kept stay: `gog forget` takes them out of a lake, too.
    """
    from gog.pipelines.tools.change_index import remove_from_index
    from gog.transforms.place import place

    named = {*(names or []), *(_listed(listed) if listed else [])}
    if not named:
        raise UseError("say what: addresses, hashes of pictures, or a file that lists them with --list")
    hashes = {name for name in named if re.fullmatch(r"[0-9a-f]{64}", name)}
    report = remove_from_index(named - hashes, hashes, place(out))
    if as_json:
        print_json({"out": out} | asdict(report))
        return
    print(f"{out}/gallery  gone: {report.pictures:,} of the pictures")
    print(f"{out}/corpus   gone: {report.pages:,} of the pages")
    for name in report.missing[:SHOWN]:
        print(f"not there: {one_line(name, 200)}")
    if len(report.missing) > SHOWN:
        print(f"not there: {len(report.missing) - SHOWN:,} more (--json lists them all)")


def _listed(path: Path) -> list[str]:
    try:
        return [line for line in map(str.strip, path.read_text("utf-8").splitlines()) if line]
    except (OSError, UnicodeDecodeError) as error:
        raise UseError(f"--list: {path} cannot be read: {error}") from None


def _sources(images: Path | None, texts: list[Path] | None) -> "IndexSources":
    """What is named, read with a line every while."""
    from gog.pipelines.cli.progress import PLAIN_EVERY
    from gog.pipelines.tools.index_sources import IndexSources

    if images is None and not texts:
        raise UseError("nothing to index: name a folder with --images, texts with --texts, or both")
    if images is not None and not images.is_dir():
        raise UseError(f"{images} is no folder: --images takes a folder of pictures")
    shown = time.monotonic()

    def on(number: int, what: str) -> None:
        nonlocal shown
        if time.monotonic() - shown > PLAIN_EVERY:
            shown = time.monotonic()
            print(f"{number:,} {what}", file=sys.stderr, flush=True)

    return IndexSources(images, texts or [], partial(on, what="pictures"), partial(on, what="pages"))


def _tell_cells(index: str, cells: "Cells") -> None:
    found = f"{cells.recall_at_10:.1%} of what an exact search has in its first ten"
    enough = "" if cells.holds else ", which is less than it should be"
    print(f"{index} is searched in {cells.probes:,} of {cells.cells:,} cells, which finds {found}{enough}")


def _tell_skipped(skipped: tuple[tuple[str, str], ...]) -> None:
    for where, why in skipped[:SHOWN]:
        print(f"left out: {one_line(where, 100)}: {one_line(why, 200)}")
    if len(skipped) > SHOWN:
        print(f"left out: {len(skipped) - SHOWN:,} more (--json lists them all)")


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
