"""The questions of a run that stand out, as whole lists: those that nothing solved, and what each one cost."""

from typing import Any, Final

from gog.pipelines.lake.lake import Lake
from gog.pipelines.show.web.opened import opened
from gog.pipelines.views.database import rows_of

PAGE: Final = 100
KINDS: Final = {"unsolved": "No attempt was right", "costliest": "Most costly questions"}
"""Macros that list seeds, and what a page calls them."""
_ALL: Final = 1 << 40


def questions_of(lake: Lake, run: str, kind: str, start: int) -> tuple[list[dict[str, Any]], int]:
    """A page of a kind from `start` on, and how many there are in all. Raises `duckdb.Error` on damaged parts."""
    with opened(lake, run) as views:
        ((total,),) = views.execute(f"SELECT count(*) FROM {kind}({_ALL})").fetchall()
        return rows_of(views.execute(f"FROM {kind}({_ALL}) LIMIT {PAGE} OFFSET {int(start)}")), total
