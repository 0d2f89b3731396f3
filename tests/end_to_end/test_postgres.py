"""`gog run` over a store in PostgreSQL: the same records as over SQLite, whatever happens to the server meanwhile, and
two runs of one lake at a time that buy nothing twice.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from chaos.endpoint import Endpoint, Manner, listening
from chaos.scene import IN_FLIGHT, small
from postgres_server import Server, serving
from runs import records

from gog.pipelines.config.config import Config, parse_config

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
SEEDS = int(os.environ.get("GOG_POSTGRES_SEEDS", "10"))


def start(config: Config) -> "subprocess.Popen[str]":
    path = Path(config.lake).parent / f"{Path(config.lake).name}-{config.run}.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")), "utf-8")
    command = [sys.executable, "-m", "gog.pipelines.cli.main", "run", "--config", str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: "subprocess.Popen[str]") -> None:
    said = process.communicate(timeout=1200)[0]
    assert process.returncode == 0, said


def config_of(lake: Path, endpoint: Endpoint, store: str, run: str = "r") -> Config:
    made = small(lake, 7, SEEDS, endpoint.models, run).model_dump(mode="json")
    return parse_config(made | {"store": store} if store else made)


def repeated(endpoint: Endpoint) -> int:
    return sum(count - 1 for count in Counter(asked.key for asked in endpoint.asked).values())


@pytest.mark.timeout(2400)
def test_a_server_killed_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    with listening() as endpoint, serving() as server:
        endpoint.manner = Manner(latency_s=(0.02, 0.1))
        plain = config_of(tmp_path / "plain", endpoint, "")
        began = time.monotonic()
        finish(start(plain))
        print(f"sqlite: {time.monotonic() - began:.0f} s, {len(endpoint.asked)} calls")
        calls = len(endpoint.asked)
        assert repeated(endpoint) == 0
        endpoint.asked.clear()
        address = server.address()
        shared = config_of(tmp_path / "shared", endpoint, address)
        began = time.monotonic()
        process = start(shared)
        while len(endpoint.asked) < calls // 2 and process.poll() is None:
            time.sleep(0.01)
        server.kill()
        server.start()
        finish(process)
        print(f"postgres: {time.monotonic() - began:.0f} s, {len(endpoint.asked)} calls, {repeated(endpoint)} repeated")
        assert repeated(endpoint) <= IN_FLIGHT
        assert records(shared) == records(plain)
        ((counted,),) = server.query("SELECT sum(attempts)::int FROM gog.events", address)
        assert counted >= calls
        for table in ("claims", "workers"):  # whoever ends leaves nothing behind
            assert server.query(f"SELECT count(*) FROM gog.{table}", address) == [(0,)]


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_two_runs_of_one_lake_at_a_time_buy_each_call_once(postgres: Server, tmp_path: Path, kind: str) -> None:
    store = postgres.address() if kind == "postgres" else ""
    with listening() as endpoint:
        endpoint.manner = Manner(latency_s=(0.05, 0.2))
        configs = [config_of(tmp_path / "lake", endpoint, store, run) for run in ("one", "other")]
        for process in [start(config) for config in configs]:
            finish(process)
        print(f"{kind}: {len(endpoint.asked)} calls, {repeated(endpoint)} repeated")
        assert endpoint.asked
        assert repeated(endpoint) == 0
        one, other = ({Path(name).name: made for name, made in records(config).items()} for config in configs)
        assert one.keys() == other.keys()
