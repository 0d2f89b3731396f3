"""Records to flat rows and back; the JSON Schema files; Arrow, Parquet and DuckDB."""

import copy
import json
import math
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from strategies import records

from gog.schemas import SORT_KEYS, TABLES, Row, Seed
from gog.schemas.arrow import arrow_schema
from gog.schemas.rows import (
    NewerSchemaError,
    SchemaError,
    check_row,
    fits,
    fits_value,
    from_row,
    nested_columns,
    row_schema,
    to_row,
    write_schema_files,
)

each_table = pytest.mark.parametrize("table", sorted(TABLES))


def seed(**changes: Any) -> Seed:
    values: dict[str, Any] = {
        "seed_id": "seed-1",
        "dataset": "d",
        "question": "Which flag is this?",
        "answers": ("Peru",),
        "image_sha256": "0" * 64,
        "width": 8,
        "height": 9,
        "image_phash": "0" * 16,
    }
    return Seed(**(values | changes))


@cache
def any_record(table: str) -> st.SearchStrategy[Row]:
    return records(TABLES[table])


def check_nested(table: str, row: dict[str, Any]) -> None:
    """Validate the JSON text of every nested column against its `contentSchema`, in full depth."""
    schema = row_schema(TABLES[table])
    for name, prop in schema["properties"].items():
        if "contentSchema" in prop and row[name] is not None:
            content = {"$schema": schema["$schema"], "$defs": schema["$defs"], "allOf": [prop["contentSchema"]]}
            Draft202012Validator(content).validate(json.loads(row[name]))


@each_table
@given(data=st.data())
def test_a_record_comes_back_from_its_row(table: str, data: st.DataObject) -> None:
    record = data.draw(any_record(table))
    row = to_row(record)
    check_row(table, row)
    check_nested(table, row)
    assert from_row(type(record), row) == record
    assert to_row(from_row(type(record), row)) == row


@each_table
@settings(max_examples=20)
@given(data=st.data())
def test_rows_come_back_from_parquet_and_duckdb(
    table: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [to_row(record) for record in data.draw(st.lists(any_record(table), min_size=1, max_size=3))]
    path = tmp_path_factory.mktemp("lake") / "part.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(table)), path)
    assert pq.read_table(path).to_pylist() == rows
    assert pq.read_schema(path).metadata[b"gog.table"] == table.encode()
    with duckdb.connect() as connection:
        result = connection.execute("select * from read_parquet(?)", [str(path)])
        names = [column[0] for column in result.description]
        assert [dict(zip(names, values, strict=True)) for values in result.fetchall()] == rows


@each_table
def test_schema_files_are_the_generated_ones(table: str, tmp_path: Path) -> None:
    write_schema_files(tmp_path)
    name = f"{table}.schema.json"
    kept = files("gog.schemas").joinpath("json", name).read_text("utf-8")
    assert kept == (tmp_path / name).read_text("utf-8"), "run: python -m gog.schemas.rows"


def test_there_is_no_schema_file_without_a_table() -> None:
    names = {entry.name for entry in files("gog.schemas").joinpath("json").iterdir()}
    assert names == {f"{table}.schema.json" for table in TABLES}


@each_table
def test_schemas_are_valid_and_closed(table: str) -> None:
    schema = row_schema(TABLES[table])
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == set(schema["properties"]) == set(TABLES[table].model_fields)
    assert set(SORT_KEYS[table]) <= set(schema["properties"])
    assert arrow_schema(table).names == list(schema["properties"])


def test_every_table_has_its_sort_key() -> None:
    assert set(SORT_KEYS) == set(TABLES)


def test_nested_columns_are_text_in_arrow() -> None:
    assert nested_columns(Seed) == {"answers", "extra", "further_images", "image_like"}
    assert arrow_schema("seeds").field("answers").type == pa.string()
    assert arrow_schema("trajectories").field("reflective").type == pa.bool_()
    assert arrow_schema("complexity").field("level").type == pa.int64()
    assert arrow_schema("seeds").field("answer_low").type == pa.float64()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "'colour' was unexpected"),
        ({"question": None}, "seeds: question: None is not of type 'string'"),
        ({"width": "8"}, "seeds: width"),
        ({"width": 0}, "seeds: width: 0 is less than the minimum of 1"),
        ({"width": 8.5}, "seeds: width"),
        ({"answers": ["Peru"]}, "seeds: answers"),
        ({"answer_type": "colour"}, "seeds: answer_type"),
        ({"image_sha256": "../../etc/passwd"}, "seeds: image_sha256"),
        ({"schema_version": 0}, "seeds: schema_version"),
        ({"schema_version": True}, "seeds: schema_version"),
        ({"schema_version": "2"}, "seeds: schema_version"),
    ],
)
def test_a_wrong_row_says_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError) as error:
        check_row("seeds", to_row(seed()) | changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_column_is_named() -> None:
    row = to_row(seed())
    del row["question"]
    with pytest.raises(SchemaError, match="'question' is a required property"):
        check_row("seeds", row)


def test_a_column_of_a_newer_version_is_named() -> None:
    with pytest.raises(SchemaError, match=r"Seed: novel: this version does not know it: .* upgrade glance-or-gaze"):
        from_row(Seed, to_row(seed()) | {"novel": "x"})


@each_table
def test_a_newer_version_is_told_apart(table: str) -> None:
    with pytest.raises(NewerSchemaError, match=f"{table}: schema version 2 is newer than this engine's 1"):
        check_row(table, {"schema_version": 2})


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "",
        "[" * 100_000,
        '{"a":' + "1" * 5000 + "}",
        '{"a":' * 300 + "1" + "}" * 300,
        "[]",
        "null",
    ],
    ids=["words", "empty", "deep", "long number", "deep object", "list", "null"],
)
def test_a_bad_nested_part_is_a_schema_error(text: str) -> None:
    with pytest.raises(SchemaError) as error:
        from_row(Seed, to_row(seed()) | {"extra": text})
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_lists_and_nulls_are_told_apart_from_json_text() -> None:
    with pytest.raises(SchemaError, match="answers"):
        from_row(Seed, to_row(seed()) | {"answers": "[]"})
    with pytest.raises(SchemaError, match="colour"):
        from_row(Seed, to_row(seed()) | {"colour": "red"})


