import csv
import io
import itertools
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gog.pipelines.sources.files import (
    ATLAS_MAPPING,
    AtlasRows,
    FileKind,
    FileRows,
    LocalImages,
    ShardSpec,
    Source,
    SourceError,
)
from gog.schemas import Reject
from gog.transforms.images import ImageError, ImageLimits
from gog.transforms.ingest.seeds import Ingested, to_seed
from gog.transforms.sources import formats
from gog.transforms.sources.mapping import FieldMapping, SourceRow, check_mapping

ROWS: list[dict[str, Any]] = [
    {"id": str(n), "question": f'Qüestion "{n}", [{{what}}]?\nyes\\', "answer": "a,b"} for n in range(25)
]


def dump(path: Path, kind: FileKind, rows: list[dict[str, Any]]) -> Path:
    match kind:
        case "jsonl":
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        case "json":
            path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), "utf-8")
        case "csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        case "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    return path


def read(source: Source) -> list[SourceRow]:
    return [row for spec in source.shards() for row in source.read_shard(spec)]


KINDS: list[FileKind] = ["jsonl", "json", "csv", "parquet"]


@pytest.mark.parametrize("kind", KINDS)
class TestEveryFormat:
    @pytest.mark.parametrize("size", [1, 4, 10, 25, 100])
    def test_shards_give_every_row_once_in_order(self, tmp_path: Path, kind: FileKind, size: int) -> None:
        source = FileRows(str(dump(tmp_path / "rows", kind, ROWS)), kind, size)
        specs = list(source.shards())
        assert [spec.shard for spec in specs] == list(range(-(-25 // size)))
        assert sum(spec.rows for spec in specs) == 25
        rows = [row for spec in specs for row in source.read_shard(spec)]
        assert [dict(row.data) for row in rows] == ROWS
        assert all(not row.error for row in rows)
        assert len({row.row_id for row in rows}) == 25
        assert rows[0].row_id == "rows#1"

    def test_a_shard_can_be_read_alone_from_its_json(self, tmp_path: Path, kind: FileKind) -> None:
        source = FileRows(str(dump(tmp_path / "rows", kind, ROWS)), kind, 10)
        spec = list(source.shards())[1]
        again = ShardSpec.model_validate_json(spec.model_dump_json())
        assert [row.data["id"] for row in source.read_shard(again)] == [str(n) for n in range(10, 20)]

    def test_patterns_take_files_by_name(self, tmp_path: Path, kind: FileKind) -> None:
        (tmp_path / "sub").mkdir()
        dump(tmp_path / "sub" / "b", kind, ROWS[:3])
        dump(tmp_path / "sub" / "a", kind, ROWS[3:5])
        rows = read(FileRows(str(tmp_path / "*" / "*"), kind, 2))
        assert [row.row_id for row in rows] == ["sub/a#1", "sub/a#2", "sub/b#1", "sub/b#2", "sub/b#3"]

    def test_a_file_that_changed_is_noticed(self, tmp_path: Path, kind: FileKind) -> None:
        path = dump(tmp_path / "rows", kind, ROWS)
        source = FileRows(str(path), kind, 100)
        signature = source.signature()
        specs = list(source.shards())
        dump(path, kind, ROWS[:20])
        assert source.signature() != signature
        with pytest.raises(SourceError, match="changed"):
            list(source.read_shard(specs[0]))

    def test_no_file_is_one_line(self, tmp_path: Path, kind: FileKind) -> None:
        for path in (tmp_path / "gone", tmp_path / "*.x", tmp_path):
            with pytest.raises(SourceError) as caught:
                FileRows(str(path), kind, 5)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("data", [b"", b"\0" * 100, b"PAR1", b"{", b'"', b"\xff\xfe\x00", b"[" * 10_000])
    def test_garbage_is_bad_rows_or_one_line(self, tmp_path: Path, kind: FileKind, data: bytes) -> None:
        (tmp_path / "rows").write_bytes(data)
        try:
            rows = read(FileRows(str(tmp_path / "rows"), kind, 5))
        except SourceError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert all(row.error for row in rows)


class TestBrokenRows:
    def test_jsonl(self, tmp_path: Path) -> None:
        lines = [
            b'{"a": 1}',
            b"",
            b'{"a": ',
            b"[1]",
            b'{"a": "\xff"}',
            b'{"a": ' + b"[" * 100_000 + b"}",
            b'{"a": ' + b"9" * 5000 + b"}",
            b'{"a": 2}',
        ]
        (tmp_path / "rows").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
        rows = read(FileRows(str(tmp_path / "rows"), "jsonl", 2))
        assert [row.row_id for row in rows] == [f"rows#{n}" for n in (1, 3, 4, 5, 6, 7, 8)]
        assert [bool(row.error) for row in rows] == [False, True, True, True, True, True, False]
        assert "UTF-8" in rows[3].error
        assert rows[3].data == {"raw": '{"a": "\\xff"}\n'}
        assert len(str(rows[4].data)) < 1100

    def test_a_line_without_end_is_not_read_into_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(formats, "LINE_LIMIT", 1000)
        (tmp_path / "rows").write_bytes(b'{"a": 1}\n' + b"x" * 5_000_000 + b'\n{"a": 2}\n' + b"y" * 1000 + b"\n")
        rows = read(FileRows(str(tmp_path / "rows"), "jsonl", 2))
        assert [bool(row.error) for row in rows] == [False, True, False, True]
        assert [row.row_id for row in rows] == [f"rows#{n}" for n in (1, 2, 3, 4)]

    def test_json(self, tmp_path: Path) -> None:
        (tmp_path / "rows").write_bytes(b' [{"a": "],["}, {"a" 1}, 5, {"a": "\xff"}, {"a": {"b": [1, 2]}}, {"a": "cut')
        rows = read(FileRows(str(tmp_path / "rows"), "json", 2))
        assert [bool(row.error) for row in rows] == [False, True, True, True, False, True]
        assert rows[4].data == {"a": {"b": [1, 2]}}

    @pytest.mark.parametrize("text", ["[]", " [ ] ", "\ufeff[\n]"])
    def test_an_empty_json_list(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "rows").write_text(text, "utf-8")
        assert list(FileRows(str(tmp_path / "rows"), "json", 2).shards()) == []

    def test_json_that_is_no_list_says_what_to_do(self, tmp_path: Path) -> None:
        (tmp_path / "rows").write_text('{"a": 1}\n{"a": 2}\n')
        with pytest.raises(SourceError, match="jsonl"):
            read(FileRows(str(tmp_path / "rows"), "json", 2))

    def test_csv(self, tmp_path: Path) -> None:
        (tmp_path / "rows").write_bytes(b'a,b\n1,2\n\n3\n"x\ny",\xff\n"q""r",5,6\n7,"never closed\n8,9\n')
        rows = read(FileRows(str(tmp_path / "rows"), "csv", 2))
        assert [row.error.partition(":")[0] for row in rows] == ["", "line 4", "line 5", "line 7", "line 8", ""]
        assert rows[0].data == {"a": "1", "b": "2"}
        assert rows[2].data == {"a": "x\ny", "b": "\\xff"}
        assert rows[5].data == {"a": "8", "b": "9"}

    @pytest.mark.parametrize("header", ["", "a,a\n1,2\n", ",,\n", '"a,b\n1,2\n'])
    def test_csv_without_usable_columns(self, tmp_path: Path, header: str) -> None:
        (tmp_path / "rows").write_text(header)
        with pytest.raises(SourceError, match="columns"):
            read(FileRows(str(tmp_path / "rows"), "csv", 2))

    def test_a_csv_field_above_the_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(formats, "LINE_LIMIT", 1000)
        (tmp_path / "rows").write_text('a,b\n1,2\n3,"' + "x\n" * 2000 + '"\n5,6\n')
        rows = read(FileRows(str(tmp_path / "rows"), "csv", 2))
        assert [dict(row.data) for row in rows if not row.error] == [{"a": "1", "b": "2"}, {"a": "5", "b": "6"}]
        assert "never closed" in rows[1].error

    def test_parquet_text_that_is_not_utf8(self, tmp_path: Path) -> None:
        raw = pa.array([b"a", b"\xff\xfe", b"c"], pa.binary())
        text = pa.StringArray.from_buffers(3, *raw.buffers()[1:])
        pq.write_table(pa.table({"question": text, "n": [1, 2, 3]}), tmp_path / "rows")
        rows = read(FileRows(str(tmp_path / "rows"), "parquet", 10))
        assert [bool(row.error) for row in rows] == [False, True, False]
        assert "UTF-8" in rows[1].error

    def test_a_damaged_page_of_parquet_costs_its_rows_alone(self, tmp_path: Path) -> None:
        rows = [{"n": n, "text": os.urandom(200).hex()} for n in range(40)]
        path = tmp_path / "rows"
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=10, use_dictionary=False)
        with pq.ParquetFile(path) as file:
            column = file.metadata.row_group(1).column(1)
            at = column.data_page_offset + column.total_compressed_size // 2
        data = bytearray(path.read_bytes())
        data[at : at + 200] = b"\xff" * 200
        path.write_bytes(data)
        found = read(FileRows(str(path), "parquet", 10))
        assert len(found) == 40
        assert [row.row_id for row in found] == [f"rows#{n}" for n in range(1, 41)]
        assert not any(row.error for row in (*found[:10], *found[20:]))


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


class TestProperties:
    @settings(max_examples=40, deadline=None)
    @given(
        rows=st.lists(st.dictionaries(texts, st.recursive(texts | st.integers(), lambda v: st.lists(v, max_size=3)))),
        size=st.integers(1, 5),
        spaces=st.sampled_from([None, 0, 3]),
    )
    def test_any_json_list(
        self, tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], size: int, spaces: int | None
    ) -> None:
        path = tmp_path_factory.mktemp("json") / "rows"
        path.write_text(json.dumps(rows, indent=spaces), "utf-8")
        assert [row.data for row in read(FileRows(str(path), "json", size))] == rows

    @settings(max_examples=40, deadline=None)
    @given(rows=st.lists(st.tuples(texts, texts), max_size=12), size=st.integers(1, 5))
    def test_any_csv(self, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], size: int) -> None:
        path = tmp_path_factory.mktemp("csv") / "rows"
        out = io.StringIO(newline="")
        writer = csv.writer(out, quoting=csv.QUOTE_ALL)
        writer.writerows([("a", "b"), *rows])
        path.write_bytes(out.getvalue().encode())
        assert [(row.data["a"], row.data["b"]) for row in read(FileRows(str(path), "csv", size))] == rows

    @settings(max_examples=60, deadline=None)
    @given(data=st.binary(max_size=300), kind=st.sampled_from(["jsonl", "json", "csv"]), size=st.integers(1, 3))
    def test_any_bytes_are_rows_or_one_line(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: FileKind, size: int
    ) -> None:
        path = tmp_path_factory.mktemp("any") / "rows"
        path.write_bytes(data)
        try:
            rows = read(FileRows(str(path), kind, size))
        except SourceError:
            return
        for row in rows:
            assert isinstance(to_seed(row, FieldMapping(), dataset="d"), Reject)


