"""The notebooks run from a clean checkout over the bundled world, and are committed without outputs."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from runs import atlas, shared_run

from gog.pipelines.config.config import Config

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="session")
def toured(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return shared_run(atlas("toured", run="atlas", count=60, shard_size=60), tmp_path_factory)


def outputs(path: Path, config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the notebook shows, run in a kernel of its own over a copy of the run's lake."""
    shutil.copytree(config.lake, folder / "lake")
    monkeypatch.setenv("GOG_LAKE", str(folder / "lake"))
    monkeypatch.setenv("GOG_RUN", config.run)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute(env=dict(os.environ))
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_and_shows_pictures(path: Path, toured: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = outputs(path, toured, tmp_path, monkeypatch)
    assert not [output for output in shown if output["output_type"] == "error"]
    assert not [output for output in shown if output.get("name") == "stderr"]
    data = [output["data"] for output in shown if "data" in output]
    assert sum("image/png" in item for item in data) >= 1
    assert sum("text/html" in item for item in data) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_committed_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text("utf-8"))
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert notebook["cells"][0]["source"][0].startswith("# ")


def test_all_four_are_there() -> None:
    names = ["01_from_seeds_to_splits", "02_inside_a_trajectory", "03_difficulty_and_behaviour", "04_compare_runs"]
    assert [path.stem for path in NOTEBOOKS] == names
