"""Write what came of a run as one page.

Funnel and reasons, behaviours, turns and tokens, levels, gazes, searches, regions, rate and spend, and ten
trajectories with their images.
"""

from pathlib import Path
from typing import Annotated

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.options import LakeOption, OfConfig, OfRun, example, option
from gog.pipelines.cli.targets import one_run

MORE = (
    "`gog run` writes the same page at its end. It holds its plots and pictures in itself, and opens without a "
    "network. `lake.duckdb` beside it is made anew as well."
)
EXAMPLES = example("gog report", "gog report --run fvqa --out fvqa.html", more=MORE)


def report(
    config: OfConfig = None,
    lake: LakeOption = None,
    name: OfRun = None,
    out: Annotated[Path | None, option("--out", "FILE", "Where to; the run's folder unless given.")] = None,
) -> None:
    from gog.pipelines.show.report.page import write_report
    from gog.pipelines.views.database import build_views

    run = one_run(config, lake, name)
    if out is not None and not out.resolve().parent.is_dir():
        raise UseError(f"there is no folder {out.resolve().parent}")
    if out is None:
        build_views(run.folder)
    print(write_report(run.lake, run.name, out))
