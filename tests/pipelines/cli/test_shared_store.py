"""Every command that reads a store reads one in PostgreSQL, and says the same of it."""

import json
import shutil
from pathlib import Path

import pytest
from calling import Gog, Place, contents, place
from postgres_server import Server

from gog.pipelines.lake.lake import Lake

pytestmark = pytest.mark.postgres
COUNTED = ("kind", "provider", "failure", "entries", "cost")


def test_all_commands(gog: Gog, finished: Place, postgres: Server, tmp_path: Path) -> None:
    address = postgres.address()
    made = place(tmp_path, store=address)
    shutil.copytree(finished.lake / "indexes", made.lake / "indexes")
    config = ("--config", made.config)

    done = gog("store", "stats", *config)
    assert done.code == 2
    assert f"there is no store at {address} yet" in done.error

    # What the other store holds goes over as a cassette, and nothing has to be asked.
    cassette = tmp_path / "all.cassette"
    assert gog("store", "export", cassette, "--lake", finished.lake).code == 0
    assert gog("store", "import", cassette, *config).code == 0
    assert gog("run", *config).code == 0
    assert contents(made.run) == contents(finished.run)
    assert postgres.query("SELECT sum(attempts)::int FROM gog.events", address) == [(0,)]

    here = json.loads(gog("store", "stats", *config, "--json").out)
    there = json.loads(gog("store", "stats", "--lake", finished.lake, "--json").out)
    assert [[g[name] for name in COUNTED] for g in here["groups"]] == [
        [g[name] for name in COUNTED] for g in there["groups"]
    ]
    assert here["store"] == address
    assert "all sound" in gog("store", "verify", *config).out
    assert gog("store", "export", tmp_path / "again.cassette", *config).code == 0
    assert "PostgreSQL" not in gog("status", *config).out
    assert f"{sum(here['events'].values()):,}" in gog("store", "stats", *config).out
    assert "store" in gog("doctor", *config).out
    assert gog("inspect", *config, "--sql", "select count(*) from funnel").code == 0
    assert gog("retry", *config, "--reason", "teacher.timeout").code in (0, 1)

    seed = next(iter(Lake(made.lake, create=False).read_rows("tiny", "seeds")))["seed_id"]
    before = postgres.query("SELECT count(*) FROM gog.answers", address)
    said = gog("forget", "--seed", seed, "--lake", made.lake)
    assert said.code == 0, said.err
    assert postgres.query("SELECT count(*) FROM gog.answers", address) < before

    done = gog("store", "gc", "--unreachable", *config)
    assert done.code == 2
    assert "may serve other lakes" in done.error
    assert gog("store", "gc", "--kind", "detect", "--yes", *config).code == 0
    assert postgres.query("SELECT count(*) FROM gog.answers WHERE kind = 'detect'", address) == [(0,)]


def test_no_secret_of_the_address_is_shown(gog: Gog, tmp_path: Path) -> None:
    config = tmp_path / "gog.yaml"
    config.write_text("store: postgresql://gog:open-sesame@127.0.0.1/gog\n")
    for command in (("doctor",), ("store", "stats"), ("run",)):
        done = gog(*command, "--config", config)
        assert done.code == 2
        assert "the address has a password in it" in done.error
        assert "open-sesame" not in done.out + done.err