def test_nested_text_does_not_depend_on_the_order_of_keys() -> None:
    assert to_row(seed(extra={"b": 1, "a": 2})) == to_row(seed(extra={"a": 2, "b": 1}))
    assert to_row(seed(extra={"b": {"z": 1, "é": 2}}))["extra"] == '{"b":{"z":1,"é":2}}'


def test_what_json_and_utf8_cannot_hold_is_made_plain() -> None:
    record = seed(
        question="half \ud83d, pair \ud83d\ude00",
        answers=["\udcff"],
        extra={"\ud800": [math.nan, -math.inf, 1.5], "deep": {"x": "\udfff"}},
    )
    assert record.question == "half \ufffd, pair \U0001f600"
    assert record.answers == ("\ufffd",)
    assert record.extra == {"\ufffd": [None, None, 1.5], "deep": {"x": "\ufffd"}}
    json.dumps(to_row(record), allow_nan=False).encode()


def test_the_schema_of_a_table_is_not_shared() -> None:
    first = row_schema(Seed)
    before = copy.deepcopy(first)
    first["properties"].clear()
    assert row_schema(Seed) == before


LEAVES = st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=3) | st.just("0" * 64)


class TestQuickCheck:
    """The fast check in front of the validator: it must never let through what the validator would not."""

    @each_table
    @given(data=st.data())
    def test_it_knows_rows_of_records(self, table: str, data: st.DataObject) -> None:
        assert fits(table)(to_row(data.draw(any_record(table))))

    @each_table
    @given(data=st.data())
    def test_what_it_accepts_is_valid(self, table: str, data: st.DataObject) -> None:
        row, value = to_row(data.draw(any_record(table))), data.draw(LEAVES)
        changed = [row | {name: value} for name in (*row, "another")]
        lacking = [{key: row[key] for key in row if key != name} for name in row]
        accepts, valid = fits(table), Draft202012Validator(row_schema(TABLES[table])).is_valid
        assert [each for each in (*changed, *lacking) if accepts(each) and not valid(each)] == []

    @pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 0])
    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "integer", "minimum": 0},
            {"type": ["string", "null"]},
            {"const": 1},
            {"enum": [0, 1]},
            {"anyOf": [{"type": "null"}, {"pattern": "^1$"}]},
            {"type": "integer", "exclusiveMinimum": 0},
        ],
    )
    def test_it_reads_keywords_as_the_validator_does(self, schema: dict[str, Any], value: Any) -> None:
        assert not fits_value(schema)(value) or Draft202012Validator(schema).is_valid(value)
