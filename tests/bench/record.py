"""Tables of `make bench`, kept by date as JSON, and what has moved since the last one."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RECORDS = Path(__file__).parents[2] / "docs" / "bench"


@dataclass(frozen=True)
class Line:
    """A line of the table. `target` is empty where there is none."""

    what: str
    found: str
    spread: str = ""
    target: str = ""


def keep(lines: Sequence[Line], date: str, machine: str, folder: Path = RECORDS) -> Path:
    """Write what was measured on a day (YYYY-MM-DD); the same day's is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{date}.json"
    record = {"date": date, "machine": machine, "lines": [asdict(line) for line in lines]}
    path.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return path


def last(machine: str, folder: Path = RECORDS) -> tuple[str, dict[str, Line]]:
    """Date and lines, by what they measure, of the newest record of such a machine; nothing where there is none."""
    for path in sorted(folder.glob("*.json"), reverse=True):
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if record["machine"] == machine:
            return record["date"], {line["what"]: Line(**line) for line in record["lines"]}
    return "", {}


def moved(now: Line, before: Line | None) -> str:
    """How far a line is from what it was; what lies within either spread is called the same."""
    if before is None:
        return "new"
    (here, *mine), (there, *theirs) = (_numbers(line) for line in (now, before))
    same = here == there or any(
        len(span) == 2 and span[0] <= at <= span[1] for span, at in ((mine, there), (theirs, here))
    )
    return "same" if same else f"{here / there - 1:+.0%}" if there else f"{there:g} before"


def _numbers(line: Line) -> list[float]:
    """The number found, then its least and most where there are any."""
    found = _NUMBER.findall(line.found)[:1] + _NUMBER.findall(line.spread)[:2]
    return [float(number.replace(",", "")) for number in found]


_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
