"""The sections of a report: each asks the run, draws a plot, and keeps its numbers as a table beside it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from gog.pipelines.show.report.calls import latency, over_time, searches, spend
from gog.pipelines.show.report.plots import BAD, GOOD, NONE, SERIES, UNSURE, bars, ended, histogram, legend, stacked
from gog.pipelines.show.report.section import MOST, TABLE_ROWS, Section, drawn, nothing, table_lines
from gog.pipelines.views.database import rows_of
from gog.schemas import Behaviour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS: Final = 32
"""Cells of the map of gazes, each way."""


def sections(connection: duckdb.DuckDBPyConnection) -> list[Section]:
    """All sections, in the order of the page."""
    parts = (_funnel, _reasons, _behaviours, _turns, _levels, _gazes, searches, latency, _regions, over_time, spend)
    panel = [_panel(connection)] if connection.execute("SELECT 1 FROM panel LIMIT 1").fetchall() else []
    return [*(section(connection) for section in parts), *panel]


def _funnel(connection: duckdb.DuckDBPyConnection) -> Section:
    rows = rows_of(connection.execute("FROM funnel"))
    columns = ("stage", "unit", "entered", "passed", "rejected")
    lead = "What entered each stage, and what left it with a reason. Entered is passed and rejected, always."
    section = Section(
        "funnel", "Funnel", lead, "", columns, table_lines(rows, columns), empty="Nothing was counted yet."
    )
    if not rows:
        return section

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        names = [f"{row['stage']} ({row['unit']})" for row in rows]
        parts = {"passed": [row["passed"] for row in rows], "rejected": [row["rejected"] for row in rows]}
        stacked(axes, names, parts, (SERIES[0], NONE))
        ends = [f"{row['passed']:,}" + f" of {row['entered']:,}" * (row["rejected"] > 0) for row in rows]
        ended(axes, [row["entered"] for row in rows], ends)
        axes.grid(axis="x", linewidth=0.6)
        legend(figure, axes)

    return drawn(section, draw, 0.9 + 0.26 * len(rows))


def _reasons(connection: duckdb.DuckDBPyConnection) -> Section:
    rows = rows_of(
        connection.execute("SELECT stage, unit, reason, rejects, round(100 * share, 1) AS percent FROM reasons")
    )
    columns = ("stage", "unit", "reason", "rejects", "percent")
    details = [detail for (detail,) in connection.execute("SELECT detail FROM over_quota").fetchall() if detail]
    balance = "".join(f" {detail[0].upper()}{detail[1:]}." for detail in details)
    lead = f"Why rows left. The percentage is of what entered the stage.{balance}"
    section = Section("reasons", "Reasons", lead, "", columns, table_lines(rows, columns), empty="Nothing left.")
    if not rows:
        return section
    most = sorted(rows, key=lambda row: (-row["rejects"], row["reason"]))[:MOST]

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        stacked(axes, [row["reason"] for row in most], {"rejects": [row["rejects"] for row in most]}, (SERIES[1],))
        ended(axes, [row["rejects"] for row in most], [f"{row['rejects']:,}" for row in most])
        axes.grid(axis="x", linewidth=0.6)

    return drawn(section, draw, 0.5 + 0.26 * len(most))


def _panel(connection: duckdb.DuckDBPyConnection) -> Section:
    """Only of a run whose judges are several."""
    rows = rows_of(connection.execute("FROM panel"))
    columns = ("judge", "about", "asked", "yes", "no", "abstained", "outvoted")
    lead = "How each judge of the panel voted; outvoted are replies that most of the others did not share."
    section = Section("panel", "Panel of judges", lead, "", columns, table_lines(rows, columns))

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        names = [f"{row['judge']} ({row['about']})" for row in rows]
        parts = {says: [row[says] for row in rows] for says in ("yes", "no", "abstained")}
        stacked(axes, names, parts, (GOOD, BAD, NONE))
        ended(axes, [row["asked"] for row in rows], [f"{row['outvoted']:,} outvoted" for row in rows])
        axes.grid(axis="x", linewidth=0.6)
        legend(figure, axes)

    return drawn(section, draw, 0.9 + 0.26 * len(rows))


def _behaviours(connection: duckdb.DuckDBPyConnection) -> Section:
    rows = rows_of(
        connection.execute("""
        SELECT coalesce(nullif(category, ''), dataset) AS kind, behaviour, count(*) AS attempts,
            count(*) FILTER (outcome = 'correct') AS correct, count(*) FILTER (kept) AS kept,
            count(*) FILTER (reflective) AS reflective
        FROM overview GROUP BY ALL ORDER BY kind, behaviour
        """)
    )
    columns = ("kind", "behaviour", "attempts", "correct", "kept", "reflective")
    lead = "How attempts searched, by kind of question: all of them, and those that were kept."
    section = Section("behaviours", "Behaviours by kind of question", lead, "", columns, table_lines(rows, columns))
    if not rows:
        return nothing(section, "There is no trajectory yet.")
    totals: dict[str, int] = {}
    for row in rows:
        totals[row["kind"]] = totals.get(row["kind"], 0) + row["attempts"]
    kinds = sorted(totals, key=lambda kind: (-totals[kind], kind))[:MOST]

    def draw(figure: "Figure") -> None:
        both = figure.subplots(1, 2, sharey=True)
        for axes, what in zip(both, ("attempts", "kept"), strict=True):
            whole = [sum(row[what] for row in rows if row["kind"] == kind) for kind in kinds]
            parts = {
                str(behaviour): [
                    100 * sum(r[what] for r in rows if r["kind"] == kind and r["behaviour"] == behaviour) / (all_ or 1)
                    for kind, all_ in zip(kinds, whole, strict=True)
                ]
                for behaviour in Behaviour
            }
            stacked(axes, kinds, parts, SERIES)
            axes.set_title(f"% of {what}")
            axes.set_xlim(0, 100)
        legend(figure, both[0], columns=5)

    return drawn(section, draw, 1.0 + 0.27 * len(kinds))


def _turns(connection: duckdb.DuckDBPyConnection) -> Section:
    rows = rows_of(
        connection.execute("""
        SELECT turns, count(*) AS trajectories, count(*) FILTER (outcome = 'correct') AS correct,
            round(avg(prompt_tokens + completion_tokens))::BIGINT AS mean_tokens,
            round(avg(completion_tokens))::BIGINT AS mean_written
        FROM overview GROUP BY turns ORDER BY turns
        """)
    )
    columns = ("turns", "trajectories", "correct", "mean_tokens", "mean_written")
    lead = "Turns of each trajectory, and the tokens that its model read and wrote."
    section = Section("turns", "Turns and tokens", lead, "", columns, table_lines(rows, columns))
    if not rows:
        return nothing(section, "There is no trajectory yet.")
    tokens = np.asarray(
        [row[0] for row in connection.execute("SELECT prompt_tokens + completion_tokens FROM overview").fetchall()]
    )
    counts, edges = np.histogram(tokens, bins=24)

    def draw(figure: "Figure") -> None:
        left, right = figure.subplots(1, 2)
        numbers = [row["turns"] for row in rows]
        bars(left, numbers, [row["trajectories"] for row in rows], "trajectories by turns", SERIES[0])
        left.set_xticks(numbers[:20])
        histogram(right, edges.tolist(), counts.tolist(), "trajectories by tokens", SERIES[2])
        right.tick_params(axis="x", labelsize=8)
        right.locator_params(axis="x", nbins=4)

    return drawn(section, draw, 2.3)


def _levels(connection: duckdb.DuckDBPyConnection) -> Section:
    rows = rows_of(
        connection.execute("""
        SELECT policy, level, passes, k, any_value(pass_rate) AS pass_rate, any_value(low) AS low,
            any_value(high) AS high, count(*) AS seeds
        FROM complexity GROUP BY policy, level, passes, k ORDER BY policy, pass_rate, k
        """)
    )
    columns = ("policy", "level", "passes", "k", "seeds", "low", "high")
    lead = "Levels against pass rates: a point for each pass rate with its 95% Wilson interval, as large as its seeds."
    section = Section("levels", "Levels and pass rates", lead, "", columns, table_lines(rows, columns))
    if not rows:
        return nothing(section, "No seed has been labelled.")
    most = max(row["seeds"] for row in rows)

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for level, colour in enumerate((GOOD, UNSURE, BAD)):
            those = [row for row in rows if row["level"] == level][:200]
            shift = [level + 0.06 * (n - (len(those) - 1) / 2) for n in range(len(those))]
            for place, row in zip(shift, those, strict=True):
                axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.5, alpha=0.6)
            sizes = [20 + 180 * row["seeds"] / most for row in those]
            axes.scatter([row["pass_rate"] for row in those], shift, s=sizes, color=colour, zorder=3, linewidths=0)
        totals = [sum(row["seeds"] for row in rows if row["level"] == level) for level in range(3)]
        axes.set_yticks(range(3), [f"level {level}: {total:,}" for level, total in enumerate(totals)])
        axes.set_ylim(2.6, -0.6)
        axes.set_xlim(-0.05, 1.05)
        axes.set_xlabel("pass rate")
        axes.grid(axis="x", linewidth=0.6)
        axes.tick_params(axis="y", length=0)

    return drawn(section, draw, 2.4)


def _gazes(connection: duckdb.DuckDBPyConnection) -> Section:
    data = connection.execute("SELECT x1, y1, x2, y2, area FROM tool_calls WHERE area IS NOT NULL").fetchnumpy()
    boxes = np.stack([np.asarray(data[name], dtype=float) for name in ("x1", "y1", "x2", "y2")], axis=1)
    area = np.asarray(data["area"], dtype=float)
    lead = "Where gazes looked on their images, and how much of the image they took."
    section = Section("gazes", "Gazes", lead, "", ("quantile of the area", "share of the image"))
    if not len(boxes):
        return nothing(section, "No gaze was answered.")
    looked = coverage(boxes)
    edges = np.logspace(-4, 0, 25)
    counts, _ = np.histogram(np.clip(area, edges[0], 1.0), bins=edges)
    lines = tuple((f"{q:.0%}", f"{np.quantile(area, q):.2%}") for q in (0.05, 0.25, 0.5, 0.75, 0.95))

    def draw(figure: "Figure") -> None:
        left, right = figure.subplots(1, 2)
        shown = left.imshow(100 * looked / len(boxes), extent=(0, 1, 1, 0), cmap="viridis", interpolation="nearest")
        left.set_title("% of gazes over a place")
        left.set_xticks([])
        left.set_yticks([])
        bar = figure.colorbar(shown, ax=left, shrink=0.8)
        bar.outline.set_visible(False)
        histogram(right, edges.tolist(), counts.tolist(), "gazes by share of image", SERIES[3])
        right.set_xscale("log")
        right.set_xticks([0.0001, 0.001, 0.01, 0.1, 1], ["0.01%", "0.1%", "1%", "10%", "100%"], size=8)
        right.minorticks_off()

    return drawn(replace(section, lines=lines), draw, 2.4)


def coverage(boxes: "np.ndarray[Any, Any]", cells: int = CELLS) -> "np.ndarray[Any, Any]":
    """How many of the boxes (n, 4; fractions) touch each cell of a grid; rows from the top."""
    steps = np.zeros((cells + 1, cells + 1))
    first = np.clip(np.floor(boxes[:, :2] * cells).astype(int), 0, cells - 1)
    last = np.clip(np.ceil(boxes[:, 2:] * cells).astype(int), 1, cells)
    for x, y, sign in ((first, first, 1), (last, last, 1), (last, first, -1), (first, last, -1)):
        np.add.at(steps, (y[:, 1], x[:, 0]), sign)
    return steps.cumsum(axis=0).cumsum(axis=1)[:cells, :cells]


def _regions(connection: duckdb.DuckDBPyConnection) -> Section:
    rows = rows_of(connection.execute("FROM region_sources"))
    columns = ("source", "regions", "seeds", "looked at", "of", "median share of the image")
    lines = tuple(
        (r["source"], r["regions"], r["seeds"], r["looked_at"], r["could_be"], f"{r['median_area']:.2%}")
        for r in rows[:TABLE_ROWS]
    )
    lead = (
        "Regions that detector and teacher proposed, and how many of them a gaze took up (intersection over union of "
        "at least one half), of those on images at which somebody gazed."
    )
    section = Section("regions", "Regions of detector and teacher", lead, "", columns, lines)
    if not rows:
        return nothing(section, "No region was proposed.")
    shown = rows[:MOST]

    def draw(figure: "Figure") -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        names = [row["source"] for row in shown]
        stacked(left, names, {"": [row["regions"] / max(1, row["seeds"]) for row in shown]}, (SERIES[0],))
        left.set_title("regions an image")
        stacked(right, names, {"": [100 * row["looked_at"] / max(1, row["could_be"]) for row in shown]}, (SERIES[2],))
        right.set_title("% that a gaze took up")
        right.set_xlim(0, 100)

    return drawn(section, draw, 0.7 + 0.32 * len(shown))
