"""Exports that workers write, a file each: the bytes of those that one process writes."""

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lakes import level_of, small_run

from gog.pipelines.config.config import parse_config
from gog.pipelines.export.write import SmallerExportError
from gog.pipelines.lake.lake import STEP_TABLES, Lake, LakeError, write_atomic, write_part
from gog.pipelines.steps import export_job
from gog.pipelines.steps.context import Context
from gog.pipelines.steps.export import export_for, export_rl, export_sft
from gog.pipelines.steps.job_service import Engine
from gog.schemas import TABLES, Seed, Split, StageCount
from gog.schemas.base import Row as Record
from gog.transforms.beam.export import Row
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.target import Target
from gog.transforms.place import files_below, name_below, write_whole

IN_PROCESS = ("--runner=FnApiRunner",)
PROCESSES = ("--runner=FnApiRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2")
SHARDS = 3
STEPS = {table: step for step in ("label", "curate", "synthesize", "ingest") for table in STEP_TABLES[step]}


def sharded(root: str, images: Path, seeds: int = 12) -> Lake:
    """A run as its steps would have left it, in shards; its pictures come from a folder."""
    small = small_run(images, seeds)
    lake = Lake(root)
    records = {table: list(small.read_table("small", table, record)) for table, record in TABLES.items()}
    all_seeds = [seed for seed in records["seeds"] if isinstance(seed, Seed)]
    records["complexity"] = [level_of(seed, number % 3) for number, seed in enumerate(all_seeds)]
    shard_of = {seed.seed_id: number % SHARDS for number, seed in enumerate(all_seeds)}
    for step in ("ingest", "synthesize", "curate", "label"):
        for table in STEP_TABLES[step]:
            for shard in range(SHARDS):
                own = records[table] if STEPS[table] == step else []
                rows = [row for row in own if table == "evidence" or _shard(row, shard_of) == shard]
                write_part(lake.part_path("small", table, step, shard), table, rows)
    for path in files_below(small.root / "images"):
        lake.images.put(path.read_bytes(), path.suffix[1:])
    return lake


def _shard(row: Record, shard_of: dict[str, int]) -> int:
    return shard_of.get(getattr(row, "seed_id", None) or "", 0)


def context(lake: Lake, *beam: str, rows_per_file: int = 2, replace: bool = True, **more: Any) -> Context:
    config = parse_config(
        {
            "run": "small",
            "lake": str(lake.root),
            "source": {"kind": "atlas", "count": 1},
            "export": {"rows_per_file": rows_per_file, **more},
        }
    )
    return Context(config, lake, Engine("Beam", beam) if beam else Engine(), fingerprint="f", replace=replace)


def made(lake: Lake) -> dict[str, str]:
    """Hashes of exports, with what was noted of them, and of what the tables say of them."""
    run = lake.run_folder("small")
    paths = {name_below(path, run): path for path in files_below(run)}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in paths.items()
        if name.startswith(("exports/", "rejects/part-export", "funnel/part-export"))
    }


def by_hand(lake: Lake) -> dict[str, str]:
    """What a mark notes of inputs on an object store are versions of its own."""
    return {name: found for name, found in made(lake).items() if not name.startswith("exports/.")}


def export_all(lake: Lake, *beam: str, **more: Any) -> None:
    for step in (export_sft, export_rl):
        step(context(lake, *beam, **more))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return sharded(str(tmp_path / "lake"), tmp_path / "images")


def files_of(lake: Lake, kind: str = "sft", split: str = "train") -> list[str]:
    manifest = json.loads((lake.run_folder("small") / "exports" / kind / "manifest.json").read_bytes())
    return [file["name"] for file in manifest["splits"][split]["files"]]


