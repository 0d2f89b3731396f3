"""Runs again: the same seed gives the same bytes, another one others; what is done or bought is not done again."""

import shutil
from pathlib import Path

from runs import VARYING, atlas, calls, exported, files, hashes, number, records, run_folder

from gog.pipelines.config.config import Config
from gog.pipelines.steps.run import run

TOUCHED = (*(f"runs/*/{name}" for name in VARYING), "store/*-shm", "store/*-wal")


def modified(folder: Path) -> dict[str, tuple[int, int]]:
    """When each file below a lake was last written, and which one it is; without what says that a run was there."""
    statuses = {name: path.stat() for name, path in files(folder, but=TOUCHED).items()}
    return {name: (status.st_mtime_ns, status.st_ino) for name, status in statuses.items()}


def copied(config: Config, lake: Path, *parts: str) -> Path:
    """A lake with some folders of another one."""
    for part in parts:
        shutil.copytree(Path(config.lake) / part, lake / part)
    return lake


def test_two_lakes_at_two_places_hold_the_same_bytes(tiny: Config, tmp_path: Path) -> None:
    other = atlas(tmp_path / "somewhere" / "else")
    run(other)
    assert records(other) == records(tiny)
    assert hashes(Path(other.lake) / "images") == hashes(Path(tiny.lake) / "images")
    assert {"exports/sft/README.md", "exports/rl/manifest.json"} <= records(tiny).keys()


def test_another_seed_gives_other_exports(tiny: Config, tmp_path: Path) -> None:
    other = atlas(copied(tiny, tmp_path / "lake", "indexes"), seed=1, count=12, shard_size=12)
    run(other)
    for kind in ("sft", "rl"):
        ours, theirs = ({row["id"] for row in exported(config, kind)} for config in (tiny, other))
        assert ours
        assert not ours & theirs


def test_a_new_run_over_the_warm_store_makes_no_call_and_the_same_records(tiny: Config, tmp_path: Path) -> None:
    lake = copied(tiny, tmp_path / "lake", "store", "indexes")
    again = atlas(lake, run="again", window=7)
    result = run(again)
    made, from_store = calls(again)
    assert made == 0
    assert result.manifest.spend["calls"] == 0
    assert from_store > 1000
    assert records(again) == records(tiny)


def test_the_same_run_again_does_nothing(tiny: Config, tmp_path: Path) -> None:
    lake = copied(tiny, tmp_path / "lake", ".")
    same = atlas(lake)
    before = modified(lake)
    events = hashes(run_folder(same) / "events")
    spent = calls(same)
    run(same)
    assert modified(lake) == before
    assert calls(same) == spent
    assert hashes(run_folder(same) / "events") == events


def test_a_step_alone_and_then_the_rest_come_to_the_same(tiny: Config, tmp_path: Path) -> None:
    lake = copied(tiny, tmp_path / "lake", "store", "indexes")
    stepwise = atlas(lake)
    for step in ("ingest", "synthesize", "curate", "export_sft", "label", "export_rl"):
        run(stepwise, steps=(step,))
    assert records(stepwise) == records(tiny)


def test_a_damaged_export_is_made_again(tiny: Config, tmp_path: Path) -> None:
    lake = copied(tiny, tmp_path / "lake", ".")
    same = atlas(lake)
    shutil.rmtree(run_folder(same) / "exports" / "sft")
    (run_folder(same) / "complexity" / "part-label-00001.parquet").unlink()
    run(same)
    assert records(same) == records(tiny)


def test_enough_for_now_and_the_rest_later(tiny: Config, tmp_path: Path) -> None:
    config = atlas(copied(tiny, tmp_path / "lake", "store", "indexes"))
    run(config, accept=1)
    assert number(config, "SELECT count(*) FROM seeds") == 24, "one shard was enough"
    assert number(config, "SELECT count(*) FROM curated") >= 1
    run(config)
    assert records(config) == records(tiny)


def test_one_job_over_all_shards_gives_the_same_records(tiny: Config, tmp_path: Path) -> None:
    """As on a distributed runner: no shard waits for another, so none keeps its pictures for the next."""
    config = atlas(copied(tiny, tmp_path / "lake", "store", "indexes"))
    run(config, runner_args=("--runner=FnApiRunner",))
    one_by_one = {name: sha256 for name, sha256 in records(tiny).items() if not name.startswith("pictures/")}
    assert records(config) == one_by_one
