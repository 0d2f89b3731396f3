"""DuckDB over a run: its tables, the answers that people ask for, and macros, with what each column means.

The Parquet parts are the truth. `open_lake` makes views of them afresh in memory for every connection: a lake can be
moved or be read-only, tables that have got their first parts are there, and nobody waits for another process's lock.

`build_views` writes `lake.duckdb`, for DuckDB's own shell, notebooks and other programs. It holds the answers and the
short tables as rows, so they are there wherever the file is, and fast. Long tables (`trajectories`, `evidence`,
`rejects`, ...) stay in Parquet, which it finds by relative path. DuckDB resolves one against the working folder, not
against the database: start it in the run's folder, or say `set variable run_folder = '...'`, or `set
file_search_path = '...'`. So a lake can be moved or copied with its runs.
"""

import glob
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb
import pyarrow as pa
from pydantic_core import to_json

from gog.pipelines.lake.disk import disk_advice
from gog.pipelines.lake.lake import LakeError
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.views.columns import column_comment
from gog.pipelines.views.macros import TABLE_MACROS, VALUE_MACROS
from gog.pipelines.views.queries import QUERIES
from gog.schemas import OLD_STAGES, TABLES
from gog.schemas.arrow import arrow_schema
from gog.schemas.base import Row
from gog.schemas.rows import from_row, nested_columns
from gog.transforms.atomic import ABANDONED_S
from gog.transforms.object_path import ObjectPath, open_bucket

R = TypeVar("R", bound=Row)

DATABASE: Final = "lake.duckdb"

_SQL_TYPES: Final = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
}

SHORT: Final = ("seeds", "screenings", "verdicts", "groups", "curated", "complexity")
"""Tables whose rows are short: `lake.duckdb` has them itself."""

_LIMITS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "memory_limit": "512MB",
    "autoinstall_known_extensions": "false",
}
_MAKING: Final = ".views-"


