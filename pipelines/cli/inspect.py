"""Ask a run in SQL (DuckDB), or draw a trajectory.

Without --sql a shell. Queries read the run's own files and write none.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.options import JsonOption, LakeOption, OfConfig, OfRun, example, option, print_json
from gog.pipelines.cli.targets import one_run

if TYPE_CHECKING:
    from gog.pipelines.api import Run

MORE = (
    "Answers: funnel, reasons, spend, providers, overview, turns, tool_calls, searches, behaviours, categories, "
    "levels, region_sources, pairs; a view for each table; macros such as trajectory(id) and why(code). With "
    "--unsafe a query may do what you may: read and write any file, load extensions; and the shell is DuckDB's own, "
    "over lake.duckdb, where that is installed. For notebooks there is LAKE/runs/RUN/lake.duckdb."
)
EXAMPLES = example(
    "gog inspect                                        a shell",
    'gog inspect --sql "select * from funnel"',
    'gog inspect --json --sql "from overview limit 5"',
    "gog inspect --sql \"from trajectory('trajectory-0a')\"",
    'gog inspect --lake s3://bucket/lake --run fvqa --sql "from funnel"',
    "gog inspect --trajectory best --out best.png",
    more=MORE,
)


def inspect(
    sql: Annotated[str | None, option("--sql", "QUERY", "One query; without it, a shell.")] = None,
    trajectory: Annotated[
        str | None, option("--trajectory", "ID", "Draw it: its id, or the start of it, or best.")
    ] = None,
    out: Annotated[Path, option("--out", "FILE", "Where to draw it.")] = Path("trajectory.png"),
    config: OfConfig = None,
    lake: LakeOption = None,
    name: OfRun = None,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Let queries read and write any file.")] = False,
    as_json: JsonOption = False,
) -> None:
    from gog.pipelines.views.database import confine, open_lake
    from gog.pipelines.views.sql import SHOWN_ROWS, QueryError, ask, shell, show
    from gog.pipelines.views.summary import console_for
    from gog.transforms.place import is_remote

    run = one_run(config, lake, name)
    folder = run.folder
    if trajectory is not None:
        print(_draw(run, trajectory, out))
        return
    with open_lake(folder) as views:
        if not unsafe:
            confine(views, folder)
        if sql is None and not as_json:
            if is_remote(str(folder)) or not (unsafe and _duckdb_shell(folder)):
                shell(views, sys.stdin, console_for(sys.stdout), unsafe=unsafe)
            return
        query = sql if sql is not None else sys.stdin.read()
        try:
            answer = ask(views, query, None if as_json else SHOWN_ROWS, unsafe=unsafe)
        except QueryError as error:
            raise UseError(f"{error} (`gog inspect` and .tables show what there is)") from error
    if as_json:
        print_json(answer.plain())
    else:
        show(answer, console_for(sys.stdout))


def _duckdb_shell(folder: Path) -> bool:
    """Whether somebody at a terminal was given DuckDB's own shell over `lake.duckdb`, where it is installed."""
    program = shutil.which("duckdb")
    if program is None or not sys.stdin.isatty() or not (folder / "lake.duckdb").exists():
        return False
    # In the run's folder, where relative paths lead to the Parquet files. A shell older than the file refuses it.
    command = [program, "-readonly", "lake.duckdb"]
    return subprocess.run(command, cwd=folder, check=False).returncode == 0  # noqa: S603 - no text from outside


def _draw(run: "Run", wanted: str, out: Path) -> Path:
    from gog.pipelines.show.demo import draw_example

    if out.suffix.lower() not in {".png", ".jpg", ".jpeg", ".webp"}:
        raise UseError(f"{out}: name a picture, for example trajectory.png")
    if not out.resolve().parent.is_dir():
        raise UseError(f"there is no folder {out.resolve().parent}")
    try:
        return draw_example(run.lake, run.name, out, "" if wanted == "best" else wanted)
    except LookupError as error:
        raise UseError(str(error.args[0])) from error
