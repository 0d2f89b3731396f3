"""Tars: WebDataset rows in spans, damaged files told apart from their end."""

import io
import json
import tarfile
from pathlib import Path

import published
import pytest

from gog.transforms.sources.formats import SourceError, Span
from gog.transforms.sources.tar_format import tar_members, webdataset_rows, webdataset_spans


def write(path: Path, files: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def shard(path: Path, rows: int = 7) -> Path:
    files: list[tuple[str, bytes]] = []
    for n in range(rows):
        key = f"{'long-name-' * 12 if n == 3 else ''}folder.v1/{n:04d}"
        files += [
            (f"{key}.jpg", published.picture(n)),
            (f"{key}.json", json.dumps({"question": f"What is {n}?", "answers": ["x"]}).encode()),
            (f"{key}.txt", f"caption {n}\n".encode()),
        ]
    return write(path, files)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_rows_in_spans(tmp_path: Path, size: int) -> None:
    path = shard(tmp_path / "a.tar")
    spans = list(webdataset_spans(path, size))
    assert [span.rows for span in spans] == [min(size, 7 - start) for start in range(0, 7, size)]
    rows = [row for span in reversed(spans) for row in reversed(list(webdataset_rows(path, span)))]
    assert [number for number, _, _ in reversed(rows)] == list(range(1, 8))
    for number, data, error in rows:
        assert not error
        assert data["image"] == data["jpg"] == published.picture(number - 1)
        assert data["json"]["question"] == f"What is {number - 1}?"
        assert data["txt"] == f"caption {number - 1}"
        assert data["__key__"].endswith(f"folder.v1/{number - 1:04d}")


def test_a_member_that_is_no_json_breaks_its_row_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", [("0.json", b"{"), ("1.json", b"{}"), ("2.json", b"\xff")])
    ((span,),) = [list(webdataset_spans(path, 10))]
    assert [bool(error) for _, _, error in webdataset_rows(path, span)] == [True, False, True]


def test_a_compressed_tar_is_told(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(shard(tmp_path / "a.tar"), "a")
    with pytest.raises(SourceError, match="unpack"):
        list(webdataset_spans(tmp_path / "a.tar.gz", 10))


@pytest.mark.parametrize("cut", [700, 2000, 5000])
def test_a_tar_that_is_cut_off_is_told(tmp_path: Path, cut: int) -> None:
    path = shard(tmp_path / "a.tar")
    path.write_bytes(path.read_bytes()[: -10240 - cut])
    with pytest.raises(SourceError, match=r"cut off|cannot be read|damaged"):
        list(webdataset_spans(path, 10))


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar")
    with path.open("rb") as file:
        second = list(tar_members(file, path))[1]
    data = bytearray(path.read_bytes())
    data[second.start : second.start + 512] = b"\x07" * 512
    path.write_bytes(bytes(data))
    with pytest.raises(SourceError, match=rf"damaged at byte {second.start}"):
        list(webdataset_spans(path, 10))


def test_an_empty_span_has_no_rows(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar")
    assert list(webdataset_rows(path, Span(0, 0, 1, 0))) == []