class TestSameBytes:
    @pytest.mark.parametrize("rows_per_file", [1, 2, 5])
    def test_whatever_the_size_of_files(self, lake: Lake, tmp_path: Path, rows_per_file: int) -> None:
        other = sharded(str(tmp_path / "other"), tmp_path / "more")
        export_all(lake, rows_per_file=rows_per_file)
        export_all(other, *IN_PROCESS, rows_per_file=rows_per_file)
        assert made(other) == made(lake)
        assert len(files_of(lake)) == -(-9 // rows_per_file)
        assert {"rejects/part-export_rl-00000.parquet", "exports/rl/README.md"} < made(lake).keys()

    def test_with_several_processes(self, lake: Lake, tmp_path: Path) -> None:
        other = sharded(str(tmp_path / "other"), tmp_path / "more")
        export_all(lake)
        export_all(other, *PROCESSES)
        assert made(other) == made(lake)

    def test_in_a_bucket(self, remote: str, lake: Lake, tmp_path: Path) -> None:
        other = sharded(remote, tmp_path / "more")
        export_all(lake)
        export_all(other, rows_per_file=4)
        export_all(other, *IN_PROCESS)
        assert by_hand(other) == by_hand(lake)

    def test_where_rows_stay_out(self, lake: Lake, tmp_path: Path) -> None:
        other = sharded(str(tmp_path / "other"), tmp_path / "more")
        for each in (lake, other):
            gone = next(each.read_table("small", "seeds", Seed)).image_sha256
            each.images.path(gone).unlink()
        export_all(lake, levels=[2])
        export_all(other, *IN_PROCESS, levels=[2])
        assert made(other) == made(lake)
        counts = [
            count for count in other.read_table("small", "funnel", StageCount) if count.stage.startswith("export")
        ]
        assert all(count.passed < count.entered == 12 for count in counts)

    @pytest.mark.parametrize("form", ["trl", "verl", "ms-swift"])
    def test_for_trainers(self, lake: Lake, form: str) -> None:
        target = Target(form, BACKBONES["qwen2.5-vl"])
        config = context(lake, levels=[1]).config
        folder = export_for(config, "rl", target).folder
        here = {path.name: path.read_bytes() for path in files_below(folder)}
        done = export_for(config, "rl", target, runner_args=IN_PROCESS)
        assert done.folder == folder
        assert {path.name: path.read_bytes() for path in files_below(folder)} == here

    def test_a_run_without_rows(self, lake: Lake, tmp_path: Path) -> None:
        other = sharded(str(tmp_path / "other"), tmp_path / "more")
        for each, beam in ((lake, ()), (other, IN_PROCESS)):
            export_rl(context(each, *beam, levels=[], rows_per_file=1))
        assert made(other) == made(lake)
        assert files_of(other, "rl") == []


class TestWhoWrites:
    @pytest.mark.parametrize(("rows_per_file", "jobs"), [(11, ["export_sft", "export_rl"]), (12, [])])
    def test_a_job_where_there_is_more_than_a_file_to_write(
        self, lake: Lake, caplog: pytest.LogCaptureFixture, rows_per_file: int, jobs: list[str]
    ) -> None:
        with caplog.at_level(logging.INFO, "gog"):
            export_all(lake, *IN_PROCESS, rows_per_file=rows_per_file)
        said = [record.getMessage() for record in caplog.records]
        assert [line.split("=")[1] for line in said if line.startswith("pipeline started")] == jobs
        counted = [line for line in said if line.startswith("pipeline done step=export_rl")]
        assert all("export_rl_entered=12 export_rl_passed=8 export_rl_rejected=4" in line for line in counted)
        assert len(counted) == len(jobs[1:])

    def test_nothing_is_left_beside_the_exports(self, remote: str, tmp_path: Path) -> None:
        lake = sharded(remote, tmp_path / "more")
        folder = lake.run_folder("small") / "exports"
        write_whole(folder / ".sft.new" / "0123" / "export" / "data" / "train-0.parquet", b"of one that was killed")
        export_sft(context(lake, *IN_PROCESS))
        assert {name_below(path, folder).split("/")[0] for path in files_below(folder)} == {"sft", ".sft.json"}


class TestTrouble:
    """The export before is kept, and nothing of the new one."""

    @pytest.fixture
    def before(self, lake: Lake) -> dict[str, str]:
        export_sft(context(lake))
        return made(lake)

    @pytest.mark.parametrize(
        ("table", "step", "why"),
        [
            ("trajectories", "synthesize", "is not in the table trajectories"),
            ("seeds", "ingest", "is not in the table seeds"),
            ("verdicts", "synthesize", "is not in the table verdicts"),
        ],
    )
    def test_a_row_that_is_missing(self, lake: Lake, before: dict[str, str], table: str, step: str, why: str) -> None:
        lake.part_path("small", table, step, 1).unlink()
        with pytest.raises(LakeError, match=why):
            export_sft(context(lake, *IN_PROCESS, rows_per_file=3))
        assert made(lake) == before

    def test_a_row_that_is_there_twice(self, lake: Lake, before: dict[str, str]) -> None:
        for table, step in (("curated", "curate"), ("trajectories", "synthesize"), ("seeds", "ingest")):
            again = list(lake.read_table("small", table, TABLES[table]))
            write_part(lake.part_path("small", table, step, 1), table, again)
        for shard in range(SHARDS):
            every = list(lake.read_table("small", "verdicts", TABLES["verdicts"]))
            write_part(lake.part_path("small", "verdicts", "synthesize", shard), "verdicts", every)
        with pytest.raises(LakeError, match="is in the tables twice"):
            export_sft(context(lake, *IN_PROCESS, rows_per_file=3))
        assert made(lake) == before

    def test_a_smaller_one(self, lake: Lake, before: dict[str, str]) -> None:
        with pytest.raises(SmallerExportError, match="has 12 rows and this export would have 0"):
            export_sft(context(lake, *IN_PROCESS, rows_per_file=3, replace=False, max_tokens=256))
        assert made(lake) == before

    @pytest.mark.parametrize("lost", ["shards", "files"])
    def test_what_a_worker_did_not_write(
        self, lake: Lake, before: dict[str, str], monkeypatch: pytest.MonkeyPatch, lost: str
    ) -> None:
        def lose_one(path: Path, data: bytes) -> None:
            if path.parent.name != lost or "00001" not in path.name:
                write_atomic(path, data)

        monkeypatch.setattr(f"{export_job.__name__}.write_atomic", lose_one)
        with pytest.raises(LakeError, match=r"rows were lost|has not written all files"):
            export_sft(context(lake, *IN_PROCESS, rows_per_file=3))
        assert made(lake) == before

    def test_a_worker_that_works_twice(self, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        other = sharded(str(tmp_path / "other"), tmp_path / "more")
        export_all(lake)
        write = export_job._Job.write

        def twice(job: Any, split: Split, number: int, of: int, rows: Iterator[Row]) -> None:
            every = list(rows)
            for _ in range(2):
                write(job, split, number, of, iter(every))

        monkeypatch.setattr(export_job._Job, "write", twice)
        export_all(other, *IN_PROCESS)
        assert made(other) == made(lake)
