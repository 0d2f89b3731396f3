"""The face's own functions; `docs/python.md`, which a test runs, goes through all of them once."""

from pathlib import Path

import pytest

import gog
from gog.pipelines.config.config import ConfigError, load_config
from gog.pipelines.lake.lake import LakeError, Manifest
from gog.schemas import Seed


@pytest.fixture
def lake(tmp_path: Path) -> gog.Lake:
    lake = gog.Lake(tmp_path / "lake")
    lake.write_manifest(Manifest(run="one", fingerprint="f"))
    return lake


def test_a_lake_is_opened_and_never_made(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no lake at"):
        gog.open_lake(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_only_run_needs_no_name(lake: gog.Lake) -> None:
    assert gog.open_run(lake.root).name == "one"
    lake.write_manifest(Manifest(run="two", fingerprint="f"))
    with pytest.raises(LakeError, match="it has one, two"):
        gog.open_run(lake.root)
    with pytest.raises(LakeError, match=r"no run 'three'.*one, two"):
        gog.open_run(lake.root, "three")


def test_a_run_without_rows_reads_as_empty(lake: gog.Lake) -> None:
    run = gog.open_run(lake.root)
    assert list(run.records(Seed)) == []
    assert run.arrow("seeds").num_rows == 0
    with run.connect() as views:
        assert views.execute("FROM overview").fetchall() == []


@pytest.mark.parametrize(
    ("kind", "form", "backbone", "why"),
    [
        ("dpo", "parquet", None, "dpo"),
        ("sft", "parquett", None, "parquett"),
        ("sft", "trl", None, "backbone"),
        ("sft", "trl", "gpt-2", "gpt-2"),
        ("rl", "llama-factory", "qwen3-vl", "llama-factory"),
    ],
)
def test_an_export_that_nobody_writes_is_refused_before_anything_is_done(
    kind: str, form: str, backbone: str | None, why: str, tmp_path: Path
) -> None:
    config = load_config(lake=str(tmp_path / "lake"))
    with pytest.raises(ConfigError, match=why):
        gog.export(config, kind, form, backbone)
    assert not (tmp_path / "lake").exists()


def test_an_export_of_no_run_makes_none(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no lake at"):
        gog.export(load_config(lake=str(tmp_path / "lake")), "sft")
