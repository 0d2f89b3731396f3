import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gog.pipelines.lake.lake import Lake, LakeError, Manifest, ShardState, write_atomic, write_part
from gog.schemas import Box, Region, Reject, Seed, Unit
from gog.schemas.arrow import arrow_schema
from gog.schemas.rows import SchemaError
from gog.transforms.images import sha256_hex

SHA = sha256_hex(b"x")


def seed(number: int) -> Seed:
    return Seed(
        seed_id=f"seed-{number:016x}",
        dataset="test",
        question=f"Who is number {number}? ünï",
        answers=("Ada", "Lovelace"),
        image_sha256=SHA,
        width=10,
        height=20,
        image_phash="0" * 16,
        extra={"n": number},
    )


def one_line(error: pytest.ExceptionInfo[LakeError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def fail_with(code: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class TestOpening:
    def test_makes_what_is_missing_and_opens_it_again(self, tmp_path: Path) -> None:
        root = tmp_path / "a" / "lake"
        Lake(root)
        assert json.loads((root / "lake.json").read_text()) == {"schema_version": 1}
        Lake(root, create=False)

    def test_reading_makes_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(LakeError, match="no lake at") as caught:
            Lake(tmp_path / "lake", create=False)
        one_line(caught)
        assert list(tmp_path.iterdir()) == []

    def test_a_newer_lake_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "lake.json").write_text('{"schema_version": 2}')
        with pytest.raises(LakeError, match="schema version 2, newer than this engine's 1: upgrade") as caught:
            Lake(tmp_path)
        one_line(caught)

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema_version": "x"}', "[" * 100_000, "\0"])
    def test_a_damaged_version_is_said_to_be(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "lake.json").write_text(text)
        with pytest.raises(LakeError, match="damaged") as caught:
            Lake(tmp_path)
        one_line(caught)

    def test_a_file_in_the_place_of_the_lake(self, tmp_path: Path) -> None:
        (tmp_path / "lake").write_text("not a folder")
        with pytest.raises(LakeError, match="in the place of a folder") as caught:
            Lake(tmp_path / "lake")
        one_line(caught)

    @pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
    def test_a_read_only_lake(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        lake = Lake(tmp_path)
        write_part(lake.part_path("r", "seeds", "ingest", 0), "seeds", [seed(1)])
        monkeypatch.setattr(Path, "open", fail_with(code))
        monkeypatch.setattr(Path, "mkdir", fail_with(code))
        monkeypatch.setattr(os, "open", fail_with(code))
        attempts: list[Callable[[], Any]] = [
            lambda: lake.images.put(b"x", "jpg"),
            lambda: lake.write_manifest(Manifest(run="r", fingerprint="f")),
            lambda: lake.lock("r").__enter__(),
            lambda: write_part(lake.part_path("r", "seeds", "ingest", 1), "seeds", []),
        ]
        for attempt in attempts:
            with pytest.raises(LakeError, match="read-only") as caught:
                attempt()
            one_line(caught)
        assert len(list(lake.read_table("r", "seeds", Seed))) == 1

    @pytest.mark.parametrize("run", ["", ".", "..", "../x", "a/b", "-x", "x" * 65, "a b", "a\n"])
    def test_names_of_runs(self, tmp_path: Path, run: str) -> None:
        with pytest.raises(LakeError, match="no name for a run") as caught:
            Lake(tmp_path).run_folder(run)
        one_line(caught)


class TestFullDisk:
    def test_is_one_line_and_leaves_nothing_half_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        lake = Lake(tmp_path)
        lake.write_manifest(Manifest(run="r", fingerprint="one"))
        before = files(tmp_path)
        monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))
        for attempt in (
            lambda: lake.write_manifest(Manifest(run="r", fingerprint="two")),
            lambda: write_part(lake.part_path("r", "seeds", "ingest", 0), "seeds", [seed(1)]),
        ):
            with pytest.raises(LakeError, match="disk is full") as caught:
                attempt()
            one_line(caught)
        monkeypatch.undo()
        assert files(tmp_path) == before
        manifest = lake.read_manifest("r")
        assert manifest is not None
        assert manifest.fingerprint == "one"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_on_a_device_that_is_really_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Path, "open", lambda _, mode: open("/dev/full", mode.replace("x", "w")))  # noqa: PTH123, SIM115
        with pytest.raises(LakeError, match="disk is full"):
            write_atomic(tmp_path / "file", b"x" * 100_000)
        assert files(tmp_path) == []


class TestManifest:
    def test_goes_and_comes_back(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        assert lake.read_manifest("r") is None
        manifest = Manifest(
            run="r",
            fingerprint="f",
            config={"k": 4, "name": "ü"},
            state="stopped",
            shards={
                10: ShardState(spec={"first": 0}, done=("synthesize",), counts={"seeds": 3}),
                2: ShardState(spec={}),
            },
            spend={"cost": 0.5},
        )
        lake.write_manifest(manifest)
        assert lake.read_manifest("r") == manifest
        assert lake.runs() == ["r"]

    @pytest.mark.parametrize("text", ["", "{", '{"run": "r"}', '{"run": "r", "fingerprint": "f", "new": 1}'])
    def test_a_damaged_one_is_said_to_be(self, tmp_path: Path, text: str) -> None:
        lake = Lake(tmp_path)
        lake.run_folder("r").mkdir(parents=True)
        (lake.run_folder("r") / "manifest.json").write_text(text)
        with pytest.raises(LakeError, match="damaged") as caught:
            lake.read_manifest("r")
        one_line(caught)

    def test_a_newer_one_is_refused(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        lake.write_manifest(Manifest(run="r", fingerprint="f", schema_version=9))
        with pytest.raises(LakeError, match="newer"):
            lake.read_manifest("r")


WRITE = """
import pathlib, sys
from gog.pipelines.lake.lake import write_atomic
path = pathlib.Path(sys.argv[1])
print("ready", flush=True)
for n in range(10**9):
    write_atomic(path, bytes([n % 256]) * 3_000_000, sync=False)
"""


class TestParts:
    def test_come_back_as_records(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        seeds = [seed(number) for number in range(20)]
        assert write_part(lake.part_path("r", "seeds", "ingest", 1), "seeds", seeds[10:]) == 10
        assert write_part(lake.part_path("r", "seeds", "ingest", 0), "seeds", reversed(seeds[:10])) == 10
        assert list(lake.read_table("r", "seeds", Seed)) == seeds
        assert list(lake.read_table("r", "seeds", Seed, "ingest", 1)) == seeds[10:]
        assert list(lake.read_table("r", "seeds", Seed, "ingest", 7)) == []
        assert list(lake.read_table("r", "regions", Region)) == []

    def test_shards_come_in_order_beyond_five_digits(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        for shard in (100_000, 99_999, 0):
            write_part(lake.part_path("r", "seeds", "ingest", shard), "seeds", [seed(shard)])
        assert [row["extra"] for row in lake.read_rows("r", "seeds")] == ['{"n":0}', '{"n":99999}', '{"n":100000}']

    def test_two_writes_are_byte_identical(self, tmp_path: Path) -> None:
        a, b = tmp_path / "a", tmp_path / "b"
        write_part(a, "seeds", [seed(number) for number in range(100)])
        write_part(b, "seeds", [seed(number) for number in reversed(range(100))])
        assert a.read_bytes() == b.read_bytes()

    def test_duckdb_reads_them_with_empty_ones_among_them(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        write_part(lake.part_path("r", "seeds", "ingest", 0), "seeds", [])
        write_part(lake.part_path("r", "seeds", "ingest", 1), "seeds", [seed(3)])
        glob = lake.table_folder("r", "seeds") / "part-*.parquet"
        with duckdb.connect() as db:
            found = db.execute(f"select width, answers->>1, extra->>'n', entity from '{glob}'").fetchall()
        assert found == [(10, "Lovelace", "3", None)]

    def test_boxes_come_back_exactly(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        region = Region(region_id="r1", seed_id="s", box=Box(0.1, 1 / 3, 0.7, 0.9), score=0.1, source="t")
        write_part(lake.part_path("r", "regions", "ingest", 0), "regions", [region])
        assert list(lake.read_table("r", "regions", Region)) == [region]

    def test_hostile_text_can_be_stored(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        reject = Reject.of("ingest", Unit.ROW, "x#1", "ingest.bad_row", detail="half \ud83d and \0", payload="\udcff")
        write_part(lake.part_path("r", "rejects", "ingest", 0), "rejects", [reject])
        assert list(lake.read_table("r", "rejects", Reject)) == [reject]

    def test_a_record_that_does_not_fit_writes_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "part"
        with pytest.raises(SchemaError, match="seeds"):
            write_part(path, "seeds", [seed(1).model_copy(update={"width": 0})])
        assert list(tmp_path.iterdir()) == []

    def test_the_wrong_record_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(TypeError, match="does not hold Region"):
            next(Lake(tmp_path).read_table("r", "seeds", Region))
        with pytest.raises(LakeError, match="no table"):
            Lake(tmp_path).part_path("r", "../x", "ingest", 0)

    def test_a_damaged_part_is_said_to_be(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        path = lake.part_path("r", "seeds", "ingest", 0)
        write_part(path, "seeds", [seed(1)])
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(LakeError, match="damaged") as caught:
            list(lake.read_rows("r", "seeds"))
        one_line(caught)

    def test_a_part_of_a_newer_version_is_refused(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        path = lake.part_path("r", "seeds", "ingest", 0)
        path.parent.mkdir(parents=True)
        schema = arrow_schema("seeds").with_metadata({"gog.schema_version": "2"})
        pq.write_table(pa.Table.from_pylist([], schema=schema), path)
        with pytest.raises(LakeError, match="upgrade"):
            list(lake.read_rows("r", "seeds"))

    def test_killed_while_writing_leaves_whole_files_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        with subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            while not path.exists():
                assert child.poll() is None
            child.send_signal(signal.SIGKILL)
            child.wait()
        data = path.read_bytes()
        assert len(data) == 3_000_000
        assert len(set(data)) == 1

    def test_an_interrupt_keeps_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "file"
        write_atomic(path, b"old")

        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomic(path, b"new")
        assert path.read_bytes() == b"old"
        assert files(tmp_path) == ["file"]