class TestMemory:
    def test_large_files_are_read_in_bounded_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "rows"
        with path.open("w") as file:
            file.writelines(f'{{"n": {n}, "text": "{"x" * 200}"}}\n' for n in range(100_000))
        source = FileRows(str(path), "jsonl", 1000)
        tracemalloc.start()
        try:
            specs = list(source.shards())
            last = list(source.read_shard(specs[-1]))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(specs) == 100
        assert last[-1].data["n"] == 99_999
        assert peak < 8 << 20


class TestAtlas:
    def test_rows_do_not_depend_on_the_shards(self) -> None:
        one = read(AtlasRows(7, 1, 3))
        assert [row.row_id for row in one] == [f"atlas#{n}" for n in range(7)]
        assert one == read(AtlasRows(7, 1, 100))
        assert one[0].data["image"] != read(AtlasRows(1, 2, 1))[0].data["image"]

    def test_every_row_becomes_a_seed_by_the_mapping(self) -> None:
        rows = read(AtlasRows(12, 3, 5))
        check_mapping(rows, ATLAS_MAPPING)
        for row in rows:
            result = to_seed(row, ATLAS_MAPPING, dataset="atlas")
            assert isinstance(result, Ingested)
            assert [kept.data for kept in result.pictures] == [row.data["image"]]
            assert result.seed.extra["kind"]
            assert result.seed.licence

    def test_signature(self) -> None:
        assert AtlasRows(7, 1, 3).signature() == AtlasRows(7, 1, 5).signature()
        assert AtlasRows(7, 1, 3).signature() != AtlasRows(7, 2, 3).signature()


