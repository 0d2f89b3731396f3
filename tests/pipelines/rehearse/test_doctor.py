"""`gog doctor` on plug-ins and on the order of hits; the rest of it is in `tests/pipelines/cli/test_doctor.py`."""

from pathlib import Path

import pytest
from plugged import installed

from gog.pipelines.config.config import load_config
from gog.pipelines.rehearse.doctor import doctor


def test_plugins_are_listed_and_broken_ones_are_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(
        tmp_path,
        monkeypatch,
        {"gog.filters": {"mild": "kind_plugin:mild"}, "gog.tools": {"torn": "torn_plugin:tool"}},
        kind_plugin="def mild(seed): return None\n",
        torn_plugin="raise RuntimeError('two\\nlines')\n",
    )
    checks = [check for check in doctor(load_config(lake=str(tmp_path / "lake"))) if check.name == "plug-ins"]
    ours = [check for check in checks if "gog-test-plugin" in check.found]
    assert {(check.state, check.found) for check in ours} == {
        ("ok", "gog-test-plugin 1.2: filters mild"),
        ("problem", "gog-test-plugin 1.2: gog.tools torn: RuntimeError: two lines"),
    }
    assert any("uninstall gog-test-plugin" in check.advice for check in ours)


@pytest.mark.parametrize(
    ("rerank", "found"),
    [
        ("nope:x", "'nope:x' is no address of a cross-encoder; for example 'onnx:reranker/model.onnx'"),
        ("judge", "search.rerank: the planner cannot order hits; set judge to a model, or name a cross-encoder"),
    ],
)
def test_what_cannot_order_hits_is_a_problem(rerank: str, found: str, tmp_path: Path) -> None:
    checks = doctor(load_config(lake=str(tmp_path / "lake"), search={"rerank": rerank}))
    assert [(check.state, check.found) for check in checks if check.name == "order of hits"] == [("problem", found)]


def test_hits_that_nothing_orders_are_not_told_of(tmp_path: Path) -> None:
    assert not [one for one in doctor(load_config(lake=str(tmp_path / "lake"))) if one.name == "order of hits"]
