"""The sections about calls: what searches brought, how long services took, what they cost."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np

from gog.pipelines.show.report.plots import BAD, GOOD, NONE, QUIET, SERIES, UNSURE, legend, stacked
from gog.pipelines.show.report.section import MOST, TABLE_ROWS, Section, drawn, nothing, table_lines
from gog.pipelines.views.database import rows_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS: Final = 60
"""Points on an axis of time."""


def searches(connection: duckdb.DuckDBPyConnection) -> Section:
    """What searches brought."""
    rows = rows_of(connection.execute("FROM searches ORDER BY calls DESC, provider, tool"))
    columns = ("provider", "tool", "calls", "useful", "ambiguous", "off_target", "empty", "failed")
    lead = "What the next turn made of the searches of trajectories, and those that found nothing or failed."
    section = Section("searches", "Search by provider", lead, "", columns, table_lines(rows, columns))
    if not rows:
        return nothing(section, "No search was answered.")
    shown = rows[:MOST]

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        names = [f"{row['tool']} {_unversioned(row['provider'])}" for row in shown]
        parts: dict[str, list[float]] = {}
        for what in ("useful", "ambiguous", "off_target", "empty", "failed"):
            parts[what.replace("_", " ")] = [100 * row[what] / row["calls"] for row in shown]
        stacked(axes, names, parts, (GOOD, UNSURE, BAD, NONE, QUIET))
        axes.set_xlim(0, 100)
        axes.set_xlabel("% of the calls; blank: nobody judged")
        legend(figure, axes, columns=5)

    return drawn(section, draw, 1.1 + 0.27 * len(shown))


def latency(connection: duckdb.DuckDBPyConnection) -> Section:
    """How long calls took."""
    rows = rows_of(connection.execute("FROM providers ORDER BY calls DESC, provider, kind"))
    columns = ("provider", "kind", "calls", "from_store", "failed", "retries", "median_s", "p95_s")
    lead = "How long calls took that the store did not answer: the median, and a line to what 95% stayed within."
    section = Section("latency", "Latency by provider", lead, "", columns, table_lines(rows, columns))
    shown = [row for row in rows if row["median_s"] is not None][:MOST]
    if not shown:
        return nothing(section, "No call was made: the store answered.")

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        stacked(axes, [f"{row['kind']} {_unversioned(row['provider'])}" for row in shown], {}, ())
        for place, row in enumerate(shown):
            axes.plot([row["median_s"], row["p95_s"]], [place, place], color=SERIES[0], linewidth=2)
        axes.scatter([row["median_s"] for row in shown], range(len(shown)), color=SERIES[0], s=30, zorder=3)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.set_xlabel("seconds")
        axes.grid(axis="x", linewidth=0.6)

    return drawn(section, draw, 0.8 + 0.27 * len(shown))


def _unversioned(provider: str) -> str:
    """The provider without the version of its index, which is long and says little on a plot."""
    return provider.partition("@")[0]


def over_time(connection: duckdb.DuckDBPyConnection) -> Section:
    """Calls and money over the time of the run."""
    lead = "Calls a minute, made and answered by the store, and what they had cost by then."
    section = Section(
        "time", "Rate and spend over time", lead, "", ("minutes", "calls", "from store", "tokens", "cost $")
    )
    ((span, count),) = connection.execute("SELECT max(started) - min(started), count(*) FROM events").fetchall()
    if not count:
        return nothing(section, "No call was made.")
    step = max(1.0, span / STEPS)
    rows = rows_of(
        connection.execute(f"""
        SELECT from_s, sum(calls)::BIGINT AS calls, sum(from_store)::BIGINT AS from_store,
            sum(tokens)::BIGINT AS tokens, sum(cost) AS cost
        FROM rate_over_time({step:.6f}) GROUP BY from_s ORDER BY from_s
        """)
    )
    lines = tuple(
        (round(r["from_s"] / 60, 2), r["calls"], r["from_store"], r["tokens"], r["cost"]) for r in rows[:TABLE_ROWS]
    )
    steps = int(span // step) + 1
    asked, stored, cost, tokens = np.zeros(steps), np.zeros(steps), np.zeros(steps), np.zeros(steps)
    for row in rows:
        place = min(steps - 1, round(row["from_s"] / step))
        asked[place] += row["calls"] - row["from_store"]
        stored[place] += row["from_store"]
        cost[place] += row["cost"]
        tokens[place] += row["tokens"]
    minutes = (np.arange(steps) * step / 60).tolist()

    def draw(figure: "Figure") -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        a_minute = 60 / step
        above.stackplot(
            minutes, asked * a_minute, stored * a_minute, colors=(SERIES[0], NONE), labels=("made", "from the store")
        )
        above.set_title("calls a minute")
        what, title = (cost, "US dollars, in all") if cost.any() else (tokens / 1e6, "million tokens, in all")
        below.plot(minutes, np.cumsum(what), color=SERIES[1], linewidth=1.8)
        below.set_title(title)
        below.set_xlabel("minutes from the first call")
        for axes in (above, below):
            axes.grid(axis="y", linewidth=0.6)
            axes.set_ylim(bottom=0)
        legend(figure, above)

    return drawn(replace(section, lines=lines), draw, 3.2)


def spend(connection: duckdb.DuckDBPyConnection) -> Section:
    """What each provider cost."""
    rows = rows_of(
        connection.execute(
            "SELECT provider, kind, purpose, calls, from_store, failed, prompt_tokens + completion_tokens AS tokens, "
            "cost FROM spend"
        )
    )
    columns = ("provider", "kind", "purpose", "calls", "from_store", "failed", "tokens", "cost")
    lead = "Calls, tokens and US dollars, by provider and purpose."
    section = Section("spend", "Spend", lead, "", columns, table_lines(rows, columns), wide=True)
    return section if rows else nothing(section, "No call was made.")
