"""The page: facts, sections and examples put into `templates/report.html.j2`, every text escaped."""

import tempfile
from pathlib import Path
from typing import Final

import duckdb
from markupsafe import Markup

from gog.pipelines.lake.lake import STATES_SHOWN, Lake, LakeError, Manifest, write_atomic
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.show.report.examples import Example, examples
from gog.pipelines.show.report.section import Section
from gog.pipelines.show.report.sections import sections
from gog.pipelines.show.trajectory import rect
from gog.pipelines.templates import templates
from gog.pipelines.views.database import DATABASE, build_views, open_file
from gog.transforms.place import is_remote

REPORT: Final = "report.html"


def write_report(lake: Lake, run: str, path: Path | None = None) -> Path:
    """Write the report of a run into its folder, or to `path`; returns where. Raises `LakeError`.

    It reads `lake.duckdb`, which is made where the lake has none, elsewhere if the lake is read-only.
    """
    manifest = lake.read_manifest(run)
    if manifest is None:
        raise LakeError(f"there is no run {run!r} in {lake.root}; `gog status` lists them")
    folder = lake.run_folder(run)
    out = path or folder / REPORT
    with tempfile.TemporaryDirectory() as elsewhere:
        database = folder / DATABASE
        if path is not None or is_remote(str(database)) or not database.exists():
            database = build_views(folder, Path(elsewhere) / DATABASE)
        with open_file(database, folder) as connection:
            drawn = examples(connection, lake.images)
            text = page(manifest, lake.state(manifest), _facts(connection), sections(connection), drawn)
    write_atomic(out, text.encode("utf-8", "replace"))
    return out


def page(manifest: Manifest, state: str, facts: dict[str, str], parts: list[Section], drawn: list[Example]) -> str:
    """The whole page as HTML."""
    environment = templates(autoescape=True)
    environment.filters |= {"cell": _cell, "line": one_line, "rect": rect}
    return environment.get_template("report.html.j2").render(
        run=manifest.run,
        state=state,
        shown=STATES_SHOWN.get(state, state),
        detail=one_line(manifest.detail, 300),
        versions=sorted(manifest.versions.items()),
        facts=facts,
        parts=[(part, Markup(part.svg)) for part in parts],  # noqa: S704 - matplotlib escaped what is in it
        drawn=drawn,
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else one_line(value, 120)


def _facts(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Numbers at the head of the page, by name."""

    def one(sql: str) -> float:
        ((value,),) = connection.execute(sql).fetchall()
        return float(value or 0)

    calls, cost = one("SELECT sum(calls) FROM spend"), one("SELECT sum(cost) FROM spend")
    right = one("SELECT count(*) FROM overview WHERE outcome = 'correct'")
    attempts = one("SELECT count(*) FROM overview")
    return {
        "seeds": f"{one('SELECT count(*) FROM seeds'):,.0f}",
        "trajectories": f"{attempts:,.0f}",
        "right": f"{right / attempts:.1%}" if attempts else "-",
        "kept": f"{one('SELECT count(*) FROM curated'):,.0f}",
        "labelled": f"{one('SELECT count(*) FROM complexity'):,.0f}",
        "calls": f"{calls:,.0f}",
        "cost": f"${cost:,.2f}",
    }
