"""A section of a report: its words, its plot, and its numbers as a table beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gog.pipelines.show.report.plots import Draw, svg

Row = dict[str, Any]

MOST: Final = 12
"""Bars of a plot; what is rarer is in the table alone."""
TABLE_ROWS: Final = 60


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page. `svg` is finished markup; the rest is text, escaped when the page is made."""

    name: str
    title: str
    lead: str
    svg: str = ""
    columns: tuple[str, ...] = ()
    lines: tuple[tuple[object, ...], ...] = ()
    wide: bool = False
    empty: str = ""
    """What to say where there is nothing to show."""


def table_lines(rows: Sequence[Row], columns: Sequence[str]) -> tuple[tuple[object, ...], ...]:
    """Some columns of the first rows, for the table beside a plot."""
    return tuple(tuple(row[name] for name in columns) for row in rows[:TABLE_ROWS])


def drawn(section: Section, draw: Draw, height: float) -> Section:
    """The section with its plot; `height` in inches."""
    return replace(section, svg=svg(draw, section.name, section.title, section.lead, height))


def nothing(section: Section, words: str) -> Section:
    """The section where there is nothing to show, and why."""
    return replace(section, empty=words)
