"""What came of a run, in tables: the funnel, the spend, the mix of behaviours, the levels."""

import os
from collections.abc import Sequence
from typing import Any, Final, TextIO

import duckdb
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gog.pipelines.lake.one_line import one_line
from gog.pipelines.views.database import rows_of

PLAIN_WIDTH: Final = 120
"""Columns of a line where there is no terminal to ask."""

Row = dict[str, Any]
Summary = dict[str, list[Row]]

_PARTS: Final = (
    "funnel",
    "reasons",
    "over_quota",
    "spend",
    "providers",
    "behaviours",
    "categories",
    "levels",
    "benchmark_warnings",
)


def summarise(connection: duckdb.DuckDBPyConnection) -> Summary:
    """The views of a run (`gog.pipelines.views.database.open_lake`) as plain lists, for `--json`."""
    return {name: rows_of(connection.execute(f"SELECT * FROM {name}")) for name in _PARTS}


def console_for(stream: TextIO) -> Console:
    """A console: as the terminal is, or without colours and of a fixed width where there is none."""
    if stream.isatty():
        return Console(file=stream, highlight=False)
    width = int(os.environ["COLUMNS"]) if os.environ.get("COLUMNS", "").isdecimal() else PLAIN_WIDTH
    return Console(file=stream, highlight=False, width=max(80, width), color_system=None, force_terminal=False)


def print_summary(summary: Summary, console: Console) -> None:
    """Print the tables; those without rows are left out."""
    for table in (_funnel(summary), _warnings(summary), _spend(summary), _behaviours(summary), _levels(summary)):
        if table is not None:
            console.print(table)
        if table is not None and table.title == "Funnel":
            _print_over_quota(summary, console)


def _print_over_quota(summary: Summary, console: Console) -> None:
    for line in summary.get("over_quota", []):
        console.print(Text(one_line(line["detail"], 1000)), end="\n\n")


def print_funnel(summary: Summary, console: Console, stages: Sequence[str]) -> None:
    """Print the lines of the funnel that these stages have."""
    lines = {name: [line for line in summary[name] if line["stage"] in stages] for name in ("funnel", "reasons")}
    if (table := _funnel(lines)) is not None:
        console.print(table)
    if "curate" in stages:
        _print_over_quota(summary, console)


def _table(title: str, columns: Sequence[str]) -> Table:
    """A table; a column whose name begins with `>` is of numbers, one with `=` of short words that are not broken."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    for name in columns:
        if name.startswith(">"):
            table.add_column(name[1:], justify="right", no_wrap=True)
        elif name.startswith("="):
            table.add_column(name[1:], no_wrap=True)
        else:
            table.add_column(name, overflow="fold")
    return table


def plain_table(
    title: str, columns: Sequence[str], lines: Sequence[Sequence[object]], total: Sequence[object] = ()
) -> Table:
    """A table of lines, with a total under a rule where there is one."""
    table = _table(title, columns)
    for line in lines:
        _add(table, line)
    if total:
        table.add_section()
        _add(table, total)
    return table


def _add(table: Table, cells: Sequence[object], style: str | None = None) -> None:
    """A line; names come from outside and are shown as they are, never as markup."""
    table.add_row(*(Text(one_line(cell, 1000)) for cell in cells), style=style)


def _funnel(summary: Summary) -> Table | None:
    """Each stage, and under it why things left."""
    table = _table("Funnel", ("=stage", "=counts", ">entered", ">passed", ">rejected", "why"))
    for line in summary["funnel"]:
        here = line["stage"], line["unit"]
        why = [
            f"{reason['reason']} {reason['rejects']:,}"
            for reason in summary["reasons"]
            if (reason["stage"], reason["unit"]) == here
        ]
        if not line["balanced"]:
            why.insert(0, "DOES NOT ADD UP")
        cells = (*here, f"{line['entered']:,}", f"{line['passed']:,}", f"{line['rejected']:,}", ", ".join(why))
        _add(table, cells, None if line["balanced"] else "red")
    return table if table.row_count else None


def _spend(summary: Summary) -> Table | None:
    lines = summary["spend"]
    # The version of an index says little here and is long. The busiest first, each named once.
    groups: dict[str, list[Row]] = {}
    for line in lines:
        groups.setdefault(line["provider"].partition("@")[0], []).append(line)
    cells = [
        (name if place == 0 else "", line["kind"], line["purpose"], *_spent([line]))
        for name, theirs in groups.items()
        for place, line in enumerate(theirs)
    ]
    columns = ("provider", "=kind", "=purpose", ">calls", ">from\nstore", ">failed", ">tokens", ">cost $")
    total = ("all", "", "", *_spent(lines)) if len(lines) > 1 else ()
    return plain_table("Calls", columns, cells, total) if lines else None


def _spent(lines: Sequence[Row]) -> tuple[str, ...]:
    total = {
        name: sum(line[name] for line in lines)
        for name in ("calls", "from_store", "failed", "prompt_tokens", "completion_tokens", "cost")
    }
    tokens = total["prompt_tokens"] + total["completion_tokens"]
    counts = (total["calls"] - total["from_store"], total["from_store"], total["failed"], tokens)
    return (*(f"{count:,}" for count in counts), f"{total['cost']:.2f}")


def _behaviours(summary: Summary) -> Table | None:
    """By origin and behaviour, then of all origins; the share is of what was kept of the origin."""
    table = _table(
        "Behaviours", ("made by", "behaviour", ">attempts", ">right", ">kept", ">share", ">reflective, of kept")
    )
    lines = summary["behaviours"]
    origins = list(dict.fromkeys(line["origin"] for line in lines))
    for origin in [*origins, "all"] if len(origins) > 1 else origins:
        of_origin = [line for line in lines if origin in ("all", line["origin"])]
        kept_of_origin = _total(of_origin, "kept")
        for behaviour in sorted({line["behaviour"] for line in of_origin}):
            those = [line for line in of_origin if line["behaviour"] == behaviour]
            _behaviour(table, those, (origin, behaviour), kept_of_origin)
        _behaviour(table, of_origin, (origin, "all"), kept_of_origin)
        table.add_section()
    return table if lines else None


def _behaviour(table: Table, lines: Sequence[Row], names: tuple[str, str], kept_of_origin: int) -> None:
    kept = _total(lines, "kept")
    reflective = _total([line for line in lines if line["reflective"]], "kept")
    counts = (f"{_total(lines, 'attempts'):,}", f"{_total(lines, 'correct'):,}", f"{kept:,}")
    _add(table, (*names, *counts, _share(kept, kept_of_origin), _share(reflective, kept)))


def _levels(summary: Summary) -> Table | None:
    table = _table("Levels", ("policy", ">level", ">seeds", ">share", ">mean pass rate", ">from", ">to"))
    lines = summary["levels"]
    for line in lines:
        seeds = _total([other for other in lines if other["policy"] == line["policy"]], "seeds")
        rates = (f"{line[name]:.2f}" for name in ("pass_rate", "least", "most"))
        _add(table, (line["policy"], line["level"], f"{line['seeds']:,}", _share(line["seeds"], seeds), *rates))
    return table if lines else None


def _warnings(summary: Summary) -> Table | None:
    lines = summary["benchmark_warnings"]
    cells = [(line["dataset"], line["kind"], f"{line['seeds']:,}", line["example"]) for line in lines]
    columns = ("dataset", "shared", ">seeds", "for example with")
    return plain_table("Shared with a benchmark, kept", columns, cells) if lines else None


def _total(lines: Sequence[Row], name: str) -> int:
    return sum(line[name] for line in lines)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
