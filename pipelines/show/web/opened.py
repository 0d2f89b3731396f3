"""A run's tables for one request: bounded in memory, with a folder for what does not fit."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from gog.pipelines.lake.lake import Lake
from gog.pipelines.views.database import open_lake

MEMORY: Final = "256MB"


@contextmanager
def opened(lake: Lake, run: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the views of a run, closed behind; damaged parts raise `duckdb.Error` when they are read."""
    with (
        tempfile.TemporaryDirectory(prefix="gog-view-", ignore_cleanup_errors=True) as spill,
        open_lake(lake.run_folder(run), memory_limit=MEMORY, spill=Path(spill)) as views,
    ):
        yield views
