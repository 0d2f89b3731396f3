"""The examples for orchestrators: they compile, their steps are those of a run, and `do` does them.

Prefect and Dagster are not installed here: what the files take of them is left out, and `do` runs as it stands.
`test_airflow_dag.py` loads the one for Airflow as a whole.
"""

import ast
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from runs import atlas, write_config

import gog

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = ("airflow_dag.py", "prefect_flow.py", "dagster_job.py")


def tree(name: str) -> ast.Module:
    return ast.parse((EXAMPLES / name).read_text("utf-8"), name)


def done_by(name: str) -> Callable[..., str]:
    """The file's `do`, which needs nothing of its library."""
    (function,) = [node for node in tree(name).body if isinstance(node, ast.FunctionDef) and node.name == "do"]
    names: dict[str, Callable[..., str]] = {}
    exec(compile(ast.Module([function], []), name, "exec"), {"os": os}, names)
    return names["do"]


def asked(name: str) -> list[tuple[str, ...]]:
    """The steps of each task, in the order of the file."""
    calls = [node for node in ast.walk(tree(name)) if isinstance(node, ast.Call)]
    calls = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "do"]
    calls.sort(key=lambda call: call.lineno)
    return [tuple(ast.literal_eval(argument) for argument in call.args) for call in calls]


@pytest.mark.parametrize("name", FILES)
def test_the_tasks_are_the_steps_of_a_run(name: str) -> None:
    assert [step for steps in asked(name) for step in steps] == list(gog.STEPS)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_ceiling_fails_a_task_and_the_next_try_goes_on(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = atlas(tmp_path / "lake", count=6, shard_size=6, budget={"max_calls": 3})
    monkeypatch.setenv("GOG_CONFIG", str(write_config(config, tmp_path / "gog.yaml")))
    do = done_by(name)
    first, second, *others = asked(name)
    assert do(*first) == "running"
    with pytest.raises(RuntimeError, match="calls"):
        do(*second)
    write_config(atlas(tmp_path / "lake", count=6, shard_size=6), tmp_path / "gog.yaml")
    assert [do(*steps) for steps in (second, *others)][-1] == "done"
    run = gog.open_run(config.lake, config.run)
    assert (run.folder / "exports" / "sft" / "manifest.json").exists()
