"""A ceiling of the budget: the run stops with everything kept, says so, and goes on under a higher one."""

import shutil
from pathlib import Path

import pytest
from runs import atlas, calls, check_nothing_lost, number, records, select, write_config

from gog.pipelines.cli.main import call
from gog.pipelines.config.config import Config
from gog.pipelines.steps.run import run


def with_ceiling(config: Config, max_calls: int | None) -> Config:
    return type(config).model_validate(config.model_dump(mode="json") | {"budget": {"max_calls": max_calls}})


@pytest.fixture
def small(tiny: Config, tmp_path: Path) -> Config:
    """The run `tiny`, not yet begun: its store is empty."""
    config = atlas(tmp_path / "lake")
    shutil.copytree(Path(tiny.lake) / "indexes", Path(config.lake) / "indexes")
    return config


def test_stops_at_the_ceiling_and_goes_on_under_a_higher_one(tiny: Config, small: Config) -> None:
    all_calls, _ = calls(tiny)
    made = 0
    for share in (0.2, 0.6, 0.9):
        ceiling = int(all_calls * share)
        result = run(with_ceiling(small, ceiling))
        made, _ = calls(small)
        assert made == ceiling
        assert result.stopped == f"max_calls: {ceiling} of {ceiling} calls made"
        assert result.manifest.state == "stopped"
        assert number(small, "SELECT count(*) FROM rejects WHERE reason = 'budget.reached'") > 0
        assert select(small, "SELECT * FROM funnel WHERE NOT balanced") == []
    result = run(with_ceiling(small, None))
    assert result.stopped == ""
    assert result.manifest.state == "done"
    assert calls(small)[0] == all_calls, "something was bought twice"
    assert records(small) == records(tiny)
    check_nothing_lost(small, rows=48)


def test_a_ceiling_of_nothing_calls_nobody(small: Config) -> None:
    result = run(with_ceiling(small, 0))
    assert result.stopped
    assert calls(small)[0] == 0
    assert number(small, "SELECT count(*) FROM seeds") > 0


def test_a_ceiling_that_is_not_reached_changes_nothing(tiny: Config, small: Config) -> None:
    all_calls, _ = calls(tiny)
    assert run(with_ceiling(small, all_calls)).stopped == ""
    assert records(small) == records(tiny)


def test_the_command_line_says_that_it_stopped(
    small: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_config(with_ceiling(small, 100), tmp_path / "config.yaml")
    assert call(["run", "--config", str(file)]) == 1
    errors = capsys.readouterr().err
    assert "max_calls: 100 of 100 calls made" in errors
    assert "Traceback" not in errors
