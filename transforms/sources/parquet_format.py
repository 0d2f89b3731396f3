"""Parquet as a format of rows (see `gog.transforms.sources.formats`): a span is one of rows. Needs pyarrow.

A row group is decoded from its start, so files with groups near a shard's size are fastest.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from gog.transforms.sources.formats import Rows, Span, unreadable

_ROWS_PER_BYTE: Final = 8
"""Of a group, more than which are counted before they are believed: most footers say the truth."""


def parquet_spans(path: Path, rows: int) -> Iterator[Span]:
    """Spans of rows, counted from 0. `SourceError` when the file is damaged, or its footer says what is not so."""
    try:
        with pq.ParquetFile(path) as file:
            count = _count(file, path.stat().st_size)
    except (pa.ArrowException, UnicodeError) as error:  # a column's name may be no text
        raise unreadable(path, error) from error
    for start in range(0, count, rows):
        stop = min(count, start + rows)
        yield Span(start, stop, start + 1, stop - start)


def _count(file: pq.ParquetFile, size: int) -> int:
    """Rows of a file of `size` bytes. Raises `ArrowInvalid` where its footer lies."""
    said = int(file.metadata.num_rows)
    groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
    rows = [group.num_rows for group in groups]
    if min(rows, default=0) < 0 or sum(rows) != said:
        raise pa.ArrowInvalid(f"its footer says {said} rows, and its groups say {sum(rows)}")
    # Not `group.column(...)`: where a column's statistics are broken, Arrow ends the whole process there.
    smallest = sorted(file.schema_arrow, key=lambda field: not pa.types.is_primitive(field.type))
    names = [field.name for field in smallest[:1]]
    for at, group in enumerate(groups):
        if rows[at] > _ROWS_PER_BYTE * min(size, max(0, group.total_byte_size)):
            there = sum(batch.num_rows for batch in file.iter_batches(1 << 16, row_groups=[at], columns=names))
            if there != rows[at]:
                raise pa.ArrowInvalid(f"its footer says {rows[at]} rows in group {at}, and {there} are there")
    return said


def parquet_rows(path: Path, span: Span) -> Rows:
    """The rows of a span. Those that are damaged, or that the footer says and nobody finds, have an error.

    Fewer rows than the span has where the footer itself says fewer: the file is another one by now.
    """
    at = span.start
    try:
        with pq.ParquetFile(path) as file:
            for data, error in _parquet_values(file, span):
                yield at + 1, data, error
                at += 1
            missing = at < span.stop <= file.metadata.num_rows
        if missing:
            raise pa.ArrowInvalid("its footer says more rows than are there")
    except (OSError, pa.ArrowException, UnicodeError) as failure:
        detail = f"the file is damaged: {' '.join(str(failure).split())[:200]}"
        for number in range(at + 1, span.stop + 1):
            yield number, {}, detail


def _parquet_values(file: pq.ParquetFile, span: Span) -> Iterator[tuple[dict[str, Any], str]]:
    groups: list[int] = []
    skip, begin = 0, 0
    for group in range(file.metadata.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        if begin < span.stop and end > span.start:
            skip = span.start - begin if not groups else skip
            groups.append(group)
        begin = end
    left = span.stop - span.start
    for batch in file.iter_batches(batch_size=64, row_groups=groups):
        if skip >= batch.num_rows:
            skip -= batch.num_rows
            continue
        wanted = batch.slice(skip, left)
        skip, left = 0, left - wanted.num_rows
        yield from _batch_values(wanted)
        if left == 0:
            return


def _batch_values(batch: pa.RecordBatch) -> Iterator[tuple[dict[str, Any], str]]:
    try:
        yield from [(row, "") for row in batch.to_pylist(maps_as_pydicts="strict")]
    # Text that is not UTF-8, times that Python does not have, maps with a key twice.
    except (ValueError, OverflowError, KeyError) as error:
        if batch.num_rows > 1:
            for index in range(batch.num_rows):
                yield from _batch_values(batch.slice(index, 1))
            return
        detail = "not UTF-8" if isinstance(error, UnicodeDecodeError) else " ".join(str(error).split())[:200]
        yield {}, f"a value cannot be read: {detail}"
