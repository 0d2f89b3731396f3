"""A run against the planner's server: through real sockets, and through faults, it makes the same records."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from runs import atlas, calls, check_nothing_lost, number, records, select
from serving import served

from gog.pipelines.config.config import Config
from gog.pipelines.steps.run import run

SMALL: dict[str, Any] = {"label": {"k": 2}, "screen": {"passes": 2}, "curate": {"splits": {"validation_share": 0.3}}}
FAULTS = {"429": 0.05, "500": 0.03, "cut": 0.01, "malformed": 0.01}


def order(shares: dict[str, float]) -> list[str]:
    """The command line's options for faults."""
    return [word for name, share in shares.items() for word in ("--fault", f"{name}={share}")]


def with_indexes(lake: Path, tiny: Config) -> Path:
    """A lake that need not index the bundled world again."""
    shutil.copytree(Path(tiny.lake) / "indexes", lake / "indexes")
    return lake


def check_same(config: Config, embedded: Config) -> None:
    """The same records and exports, byte for byte."""
    assert records(config) == records(embedded)


def test_faults_on_the_way_change_nothing_but_the_bill(tiny: Config, tmp_path: Path) -> None:
    embedded = atlas(with_indexes(tmp_path / "embedded", tiny), count=8, shard_size=8, **SMALL)
    run(embedded)
    with served(*order(FAULTS)) as server:
        retry = {"initial_s": 0.05, "attempts": 6}
        config = atlas(
            with_indexes(tmp_path / "served", tiny), count=8, shard_size=8, **SMALL, **server.models, retry=retry
        )
        run(config)
    check_same(config, embedded)
    check_nothing_lost(config, rows=8)
    assert server.counted["requests"] > server.counted["answered"] > 50
    assert server.counted.keys() >= {"429", "500"}


@pytest.mark.slow
def test_a_run_through_sockets_is_the_embedded_one(tiny: Config, tmp_path: Path) -> None:
    with served() as server:
        config = atlas(with_indexes(tmp_path / "lake", tiny), **server.models)
        run(config)
    check_same(config, tiny)
    assert server.counted["requests"] == server.counted["answered"] > 1000
    assert calls(config) == calls(tiny)


@pytest.mark.slow
def test_a_run_through_faults_and_stalls_is_the_embedded_one(tiny: Config, tmp_path: Path) -> None:
    with served(*order(FAULTS | {"stall": 0.01}), "--stall", "60", "--latency", "0.02") as server:
        retry = {"initial_s": 0.05, "attempts": 6, "timeout_s": 4}
        config = atlas(with_indexes(tmp_path / "lake", tiny), **server.models, retry=retry)
        run(config)
    check_nothing_lost(config, rows=48)
    asked = number(config, "SELECT count(*) FROM events WHERE NOT from_store AND provider LIKE 'planner:%'")
    made = number(config, "SELECT sum(attempts) FROM events WHERE NOT from_store AND provider LIKE 'planner:%'")
    assert made == server.counted["requests"] < 1.2 * asked
    assert server.counted["stall"] > 3
    assert select(config, "SELECT * FROM events WHERE failure IS NOT NULL AND provider LIKE 'planner:%'") == []
    check_same(config, tiny)
