"""Parquet whose footer lies about its rows."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gog.transforms.sources.formats import SourceError, Span
from gog.transforms.sources.parquet_format import parquet_rows, parquet_spans

ROWS = 777


def varint(number: int) -> bytes:
    """As Thrift's compact protocol writes an i64."""
    number <<= 1
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def lying(path: Path, rows: int, places: tuple[int, ...]) -> Path:
    """A file of 777 rows whose footer says `rows` in these of its four places: column, page index, group, file."""
    pq.write_table(pa.table({"a": list(range(ROWS))}), path, compression="none", use_dictionary=False)
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    first, *parts = data[-8 - length : -8].split(varint(ROWS))
    assert len(parts) >= 3
    footer = first + b"".join(varint(rows if at in places else ROWS) + part for at, part in enumerate(parts))
    path.write_bytes(data[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


ALL = tuple(range(9))


@pytest.mark.parametrize("rows", [2**40, 2**62, 778, 100_000])
@pytest.mark.parametrize("places", [(0,), ALL[1:], ALL])
def test_no_more_rows_are_promised_than_are_there(tmp_path: Path, rows: int, places: tuple[int, ...]) -> None:
    path = lying(tmp_path / "a.parquet", rows, places)
    if places == ALL and rows == 778:  # too little to be counted: found when it is read
        assert sum(span.rows for span in parquet_spans(path, 100)) == rows
        return
    with pytest.raises(SourceError, match="cannot be read: "):
        list(parquet_spans(path, 100))


def test_rows_that_are_not_there_have_an_error(tmp_path: Path) -> None:
    read = list(parquet_rows(lying(tmp_path / "a.parquet", 800, ALL), Span(700, 800, 701, 100)))
    assert [number for number, _, _ in read] == list(range(701, 801))
    assert [data for _, data, error in read if not error] == [{"a": value} for value in range(700, ROWS)]
    assert all("more rows than are there" in error for _, data, error in read if not data)


def test_rows_that_take_no_room_are_believed_when_counted(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.nulls(100_000, pa.int64())}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 100_000 / 8
    assert len(list(parquet_spans(tmp_path / "a.parquet", 1000))) == 100


def test_broken_statistics_are_a_damaged_file_and_no_end_of_the_process() -> None:
    """In a process of its own: Arrow ends it where it is asked for the statistics."""
    path = Path(__file__).parents[2] / "fuzz" / "corpus" / "parquet" / "broken-statistics"
    program = (
        "import sys; from pathlib import Path\n"
        "from gog.transforms.sources.parquet_format import parquet_rows, parquet_spans\n"
        "path = Path(sys.argv[1])\n"
        "print([error for span in parquet_spans(path, 100) for _, _, error in parquet_rows(path, span)])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout.count("the file is damaged: Definition level histogram size mismatch") == 2


def test_a_column_whose_name_is_no_text_is_a_damaged_file() -> None:
    path = Path(__file__).parents[2] / "fuzz" / "corpus" / "parquet" / "column-of-no-text"
    with pytest.raises(SourceError, match="cannot be read: 'utf-8' codec"):
        list(parquet_spans(path, 100))
    assert [error[:20] for _, _, error in parquet_rows(path, Span(0, 2, 1, 2))] == ["the file is damaged:"] * 2
