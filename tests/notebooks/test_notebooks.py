"""The notebooks run from a clean checkout over the bundled world, and show what they are committed with."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from keep_notebooks import NOTEBOOKS, executed
from runs import atlas, shared_run

from gog.pipelines.config.config import Config

MOST_BYTES = 700_000


@pytest.fixture(scope="session")
def toured(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return shared_run(atlas("toured", run="atlas", count=60, shard_size=60), tmp_path_factory)


def cells(path: Path, config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The notebook's cells with what they show, run in a kernel of its own over a copy of the run's lake."""
    shutil.copytree(config.lake, folder / "lake")
    monkeypatch.setenv("GOG_LAKE", str(folder / "lake"))
    monkeypatch.setenv("GOG_RUN", config.run)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    return list(executed(path, path.parent, 200).cells)


def kinds(shown: list[Any]) -> list[list[str]]:
    """What each cell shows: the kinds of its data, or the name of a stream."""
    return [[max(o["data"], default="") if "data" in o else o["name"] for o in c.get("outputs", ())] for c in shown]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_and_shows_pictures(path: Path, toured: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = cells(path, toured, tmp_path, monkeypatch)
    shown = [output for cell in run for output in cell.get("outputs", ())]
    assert not [output for output in shown if output["output_type"] == "error"]
    assert not [output for output in shown if output.get("name") == "stderr"]
    data = [output["data"] for output in shown if "data" in output]
    assert sum("image/png" in item for item in data) >= 1
    assert sum("text/html" in item for item in data) >= 2
    committed = json.loads(path.read_text("utf-8"))["cells"]
    assert kinds(run) == kinds(committed), "run tests/keep_notebooks.py"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_committed_with_outputs_that_are_small(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    notebook = json.loads(path.read_text("utf-8"))
    assert notebook["cells"][0]["source"][0].startswith("# ")
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    text = json.dumps([cell["outputs"] for cell in code])
    assert not re.search(r"/(?:home|root|tmp|work)/", text)
    assert "Traceback" not in text


def test_all_four_are_there() -> None:
    names = ["01_from_seeds_to_splits", "02_inside_a_trajectory", "03_difficulty_and_behaviour", "04_compare_runs"]
    assert [path.stem for path in NOTEBOOKS] == names
