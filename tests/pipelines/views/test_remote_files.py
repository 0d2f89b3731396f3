"""Objects as files for DuckDB: what it reads, and how seldom it asks the store."""

import io

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("obstore", reason="the extra cloud is not installed")

from object_stores import S3

from gog.pipelines.views import remote_files
from gog.pipelines.views.remote_files import RemoteFiles
from gog.transforms.object_path import ObjectPath


def part(*numbers: int) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"n": list(numbers)}), sink)
    return sink.getvalue()


@pytest.fixture
def place(remote: str) -> ObjectPath:
    there = ObjectPath(remote)
    for number in range(3):
        (there / f"seeds/part-ingest-0000{number}.parquet").write(part(number, 10 * number))
    return there


@pytest.fixture
def files(place: ObjectPath) -> RemoteFiles:
    return RemoteFiles(place.bucket.partition("://")[0])


def total(files: RemoteFiles, pattern: str) -> int:
    with duckdb.connect() as connection:
        connection.register_filesystem(files)
        ((found,),) = connection.execute(f"SELECT sum(n) FROM read_parquet('{pattern}')").fetchall()
    return int(found)


def test_a_query_is_one_listing_and_a_request_an_object(place: ObjectPath, files: RemoteFiles, s3: S3) -> None:
    before = s3.asked()
    for _ in range(3):
        assert total(files, f"{place}/seeds/part-*.parquet") == 33
    assert s3.asked() - before == {"LIST": 1, "GET": 3}


def test_folders_are_listed_together(place: ObjectPath, files: RemoteFiles, s3: S3) -> None:
    before = s3.asked()
    files.list_ahead(place, ["seeds", "rejects"])
    assert files.glob(f"{place}/rejects/part-*.parquet") == []
    assert len(files.glob(f"{place}/seeds/part-*.parquet")) == 3
    assert s3.asked() - before == {"LIST": 1}


def test_an_object_that_takes_the_place_of_another_is_read(
    place: ObjectPath, files: RemoteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = f"{place}/seeds/part-*.parquet"
    assert total(files, pattern) == 33
    (place / "seeds/part-ingest-00001.parquet").write(part(*range(1000)))
    monkeypatch.setattr(remote_files, "LISTED_S", 0.0)
    assert total(files, pattern) == 22 + 499_500


def test_of_a_large_object_ranges_are_read(
    place: ObjectPath, files: RemoteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_files, "WHOLE", 100)
    assert total(files, f"{place}/seeds/part-*.parquet") == 33


@pytest.mark.parametrize("pattern", ["*/part-ingest-00001.parquet", "seeds/part-ingest-00001.parquet", "s*/*1.parquet"])
def test_patterns(pattern: str, place: ObjectPath, files: RemoteFiles) -> None:
    assert total(files, f"{place}/{pattern}") == 11


def test_what_is_not_there_is_told(place: ObjectPath, files: RemoteFiles) -> None:
    with pytest.raises(duckdb.IOException, match="No files found"):
        total(files, f"{place}/seeds/part-ingest-7.parquet")
    assert files.exists(str(place / "seeds"))
    assert not files.exists(str(place / "nothing"))


def test_nothing_is_written(place: ObjectPath, files: RemoteFiles) -> None:
    with duckdb.connect() as connection:
        connection.register_filesystem(files)
        with pytest.raises((duckdb.Error, PermissionError), match="only read"):
            connection.execute(f"COPY (SELECT 1) TO '{place}/new.parquet'")
    assert not (place / "new.parquet").exists()