def open_lake(
    run_folder: Path, *, memory_limit: str = "1GB", spill: Path | None = None, threads: int | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection in memory with all views over the run. What does not fit the limit goes to the folder `spill`.

    Without `threads`, it works on every core.
    """
    limits = _LIMITS | {"memory_limit": memory_limit, "temp_directory": str(spill) if spill else ""}
    connection = duckdb.connect(config=limits | ({"threads": threads} if threads else {}))
    try:
        reach(connection, run_folder, TABLES)
        _create(connection, {table: quoted(f"{pattern_of(run_folder)}/{table}/part-*.parquet") for table in TABLES})
    except BaseException:
        connection.close()
        raise
    return connection


def reach(connection: duckdb.DuckDBPyConnection, folder: Path, soon: Collection[str] = ()) -> None:
    """Let a connection read what is below a place of a lake: on an object store, through our library.

    `soon` are folders in it that will all be looked into.
    """
    if not isinstance(folder, ObjectPath):
        return
    open_bucket(folder.bucket)  # raises where the extra is missing, of which what follows is a part
    from gog.pipelines.views.remote_files import RemoteFiles

    files = RemoteFiles(folder.bucket.partition("://")[0])
    if soon:
        files.list_ahead(folder, soon)
    connection.register_filesystem(files)


def pattern_of(folder: Path) -> str:
    """A folder as DuckDB's patterns name it."""
    return glob.escape(str(folder) if isinstance(folder, ObjectPath) else str(folder.resolve()))


def confine(connection: duckdb.DuckDBPyConnection, run_folder: Path) -> None:
    """Leave a connection of `open_lake` nothing but the run's own files, for good.

    Files in these folders could still be written: `gog.pipelines.views.sql.ask` takes only what reads.
    """
    if isinstance(run_folder, ObjectPath):
        folders = [f"{run_folder}/"]
    else:
        # A table's folder may be a link to another disk. DuckDB compares patterns too, in which `[` is escaped.
        real = {str((run_folder / name).resolve()) for name in ("", *TABLES)}
        folders = sorted(real | {glob.escape(folder) for folder in real})
    connection.execute(f"SET allowed_directories = [{', '.join(map(quoted, folders))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def build_views(run_folder: Path, path: Path | None = None) -> Path:
    """Write `lake.duckdb` into the run's folder, or to `path`, whole or not at all. Raises `LakeError`."""
    path = path or run_folder / DATABASE
    if isinstance(path, ObjectPath):
        with tempfile.TemporaryDirectory() as elsewhere, _disk(path):
            path.upload(build_views(run_folder, Path(elsewhere) / DATABASE))
        return path
    with _disk(path):
        for left in path.parent.glob(f"{_MAKING}*"):  # by a process that was killed
            if left.stat().st_mtime < time.time() - ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_MAKING, dir=path.parent) as folder:
            fresh = Path(folder) / DATABASE
            # One thread: each one more holds another batch of parsed trajectories.
            with duckdb.connect(fresh, config=_LIMITS | {"temp_directory": folder, "threads": 1}) as connection:
                _look_in(connection, run_folder)
                here = "coalesce(getvariable('run_folder') || '/', '')"
                patterns = {table: f"{here} || {quoted(f'{table}/part-*.parquet')}" for table in TABLES}
                _create(connection, patterns, in_file=True)
                # Closing writes the file out too, and keeps to itself that the disk is full.
                connection.execute("CHECKPOINT")
            fresh.replace(path)
    return path


def open_file(path: Path, run_folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection to a `lake.duckdb` for reading alone, that finds the rows which are in Parquet."""
    connection = duckdb.connect(path, read_only=True, config=_LIMITS)
    _look_in(connection, run_folder)
    return connection


def fetch_records(record: type[R], cursor: duckdb.DuckDBPyConnection) -> list[R]:
    """The rows of a query, which has the columns of `record`. Raises `SchemaError` on damaged ones."""
    return [from_row(record, row) for row in rows_of(cursor)]


def rows_of(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The rows of a query, by the names of their columns."""
    names = [name for name, *_ in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def check_funnel(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The lines of the funnel that do not add up, each as a sentence; empty when nothing was lost."""
    rows = connection.execute("SELECT stage, unit, entered, passed, rejected FROM funnel WHERE NOT balanced").fetchall()
    return [
        f"{stage} ({unit}): {entered} entered, {passed} passed and {rejected} rejected: "
        f"{abs(entered - passed - rejected)} {'lost' if entered > passed + rejected else 'too many'}"
        for stage, unit, entered, passed, rejected in rows
    ]


def _look_in(connection: duckdb.DuckDBPyConnection, run_folder: Path) -> None:
    reach(connection, run_folder, TABLES)
    connection.execute("SET VARIABLE run_folder = $folder", {"folder": pattern_of(run_folder)})


def _create(connection: duckdb.DuckDBPyConnection, patterns: dict[str, str], *, in_file: bool = False) -> None:
    """All tables, answers and macros. In the file, answers and short tables are rows; elsewhere all are views."""
    for name, macro in VALUE_MACROS.items():
        connection.execute(f"CREATE MACRO {name}({macro.parameters}) AS {macro.body}")
    for table in TABLES:
        kind = "TABLE" if in_file and table in SHORT else "VIEW"
        connection.execute(f"CREATE {kind} {_name_of(table)} AS {_parts(connection, table, patterns[table])}")
    for table, filled in _younger_columns(connection).items():
        kind = "TABLE" if in_file and table in SHORT else "VIEW"
        parts = _parts(connection, table, patterns[table])
        connection.execute(f"CREATE OR REPLACE {kind} {_name_of(table)} AS SELECT *, {filled} FROM ({parts})")
    for name, answer in QUERIES.items():
        connection.execute(f"CREATE {'TABLE' if in_file else 'VIEW'} {name} AS {answer.query}")
    for name, macro in TABLE_MACROS.items():
        connection.execute(f"CREATE MACRO {name}({macro.parameters}) AS TABLE {macro.body}")
    connection.execute(";".join(_comments(connection)))


def _name_of(table: str) -> str:
    """A table's name in DuckDB; `funnel` is an answer."""
    return "stage_counts" if table == "funnel" else table


def _comments(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """What says of each table, view, macro and column what it is."""
    tables = {_name_of(table): table for table in TABLES}
    texts = {name: TABLES[table].__doc__ or "" for name, table in tables.items()}
    texts |= {name: answer.comment for name, answer in QUERIES.items()}
    kinds = connection.execute(
        "SELECT table_name, 'TABLE' FROM duckdb_tables() UNION ALL "
        "SELECT view_name, 'VIEW' FROM duckdb_views() WHERE NOT internal"
    ).fetchall()
    columns = connection.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal").fetchall()
    statements = [f"COMMENT ON {kind} {name} IS {quoted(' '.join(texts[name].split()))}" for name, kind in kinds]
    statements += [
        f'COMMENT ON COLUMN {name}."{column}" IS {quoted(column_comment(name, column, tables.get(name)))}'
        for name, column in columns
    ]
    for kind, macros in (("MACRO", VALUE_MACROS), ("MACRO TABLE", TABLE_MACROS)):
        statements += [f"COMMENT ON {kind} {name} IS {quoted(macro.comment)}" for name, macro in macros.items()]
    return statements


def _parts(connection: duckdb.DuckDBPyConnection, table: str, pattern: str) -> str:
    """A query of the table's parts; while there are none, no rows, but the columns."""
    columns = ", ".join(f'NULL::{_SQL_TYPES[field.type]} AS "{field.name}"' for field in arrow_schema(table))
    if connection.execute(f"SELECT 1 FROM glob({pattern}) LIMIT 1").fetchone():
        return f"SELECT * {_renamed(table)} FROM read_parquet({pattern})"
    names = ", ".join(f'"{field.name}"' for field in arrow_schema(table))
    return (
        f"SELECT {names} FROM (SELECT {columns} WHERE false "
        f"UNION ALL BY NAME FROM read_parquet({pattern}, allow_empty = true))"
    )


def _younger_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """By table, the columns that its parts do not have, with their defaults: an older engine did not know them.

    Raises `LakeError` on a column that this engine does not know.
    """
    found = defaultdict[str, set[str]](set)
    for name, column in connection.execute("SELECT table_name, column_name FROM duckdb_columns()").fetchall():
        found[name].add(column)
    filled = {}
    for table, record in TABLES.items():
        types = {field.name: _SQL_TYPES[field.type] for field in arrow_schema(table)}
        if unknown := sorted(found[_name_of(table)] - types.keys()):
            raise LakeError(
                f"the table {table} has a column {unknown[0][:100]!r}, which this version does not know: "
                "a newer one wrote it; upgrade glance-or-gaze"
            )
        nested = nested_columns(record)
        younger = [
            f"{_default_of(record, column, nested)}::{types[column]} AS {column}"
            for column in types
            if column not in found[_name_of(table)] and not record.model_fields[column].is_required()
        ]
        if younger:
            filled[table] = ", ".join(younger)
    return filled


def _default_of(record: type[Row], column: str, nested: frozenset[str]) -> str:
    """The default of a column as a literal of SQL."""
    default = record.model_fields[column].get_default(call_default_factory=True)
    if default is None:
        return "NULL"
    return quoted(to_json(default).decode() if column in nested else str(default))


def _renamed(table: str) -> str:
    """Stages by their names of today, in tables that have a column of them."""
    if "stage" not in arrow_schema(table).names:
        return ""
    cases = " ".join(f"WHEN {quoted(old)} THEN {quoted(new)}" for old, new in OLD_STAGES.items())
    return f"REPLACE (CASE stage {cases} ELSE stage END AS stage)"


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.Error) as error:
        advice = disk_advice(error)
        if not advice and not isinstance(error, OSError | duckdb.IOException):
            raise
        raise LakeError(f"cannot write {path}: {advice or one_line(error, 300)}") from error


def quoted(text: str, *, pattern: bool = False) -> str:
    """The text as a literal of SQL. As a pattern for `read_parquet`, only its last part may hold wildcards."""
    if pattern:
        folder, slash, name = text.rpartition("/")
        text = glob.escape(folder) + slash + name
    return "'" + text.replace("'", "''") + "'"
