import json
from pathlib import Path

import apache_beam as beam
import duckdb
import pyarrow.parquet as pq
import pytest

from gog.schemas import Box, Region, Reject, Unit
from gog.schemas.rows import to_row
from gog.transforms.beam.parts import WriteParts
from gog.transforms.part_file import encode_part


def region(number: int) -> Region:
    return Region(
        region_id=f"region-{number:03d}",
        seed_id="seed-1",
        box=Box(0.1, 0.2, 0.3, 0.4),
        label=f"sign {number}",
        score=number / 100,
        source="test",
    )


def reject(number: int) -> Reject:
    return Reject.of("ingest", Unit.ROW, f"row#{number}", "ingest.no_answer")


def elements(shards: int, each: int) -> list[tuple[str, int, str]]:
    regions = [
        ("regions", shard, json.dumps(to_row(region(shard * each + number))))
        for shard in range(shards)
        for number in range(each)
    ]
    return [*regions, ("rejects", 1, json.dumps(to_row(reject(1))))]


def write(root: Path, rows: list[tuple[str, int, str]], shards: int) -> list[tuple[str, int, int]]:
    counted = root / "counted"
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        (
            pipeline
            | beam.Create(rows)
            | WriteParts(str(root), "r", "ingest", ["regions", "rejects"], range(shards))
            | beam.Map(json.dumps)
            | beam.io.WriteToText(str(counted), num_shards=1, shard_name_template="")
        )
    return sorted(tuple(json.loads(line)) for line in counted.read_text("utf-8").splitlines())


def test_rows_become_one_part_a_shard_and_table(tmp_path: Path) -> None:
    counts = write(tmp_path, elements(3, 10), shards=3)
    assert counts == [
        ("regions", 0, 10),
        ("regions", 1, 10),
        ("regions", 2, 10),
        ("rejects", 0, 0),
        ("rejects", 1, 1),
        ("rejects", 2, 0),
    ]
    run = tmp_path / "runs" / "r"
    assert sorted(str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()) == [
        f"{table}/part-ingest-0000{shard}.parquet" for table in ("regions", "rejects") for shard in range(3)
    ]
    with duckdb.connect() as db:
        found = db.execute(f"select count(*), min(box), max(score) from '{run}/regions/part-*.parquet'").fetchall()
        assert found == [(30, "[0.1,0.2,0.3,0.4]", 0.29)]
        assert db.execute(f"select reason from '{run}/rejects/*.parquet'").fetchall() == [("ingest.no_answer",)]


def test_order_of_arrival_does_not_matter_and_writing_again_replaces(tmp_path: Path) -> None:
    rows = elements(2, 20)
    write(tmp_path / "a", rows, shards=2)
    write(tmp_path / "b", rows[:5], shards=2)
    write(tmp_path / "b", rows[::-1], shards=2)
    for part in (tmp_path / "a" / "runs").rglob("*.parquet"):
        assert part.read_bytes() == (tmp_path / "b" / part.relative_to(tmp_path / "a")).read_bytes()


def test_a_row_that_does_not_fit_stops_the_pipeline_and_leaves_no_part(tmp_path: Path) -> None:
    row = to_row(region(1)) | {"score": "high"}
    with pytest.raises(Exception, match="regions: score"):
        write(tmp_path, [("regions", 0, json.dumps(row))], shards=1)
    assert not list(tmp_path.rglob("regions/*"))


class TestEncoding:
    def test_same_rows_same_bytes_in_any_order(self) -> None:
        rows = [to_row(region(number)) for number in range(50)]
        assert encode_part("regions", rows) == encode_part("regions", rows[::-1])

    def test_rows_with_equal_keys_are_ordered_too(self) -> None:
        rows = [to_row(region(1)), to_row(region(1).model_copy(update={"label": "other"}))]
        assert encode_part("regions", rows) == encode_part("regions", rows[::-1])

    def test_sorted_with_fixed_row_groups_and_zstd(self, tmp_path: Path) -> None:
        rows = [to_row(reject(number)) for number in range(5100)]
        (tmp_path / "part").write_bytes(encode_part("rejects", rows))
        file = pq.ParquetFile(tmp_path / "part")
        ids = file.read(["reject_id"])["reject_id"].to_pylist()
        assert ids == sorted(row["reject_id"] for row in rows)
        assert [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)] == [5000, 100]
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"
