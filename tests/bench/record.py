"""Tables of `make bench`, kept by date as JSON, and what has moved from one to the next.

`PYTHONPATH=tests python -m bench.record` writes the page of what has moved, as `make bench ARGS=--keep` does.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

RECORDS: Final = Path(__file__).parents[2] / "docs" / "bench"
PAGE: Final = "moved.md"
SHOWN: Final = 6
"""Records of a machine that the page shows, the newest ones."""


@dataclass(frozen=True)
class Line:
    """A line of the table; one that begins with dots belongs to the last that does not. `target` may be empty."""

    what: str
    found: str
    spread: str = ""
    target: str = ""


@dataclass(frozen=True)
class Record:
    """What was measured on a day (YYYY-MM-DD). `load` is the load average before: what else the machine did."""

    date: str
    machine: str
    load: float
    lines: tuple[Line, ...]


def named(lines: Iterable[Line]) -> dict[tuple[str, str], Line]:
    """Lines by what they measure, and the line that they belong to."""
    found, of = dict[tuple[str, str], Line](), ""
    for line in lines:
        of = of if line.what.startswith("...") else line.what
        found[of, line.what] = line
    return found


def keep(record: Record, folder: Path = RECORDS) -> Path:
    """Write it, and the page of what has moved. Of a record of the same day and machine stays what was not measured."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.date}.json"
    for earlier in kept(folder):
        if (earlier.date, earlier.machine) == (record.date, record.machine):
            record = replace(record, lines=tuple((named(earlier.lines) | named(record.lines)).values()))
    path.write_text(json.dumps(asdict(record), indent=1) + "\n", "utf-8")
    (folder / PAGE).write_text(page(kept(folder)), "utf-8")
    return path


def kept(folder: Path = RECORDS) -> list[Record]:
    """All records, the oldest first."""
    read: list[dict[str, Any]] = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    return [Record(**record | {"lines": tuple(Line(**line) for line in record["lines"])}) for record in read]


def last(machine: str, before: str, folder: Path = RECORDS) -> Record | None:
    """The newest record of such a machine from before a day."""
    return next((one for one in reversed(kept(folder)) if one.machine == machine and one.date < before), None)


def moved(now: Line, before: Line | None) -> str:
    """How far a line is from what it was; what lies within either spread is the same. Of several each is told."""
    if before is None:
        return "new"
    mine_all, theirs_all = (line.found.split(", ") for line in (now, before))
    if len(mine_all) == len(theirs_all) > 1:
        pairs = zip(mine_all, theirs_all, strict=True)
        return ", ".join(moved(Line("", mine), Line("", theirs)) for mine, theirs in pairs)
    (here, *mine), (there, *theirs) = (_numbers(line) for line in (now, before))
    same = here == there or any(
        len(span) == 2 and span[0] <= at <= span[1] for span, at in ((mine, there), (theirs, here))
    )
    return "same" if same else f"{here / there - 1:+.0%}" if there else f"{there:g} before"


def page(records: Sequence[Record]) -> str:
    """All that was kept as Markdown: a table for each machine, a column for each record."""
    parts = [f"# What has moved\n\n{_ABOUT}\n"]
    for machine in sorted({record.machine for record in records}):
        own = [record for record in records if record.machine == machine][-SHOWN:]
        parts.append(f"## {machine}\n\n{table(_history(own))}\n")
    return "\n".join(parts)


def _history(records: Sequence[Record]) -> list[list[str]]:
    """Rows of a machine's table: all lines, those of the fullest record first; what was found, and how far it moved."""
    rows = [["", *(f"{record.date}, load {record.load:g}" for record in records)]]
    columns = [named(record.lines) for record in records]
    for name in dict.fromkeys(name for column in (max(columns, key=len), *columns) for name in column):
        cells, before = [name[1]], None
        for line in (column.get(name) for column in columns):
            cells.append("" if line is None else f"{line.found}; {moved(line, before)}" if before else line.found)
            before = line or before
        rows.append(cells)
    return rows


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows as a table in Markdown, the first its head; columns aligned."""
    rows = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * max(3, width) for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    )


def _numbers(line: Line) -> list[float]:
    """The number found, then its least and most where there are any."""
    found = _NUMBER.findall(line.found)[:1] + _NUMBER.findall(line.spread)[:2]
    return [float(number.replace(",", "")) for number in found]


_NUMBER: Final = re.compile(r"\d[\d,]*(?:\.\d+)?")
_ABOUT: Final = (
    "Written by `make bench ARGS=--keep`, a column a day. Behind a number stands how far it is from the one before;\n"
    "*same* is what lies within the spread of one of the two. *load* is the load average before: on cores that others\n"
    "use, too, processor seconds can be compared, and hardly anything else."
)

if __name__ == "__main__":
    (RECORDS / PAGE).write_text(page(kept()), "utf-8")
