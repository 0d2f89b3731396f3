"""Questions to a run in SQL: one at a time, for reading alone unless it is said otherwise, shown as a table."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TextIO

import duckdb
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gog.pipelines.lake.one_line import one_line
from gog.pipelines.views.database import quoted

SHOWN_ROWS: Final = 200
CELL: Final = 300
"""Characters shown of a cell."""
_EXPLAIN: Final = re.compile(r"\s*explain\b\s*(?:analy[sz]e\b|\([^()']*\))?", re.IGNORECASE)

LEAVE: Final = frozenset({".quit", ".exit", ".q", "quit", "exit", "\\q"})
PROMPT, MORE = "gog> ", "...> "
HELP: Final = """\
SQL ends with ; or an empty line. Also:
  .tables        all views, with what they hold
  .macros        questions that take an argument
  .schema VIEW   columns of a view
  .quit          leave (or Ctrl-D)"""


class QueryError(ValueError):
    """The query cannot be answered; the message is one line."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Columns and rows; `more` says that there were further rows."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool = False

    def plain(self) -> list[dict[str, Any]]:
        """The rows for `--json`."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def ask(
    connection: duckdb.DuckDBPyConnection, sql: str, limit: int | None = None, *, unsafe: bool = False
) -> QueryResult:
    """The answer to one query, which only reads unless `unsafe`. Raises `QueryError`.

    What a query may read is for the connection to say: `gog.pipelines.views.database.confine`.
    """
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1:
            raise QueryError(f"{len(statements)} queries: one at a time" if statements else "the query is empty")
        if not unsafe:
            _check_reads(connection, statements[0])
        cursor = connection.execute(statements[0])
        columns = tuple(column[0] for column in cursor.description or ())
        rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
    except duckdb.PermissionException as error:
        raise QueryError(
            f"{_reason(error)}: queries read the run's own files; --unsafe lets them read others"
        ) from error
    except duckdb.Error as error:
        raise QueryError(_reason(error)) from error
    return QueryResult(columns, rows[:limit] if limit is not None else rows, limit is not None and len(rows) > limit)


def _check_reads(connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> None:
    """DuckDB itself says whether it only reads: inside of `query()` it plans nothing else, also no
    `WITH x AS (COPY ...)`, which it counts as a SELECT. Raises `QueryError`, or what DuckDB says of a wrong query.
    """
    kind, query = statement.type.name, statement.query
    if kind == "EXPLAIN":
        # EXPLAIN ANALYZE runs what it explains. Where this finds less of its words than DuckDB does, it is refused.
        query = _EXPLAIN.sub("", query, count=1)
        kind = ", ".join(part.type.name for part in connection.extract_statements(query))
    if kind != "SELECT":
        raise QueryError(f"{kind or 'this'} may write: queries only read without --unsafe")
    try:
        connection.execute(f"EXPLAIN FROM query({quoted(query)})")
    except duckdb.BinderException as error:
        if "must be at the top level" in str(error):
            raise QueryError("a part of the query writes: queries only read without --unsafe") from error
        raise


def _reason(error: duckdb.Error) -> str:
    """DuckDB's message without the picture of the query under it; its hints stay."""
    lines = [
        line for line in str(error).splitlines() if line.strip() and not line.startswith("LINE") and "^" not in line
    ]
    return one_line(" ".join(lines), 400)


def show(answer: QueryResult, console: Console) -> None:
    """Print a table, or a block for each row where a table would be too wide."""
    cells = [[_cell(value) for value in row] for row in answer.rows]
    widths = [max([len(name), *(min(60, len(row[at])) for row in cells)]) for at, name in enumerate(answer.columns)]
    if not answer.rows:
        console.print("no rows", style="dim")
    elif sum(widths) + 3 * len(widths) > console.width and len(answer.columns) > 1:
        _blocks(answer.columns, cells, console)
    else:
        console.print(_table(answer, cells))
    if answer.more:
        console.print(f"the first {len(answer.rows):,} rows; --json gives all, LIMIT fewer", style="dim")


def _table(answer: QueryResult, cells: Sequence[Sequence[str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at, name in enumerate(answer.columns):
        numbers = all(row[at] is None or isinstance(row[at], int | float) for row in answer.rows)
        table.add_column(Text(one_line(name)), justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _blocks(columns: Sequence[str], cells: Sequence[Sequence[str]], console: Console) -> None:
    names = [one_line(name) for name in columns]
    left = max(map(len, names))
    for number, row in enumerate(cells, 1):
        console.print(Text(f"row {number}", style="bold"))
        for name, cell in zip(names, row, strict=True):
            line = Text.assemble((f"  {name:{left}}  ", "dim"), cell)
            console.print(line, overflow="ellipsis", no_wrap=True)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e6 else f"{value:.1f}"
    return one_line(value, CELL)


def shell(connection: duckdb.DuckDBPyConnection, source: TextIO, console: Console, *, unsafe: bool = False) -> None:
    """Read queries and commands until the end; errors are told and do not end it."""
    if source.isatty():
        with suppress(ImportError):
            import readline  # noqa: F401  # gives input() its history and its keys
        console.print(HELP, style="dim", highlight=False)
    for query in _queries(source):
        try:
            if query.startswith(".") or query in LEAVE:
                if query in LEAVE:
                    return
                _command(connection, query, console)
            else:
                show(ask(connection, query, SHOWN_ROWS, unsafe=unsafe), console)
        except QueryError as error:
            console.print(Text(f"error: {error}", style="red"))
        except KeyboardInterrupt:
            console.print("stopped", style="dim")


def _command(connection: duckdb.DuckDBPyConnection, line: str, console: Console) -> None:
    word, _, name = line.partition(" ")
    if word == ".tables":
        sql = "SELECT view_name AS view, comment AS holds FROM duckdb_views() WHERE NOT internal ORDER BY view"
        show(ask(connection, sql), console)
    elif word == ".macros":
        call = "function_name || '(' || array_to_string(parameters, ', ') || ')' AS macro, comment AS answers"
        show(ask(connection, f"SELECT {call} FROM duckdb_functions() WHERE NOT internal ORDER BY macro"), console)
    elif word == ".schema" and name.strip():
        view = name.strip().replace("'", "''")
        columns = "column_name AS column, data_type AS type, comment AS holds"
        sql = f"SELECT {columns} FROM duckdb_columns() WHERE table_name = '{view}'"
        answer = ask(connection, sql)
        if not answer.rows:
            raise QueryError(f"there is no view {name.strip()!r}; .tables lists them")
        show(answer, console)
    else:
        console.print(HELP, highlight=False)


def _queries(source: TextIO) -> Iterator[str]:
    """Commands and statements as they are entered."""
    lines: list[str] = []
    while True:
        try:
            line = _line(source, MORE if lines else PROMPT)
        except KeyboardInterrupt:
            print()
            lines = []
            continue
        text = line.strip() if line is not None else ""
        if not lines and (text.startswith(".") or text in LEAVE):
            yield text
            continue
        if text:
            lines.append(text)
        if lines and (not text or text.endswith(";")):
            yield "\n".join(lines)
            lines = []
        if line is None:
            return


def _line(source: TextIO, prompt: str) -> str | None:
    if source is sys.stdin and source.isatty():
        try:
            return input(prompt)
        except EOFError:
            print()
            return None
    return source.readline() or None
