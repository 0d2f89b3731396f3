"""Rows of packed JSONL, of Parquet and of CirrusSearch are read as often as they are asked for; damage is told."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gog.pipelines.tools.build_index import build_index
from gog.pipelines.tools.index_sources import IndexSources
from gog.pipelines.tools.text_lines import Texts
from gog.transforms.sources.formats import SourceError

ROWS: list[dict[str, Any]] = [
    {"title": "Bergen", "text": "Bergen is a city.", "url": "https://w/Bergen"},
    {"title": "Oslo", "text": "Oslo, too."},
]
ARTICLE = {"wiki": "enwiki", "language": "en", "namespace": 0, "version": 7, "category": ["Cities"]}


def lines(path: Path) -> tuple[list[tuple[str, str, str, str]], list[tuple[str, str]]]:
    skipped: list[tuple[str, str]] = []
    texts = Texts([path], skipped)
    found = [(line.where, line.title, line.text, line.url) for line in texts.lines(skipped)]
    assert [line.where for line in texts.lines()] == [where for where, *_ in found], "a second time"
    return found, skipped


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(data)
    return bytes(sink.getvalue())


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


@pytest.mark.parametrize(
    ("ending", "pack"),
    [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstd)],
)
def test_packed_lines_are_read_where_they_are(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"pages.jsonl{ending}"
    path.write_bytes(pack(b"\xef\xbb\xbf" + jsonl(ROWS) + b'\n{"broken\n'))
    found, skipped = lines(path)
    assert found == [
        (f"{path.name}#{n}", row["title"], row["text"], row.get("url", "")) for n, row in enumerate(ROWS, 1)
    ]
    assert [where for where, _ in skipped] == [f"{path.name}#4"]
    assert lines(tmp_path) == (found, skipped), "as a file of a folder"
    assert list(tmp_path.iterdir()) == [path], "nothing is unpacked"


def test_parquet_as_wikipedia_is_published(tmp_path: Path) -> None:
    table = pa.table(
        {"id": ["1", "2", "3"], "url": ["https://w/1", None, ""], "title": ["A", "B", None], "text": ["a", "b", ""]}
    )
    pq.write_table(table, tmp_path / "train-00000.parquet", row_group_size=1)
    found, skipped = lines(tmp_path / "train-00000.parquet")
    assert [line[1:] for line in found] == [("A", "a", "https://w/1"), ("B", "b", "")]
    assert [where for where, _ in skipped] == ["train-00000.parquet#3"]


def test_a_dump_of_cirrussearch(tmp_path: Path) -> None:
    path = tmp_path / "wiki-20261101-cirrussearch-content.json.gz"
    rows = [
        ARTICLE | {"title": "Bergen op Zoom", "text": "A town."},
        ARTICLE | {"title": "Talk", "text": "No.", "namespace": 1},
        ARTICLE | {"wiki": "commonswiki", "title": "Elsewhere", "text": "A file."},
        ARTICLE | {"wiki": "zh_yuewiki", "language": "zh-yue", "title": "卑爾根?", "text": "城市。"},
    ]
    path.write_bytes(gzip.compress(jsonl([one for row in rows for one in ({"index": {"_id": "1"}}, row)])))
    found, skipped = lines(path)
    assert found == [
        (f"{path.name}#2", "Bergen op Zoom", "A town.", "https://en.wikipedia.org/wiki/Bergen_op_Zoom"),
        (f"{path.name}#6", "Elsewhere", "A file.", "Elsewhere"),
        (f"{path.name}#8", "卑爾根?", "城市。", "https://zh-yue.wikipedia.org/wiki/%E5%8D%91%E7%88%BE%E6%A0%B9%3F"),
    ]
    assert skipped == [(f"{path.name}#4", "a page of the namespace 1 is no article")]


def test_what_is_cut_off_counts_up_to_there_and_the_rest_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pages.jsonl.gz"
    many = [{"title": f"Page {n}", "text": f"It tells of {n * n}."} for n in range(5000)]
    path.write_bytes(gzip.compress(jsonl(many))[:-3000])
    found, skipped = lines(path)
    assert 0 < len(found) < 5000
    assert skipped[-1][0] == path.name
    assert skipped[-1][1].startswith("the rest of it cannot be read")


def test_what_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes("{}".encode("utf-16"))
    (tmp_path / "b.jsonl.gz").write_bytes(b"PK\x03\x04 and so on")
    for name, why in (("a.jsonl", "UTF-16"), ("b.jsonl.gz", "zip archive"), ("none.jsonl", "cannot be read")):
        with pytest.raises(SourceError, match=why):
            lines(tmp_path / name)


def test_a_build_streams_what_it_reads(tmp_path: Path) -> None:
    """A page behind another file's title alone is the page, whatever comes first."""
    (tmp_path / "a.jsonl").write_bytes(jsonl([{"title": "Bergen"}, *[{"title": "Lone", "url": "https://l"}] * 2]))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "b.parquet")
    seen: list[int] = []
    report = build_index(
        IndexSources(None, [tmp_path / "a.jsonl", tmp_path / "b.parquet"], on_page=seen.append), tmp_path / "index"
    )
    assert (report.pages, report.skipped) == (3, ())
    assert seen == [0, 1, 2]
