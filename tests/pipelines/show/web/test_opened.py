"""Pages that read a run for one request open it alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from lakes import small_run

from gog.pipelines.lake.lake import Lake
from gog.pipelines.show.web import opened
from gog.pipelines.show.web.questions import questions_of
from gog.pipelines.show.web.rejects import Left, left_of
from gog.pipelines.show.web.run_facts import facts_of
from gog.pipelines.views.database import open_lake


@pytest.mark.parametrize(
    "read",
    [
        lambda lake: facts_of(lake, "small"),
        lambda lake: questions_of(lake, "small", "costliest", 0),
        lambda lake: left_of(lake, "small", Left(), 0),
    ],
)
def test_what_does_not_fit_into_memory_has_a_folder_that_goes_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Lake], Any]
) -> None:
    spills: list[Path] = []

    def seen(folder: Path, *, memory_limit: str, spill: Path) -> duckdb.DuckDBPyConnection:
        assert memory_limit == opened.MEMORY
        assert spill.is_dir()
        spills.append(spill)
        return open_lake(folder, memory_limit=memory_limit, spill=spill)

    monkeypatch.setattr(opened, "open_lake", seen)
    assert read(small_run(tmp_path))
    assert len(spills) == 1
    assert not spills[0].exists()