class TestLocalImages:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "in" / "sub").mkdir(parents=True)
        (tmp_path / "in" / "sub" / "a.png").write_bytes(b"a")
        (tmp_path / "secret").write_bytes(b"secret")
        return tmp_path / "in"

    def reason(self, images: LocalImages, path: str) -> str:
        with pytest.raises(ImageError) as caught:
            images(path)
        return caught.value.reason

    def test_reads_files_below(self, folder: Path) -> None:
        (folder / "link").symlink_to(folder / "sub" / "a.png")
        assert LocalImages(folder)("sub/a.png") == b"a"
        assert LocalImages(folder)("link") == b"a"

    def test_what_is_no_file_inside(self, folder: Path) -> None:
        (folder / "out").symlink_to(folder.parent / "secret")
        (folder / "up").symlink_to(folder.parent)
        (folder / "loop").symlink_to(folder / "loop")
        os.mkfifo(folder / "pipe")
        images = LocalImages(folder)
        for path in (
            "gone.png",
            "sub",
            "out",
            "up/secret",
            "../secret",
            "loop",
            "pipe",
            "sub/a.png/x",
            "x" * 300,
            "a\0",
        ):
            assert self.reason(images, path) == "ingest.image_unreadable"

    def test_too_large(self, folder: Path) -> None:
        (folder / "big").write_bytes(b"x" * 11)
        assert self.reason(LocalImages(folder, ImageLimits(max_bytes=10)), "big") == "ingest.image_bomb"


