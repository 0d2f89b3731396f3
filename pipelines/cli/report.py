"""`gog report`: what came of a run, on one page."""

from pathlib import Path
from typing import Annotated

import typer

from gog.pipelines.cli.common import LakeOption, OfConfig, OfRun, UseError, example, one_run

MORE = (
    "`gog run` writes the same page at its end. It holds its plots and pictures in itself, and opens without a "
    "network. `lake.duckdb` beside it is made anew as well."
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=example("gog report", "gog report --run fvqa --out fvqa.html", more=MORE))(report)


def report(
    config: OfConfig = None,
    lake: LakeOption = None,
    name: OfRun = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to; the run's folder unless given.")
    ] = None,
) -> None:
    """Write what came of a run as one page.

    Funnel and reasons, behaviours, turns and tokens, levels, gazes, searches, regions, rate and spend, and ten
    trajectories with their images.
    """
    from gog.pipelines.lake.lake import Lake
    from gog.pipelines.show.report.page import write_report
    from gog.pipelines.views.database import build_views

    place = one_run(config, lake, name)
    if out is not None and not out.resolve().parent.is_dir():
        raise UseError(f"there is no folder {out.resolve().parent}")
    if out is None:
        build_views(place.folder)
    print(write_report(Lake(Path(place.lake), create=False), place.run, out))
