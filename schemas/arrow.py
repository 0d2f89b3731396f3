"""Arrow schemas of the tables, made from the same JSON Schemas as everything else. Needs the `pipelines` extra."""

from functools import cache
from typing import Any

import pyarrow as pa

from gog.schemas.base import SCHEMA_VERSION, Row
from gog.schemas.rows import nested_columns, row_schema
from gog.schemas.tables import TABLES

_ARROW = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}


@cache
def arrow_schema(table: str) -> pa.Schema:
    """Arrow schema of a table's rows; nested parts are strings that hold JSON."""
    record: type[Row] = TABLES[table]
    properties: dict[str, Any] = row_schema(record)["properties"]
    nested = nested_columns(record)
    fields = [pa.field(name, pa.string() if name in nested else _arrow_type(prop)) for name, prop in properties.items()]
    return pa.schema(fields, metadata={"gog.schema_version": str(SCHEMA_VERSION), "gog.table": table})


def _arrow_type(prop: dict[str, Any]) -> pa.DataType:
    for option in prop.get("anyOf", [prop]):
        kind = option.get("type")
        if kind is None:
            values = option.get("enum") or [option["const"]]
            kind = "integer" if isinstance(values[0], int) else "string"
        if kind != "null":
            return _ARROW[kind]
    raise TypeError(f"no Arrow type for {prop}")
