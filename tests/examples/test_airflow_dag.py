"""The DAG file: its tasks, their order, and that they do the run.

Loaded against Airflow where it is installed, and otherwise against a stand-in of the few names that it uses.
"""

import importlib.util
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from runs import atlas, write_config

import gog

FILE = Path(__file__).parents[2] / "examples" / "airflow_dag.py"
ORDER = ["ingest", "synthesize", "curate", "export"]


class Task:
    """What a decorated function gives when it is called within a DAG."""

    def __init__(self, function: Callable[[], str]) -> None:
        self.task_id, self.python_callable = function.__name__, function
        self.downstream_task_ids: set[str] = set()

    def __rshift__(self, other: "Task") -> "Task":
        self.downstream_task_ids.add(other.task_id)
        return other


class Dag:
    """Tasks by name."""

    def __init__(self) -> None:
        self.task_dict: dict[str, Task] = {}


def stand_in() -> ModuleType:
    """`airflow.sdk` with `dag` and `task`, used with or without arguments."""
    module, current = ModuleType("airflow.sdk"), Dag()

    def task(function: Callable[[], str] | None = None, **_: Any) -> Any:
        if function is None:
            return task
        return lambda: current.task_dict.setdefault(function.__name__, Task(function))

    def dag(**_: Any) -> Any:
        return lambda function: lambda: function() or current

    module.__dict__.update(task=task, dag=dag)
    return module


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Any:
    if find_spec("airflow") is None:
        monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
        monkeypatch.setitem(sys.modules, "airflow.sdk", stand_in())
    spec = importlib.util.spec_from_file_location("airflow_dag_example", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pipeline


def test_the_tasks_follow_one_another(pipeline: Any) -> None:
    assert list(pipeline.task_dict) == ORDER
    followers = [pipeline.task_dict[name].downstream_task_ids for name in ORDER]
    assert followers == [{"synthesize"}, {"curate"}, {"export"}, set()]


def test_the_tasks_make_the_run(pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = atlas(tmp_path / "lake", count=12, shard_size=12)
    monkeypatch.setenv("GOG_CONFIG", str(write_config(config, tmp_path / "gog.yaml")))
    states = [pipeline.task_dict[name].python_callable() for name in ORDER]
    assert states == ["running", "running", "running", "done"]
    run = gog.open_run(config.lake)
    assert (run.folder / "exports" / "rl" / "manifest.json").exists()


def test_a_ceiling_fails_the_task(pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = atlas(tmp_path / "lake", count=6, shard_size=6, budget={"max_calls": 3})
    monkeypatch.setenv("GOG_CONFIG", str(write_config(config, tmp_path / "gog.yaml")))
    pipeline.task_dict["ingest"].python_callable()
    with pytest.raises(RuntimeError, match="calls"):
        pipeline.task_dict["synthesize"].python_callable()
