"""The page: facts, sections and examples put into `templates/report.html.j2`, every text escaped."""

import tempfile
from pathlib import Path
from typing import Final

from markupsafe import Markup

from gog.pipelines.lake.lake import STATES_SHOWN, Lake, LakeError, Manifest, write_atomic
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.show.report.examples import Example, examples
from gog.pipelines.show.report.head import facts
from gog.pipelines.show.report.section import Section
from gog.pipelines.show.report.sections import sections
from gog.pipelines.show.report.training import training
from gog.pipelines.show.settings import made_by, settings_of
from gog.pipelines.show.trajectory import rect
from gog.pipelines.show.web.curves import CURVES, read_curves
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
            found = read_curves(folder / CURVES)
            parts = [*([training(found)] if found else []), *sections(connection)]
            text = page(manifest, lake.state(manifest), facts(connection), parts, drawn)
    write_atomic(out, text.encode("utf-8", "replace"))
    return out


def page(manifest: Manifest, state: str, figures: dict[str, str], parts: list[Section], drawn: list[Example]) -> str:
    """The whole page as HTML."""
    environment = templates(autoescape=True)
    environment.filters |= {"cell": _cell, "line": one_line, "rect": rect}
    return environment.get_template("report.html.j2").render(
        run=manifest.run,
        state=state,
        shown=STATES_SHOWN.get(state, state),
        detail=one_line(manifest.detail, 300),
        versions=sorted(manifest.versions.items()),
        figures=figures,
        made_by=made_by(manifest.config),
        settings=settings_of(manifest.config),
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
