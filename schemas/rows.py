"""Records as flat rows: typed columns, nested parts as JSON text, checked against the JSON Schema files.

`json/<table>.schema.json` describe the rows; they are generated (`python -m gog.schemas.rows`) and a test
fails when they drift from the records. A nested part is a string column with `contentSchema`.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from jsonschema import Draft202012Validator
from pydantic import ValidationError

from gog.schemas.base import SCHEMA_VERSION, Row
from gog.schemas.errors import UserError
from gog.schemas.tables import TABLES

R = TypeVar("R", bound=Row)

_SCALARS = {"string", "integer", "number", "boolean", "null"}


class SchemaError(UserError, ValueError):
    """A row does not fit its schema; the message names the table, the column and the trouble."""


class NewerSchemaError(SchemaError):
    """The row was written by a newer version of the engine."""


def _column_types(prop: dict[str, Any], defs: dict[str, Any]) -> set[str]:
    if "$ref" in prop:
        prop = defs[prop["$ref"].rsplit("/", 1)[-1]]
    if "anyOf" in prop:
        return set().union(*(_column_types(option, defs) for option in prop["anyOf"]))
    if "const" in prop or "enum" in prop:
        return {"integer"} if isinstance(prop.get("const", (prop.get("enum") or [""])[0]), int) else {"string"}
    return {prop["type"]} if "type" in prop else {"any"}


@cache
def nested_columns(record: type[Row]) -> frozenset[str]:
    """Names of the fields that travel as JSON text."""
    schema = record.model_json_schema(mode="serialization")
    defs = schema.get("$defs", {})
    return frozenset(n for n, p in schema["properties"].items() if not _column_types(p, defs) <= _SCALARS)


def row_schema(record: type[Row]) -> dict[str, Any]:
    """JSON Schema (2020-12) of the record's flat row."""
    schema = record.model_json_schema(mode="serialization")
    defs = schema.get("$defs", {})
    properties: dict[str, Any] = {}
    used: set[str] = set()
    for name, prop in schema["properties"].items():
        if name in nested_columns(record):
            nullable = "null" in _column_types(prop, defs)
            properties[name] = {
                "type": ["string", "null"] if nullable else "string",
                "contentMediaType": "application/json",
                "contentSchema": prop,
            }
        else:
            properties[name] = _inline(prop, defs)
        used |= _refs(properties[name], defs)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": record.__name__,
        "description": (record.__doc__ or "").strip(),
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
        "$defs": {name: defs[name] for name in sorted(used)},
    }


def _inline(prop: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in prop:
        inlined = dict(defs[prop["$ref"].rsplit("/", 1)[-1]])
        inlined.pop("title", None)
        return inlined | {k: v for k, v in prop.items() if k != "$ref"}
    if "anyOf" in prop:
        return prop | {"anyOf": [_inline(option, defs) for option in prop["anyOf"]]}
    return prop


def _refs(value: Any, defs: dict[str, Any]) -> set[str]:
    names: set[str] = set()
    stack = [value]
    while stack:
        match stack.pop():
            case {"$ref": str(ref), **rest}:
                name = ref.rsplit("/", 1)[-1]
                if name not in names:
                    names.add(name)
                    stack.append(defs[name])
                stack.append(rest)
            case dict() as d:
                stack.extend(d.values())
            case list() as items:
                stack.extend(items)
    return names


def _schema(table: str) -> dict[str, Any]:
    text = files("gog.schemas").joinpath("json", f"{table}.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@cache
def _validator(table: str) -> Draft202012Validator:
    return Draft202012Validator(_schema(table))


Fits = Callable[[Any], bool]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "null": (type(None),)
}  # fmt: skip
_NOTES = {"title", "description", "default", "contentMediaType", "contentSchema"}
"""Keywords that a validator does not look at."""


@cache
def fits(table: str) -> Fits:
    """A check that only says yes to rows that fit the schema, fifty times faster than the validator.

    It says no to rows that do not fit, and to some that do (`2.0` where an integer is asked for, or a keyword that it
    does not know): those are the validator's to judge.
    """
    schema = _schema(table)
    columns = {name: fits_value(prop) for name, prop in schema["properties"].items()}
    if set(schema["required"]) != set(columns) or schema["additionalProperties"] is not False:
        return lambda row: False
    return lambda row: row.keys() == columns.keys() and all(fits(row[name]) for name, fits in columns.items())


def fits_value(prop: dict[str, Any]) -> Fits:
    """`fits` for one value and its schema."""
    tests: list[Fits] = []
    for keyword, told in prop.items():
        if keyword in _NOTES:
            continue
        test = _keyword_test(keyword, told)
        if test is None:
            return lambda value: False
        tests.append(test)
    return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)


def _keyword_test(keyword: str, told: Any) -> Fits | None:
    match keyword:
        case "type":
            kinds = {kind for name in ([told] if isinstance(told, str) else told) for kind in _TYPES[name]}
            return lambda value: type(value) in kinds
        case "enum" if all(type(option) in (str, int) for option in told):
            options = frozenset(told)
            return lambda value: type(value) in (str, int) and value in options
        case "const" if type(told) in (str, int):
            return lambda value: type(value) is type(told) and value == told
        case "pattern":
            search = re.compile(told).search
            return lambda value: type(value) is str and search(value) is not None
        case "minimum":
            return lambda value: type(value) in (int, float) and value >= told
        case "anyOf":
            ways = [fits_value(option) for option in told]
            return lambda value: any(way(value) for way in ways)
    return None


def to_row(record: Row) -> dict[str, Any]:
    """The record's flat row: scalars as they are, nested parts as JSON text."""
    nested = nested_columns(type(record))
    row: dict[str, Any] = {}
    for name, value in record.model_dump(mode="json").items():
        as_text = name in nested and value is not None
        row[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True) if as_text else value
    return row


def check_row(table: str, row: dict[str, Any]) -> None:
    """Raise `SchemaError` when the flat row does not fit `json/<table>.schema.json`."""
    version = row.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{table}: schema version {version} is newer than this engine's {SCHEMA_VERSION}; upgrade glance-or-gaze"
        )
    if fits(table)(row):
        return
    error = next(_validator(table).iter_errors(row), None)
    if error is not None:
        where = ".".join(str(p) for p in error.absolute_path) or "row"
        raise SchemaError(f"{table}: {where}: {error.message[:300]}")


def from_row(record: type[R], row: dict[str, Any]) -> R:
    """The record of a flat row; `SchemaError` when a nested part does not fit."""
    nested = nested_columns(record)
    try:
        data = {n: json.loads(v) if n in nested and isinstance(v, str) else v for n, v in row.items()}
        return record.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        why = first["msg"][:300]
        if first["type"] == "extra_forbidden":
            why = "this version does not know it: a newer one wrote it; upgrade glance-or-gaze"
        raise SchemaError(f"{record.__name__}: {where[:100]}: {why}") from error
    except (ValueError, RecursionError) as error:  # not JSON, a number of 5,000 digits, too deep
        raise SchemaError(f"{record.__name__}: a nested part cannot be read: {str(error)[:300]}") from error


def write_schema_files(folder: Path) -> None:
    """Write `<table>.schema.json` for each table."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, record in TABLES.items():
        text = json.dumps(row_schema(record), indent=2, ensure_ascii=False) + "\n"
        (folder / f"{table}.schema.json").write_text(text, "utf-8")


if __name__ == "__main__":
    write_schema_files(Path(__file__).parent / "json")
