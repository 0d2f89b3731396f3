"""Write a commented config for your data."""

from pathlib import Path
from typing import Annotated

import typer

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.options import OWN_CONFIG, example

EXAMPLES = example("gog init", "gog init fvqa.yaml", "gog init --atlas atlas.yaml")


def init(
    file: Annotated[Path, typer.Argument(help="Where to write it.", metavar="FILE", show_default=True)] = Path(
        OWN_CONFIG
    ),
    atlas: Annotated[bool, typer.Option("--atlas", help="The config of the bundled world.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    from gog.pipelines.config.config import bundled_text
    from gog.pipelines.lake.lake import write_atomic

    if file.exists() and not force:
        raise UseError(f"{file} is there already: give another name, or --force to replace it")
    if not file.resolve().parent.is_dir():
        raise UseError(f"there is no folder {file.resolve().parent}")
    write_atomic(file, bundled_text("atlas" if atlas else "template").encode())
    named = "" if file == Path(OWN_CONFIG) else f" -c {file}"
    print(f"{file}: edit it, then `gog doctor{named}` and `gog plan{named}`")