REAL = os.environ.get("GOG_REAL_DATA")


@pytest.mark.skipif(REAL is None, reason="GOG_REAL_DATA is not set")
class TestRealRows:
    def test_livevqa(self) -> None:
        folder = Path(REAL or "") / "livevqa" / "News"
        source = FileRows(str(folder / "benchmark.json"), "json", 7)
        mapping = FieldMapping(
            question="level1_qa.question",
            answers=("level1_qa.Ground_Truth_List",),
            image="img_path",
            columns={"id": "id", "category": "level1_qa.question_type"},
        )
        rows = read(source)
        check_mapping(rows, mapping)
        results = [
            to_seed(row, mapping, dataset="livevqa", read_image=LocalImages(folder / "News_imgs")) for row in rows
        ]
        assert len(results) == 30
        assert all(isinstance(result, Ingested) for result in results)

    def test_infoseek_in_the_schema_of_mmsearch_r1(self) -> None:
        source = FileRows(str(Path(REAL or "") / "infoseek" / "*.parquet"), "parquet", 2)
        mapping = FieldMapping(
            question="prompt.0.content",
            answers=("reward_model.ground_truth", "reward_model.candidate_answers"),
            image="images",
        )
        results = [to_seed(row, mapping, dataset="infoseek") for row in read(source)]
        assert [isinstance(result, Ingested) for result in results] == [True] * 5

    def test_dynvqa_names_urls_and_is_told_to_fetch_them(self) -> None:
        source = FileRows(str(Path(REAL or "") / "dynvqa" / "*.jsonl"), "jsonl", 50)
        mapping = FieldMapping(answers=("answer",), image="image_url", columns={"id": "question_id"})
        results = [to_seed(row, mapping, dataset="dynvqa") for row in itertools.islice(read(source), 40)]
        assert {result.reason for result in results if isinstance(result, Reject)} == {"ingest.image_unreadable"}
