"""`gog doctor` on plug-ins; the rest of it is in `tests/pipelines/cli/test_doctor.py`."""

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
