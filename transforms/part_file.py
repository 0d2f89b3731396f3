"""Part files: the rows of one table and one shard as Parquet bytes. Needs the `pipelines` extra."""

import io
import json
from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from gog.schemas import SORT_KEYS
from gog.schemas.arrow import arrow_schema
from gog.schemas.rows import check_row

ROW_GROUP: Final = 5000
"""Rows in a row group. Fixed, so that equal rows make equal files."""


def part_name(step: str, shard: int) -> str:
    """File name of what a step wrote of a shard, in its table's folder: several steps write rejects."""
    if shard < 0:
        raise ValueError(f"a shard has a number from 0 on, not {shard}")
    return f"part-{step}-{shard:05d}.parquet"


def encode_part(table: str, rows: Iterable[dict[str, Any]]) -> bytes:
    """The flat rows (`gog.schemas.rows.to_row`) of a table as a Parquet file; none give a file with a schema alone.

    Every row is checked against its JSON Schema (`SchemaError`). Rows are sorted by the table's `SORT_KEYS`, then
    by their whole content, and nothing else goes in: the same rows in any order give the same bytes, with one
    version of pyarrow. Equal rows are one: an evidence that several attempts found is one evidence.
    """
    keys = SORT_KEYS[table]
    checked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    for row in rows:
        check_row(table, row)
        checked.append(((*(row[key] for key in keys), json.dumps(row, sort_keys=True)), row))
    checked.sort(key=lambda item: item[0])
    unique = [item for last, item in zip([None, *checked], checked, strict=False) if last is None or last[0] != item[0]]
    sink = io.BytesIO()
    pq.write_table(
        pa.Table.from_pylist([row for _, row in unique], schema=arrow_schema(table)),
        sink,
        compression="zstd",
        row_group_size=ROW_GROUP,
    )
    return sink.getvalue()
