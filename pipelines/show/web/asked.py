"""A filter in SQL: which trajectories of a run it finds.

What is asked comes from an address, which anybody may have written. So a process of its own asks it, with limits on
time and memory that DuckDB alone does not keep (`repeat('x', 1000000000)`), of a database that reads the run's files
and no others, writes nothing and reaches nothing.
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import duckdb

from gog.pipelines.show.web.filters import SqlError
from gog.pipelines.views.database import confine, open_lake, quoted
from gog.pipelines.views.sql import QueryError, ask
from gog.transforms.place import is_remote, place
from gog.transforms.services.limited_child import LimitedChild, RefusedError, serve
from gog.transforms.services.protocols import ServiceError

LONGEST_S: Final = 4.0
"""What one question may take."""
MEMORY: Final = "256MB"
"""What DuckDB may hold for it."""
MOST_MEMORY: Final = 2 << 30
"""Bytes that the process may map for it: 464 MB of them are mapped, not used, by a database that is opened."""
MOST_FOUND: Final = 200_000
"""Ids that one question may find."""

Column = Literal["trajectory_id", "seed_id"]

_QUERY: Final = re.compile(r"[\s(]*(select|from|with)\b", re.IGNORECASE)
_KIND: Final = re.compile(r"(?:Parser|Binder|Catalog|Conversion) Error: ")
_COLUMNS: Final[tuple[Column, ...]] = ("trajectory_id", "seed_id")
_CHILD: Final = LimitedChild(__name__, "the filter", seconds=int(LONGEST_S) + 1, memory=MOST_MEMORY)


class Found(NamedTuple):
    """The ids that a question found."""

    column: Column
    ids: Sequence[str]


def find(run_folder: Path, listed: Path, sql: str) -> Found:
    """What a condition on the list, or a query with a column of ids, finds. Blocking. Raises `SqlError` of one line.

    `listed` is the list as a Parquet file: a table of this name for the query. Of a run on an object store it is the
    only one: the process has no keys to the store.
    """
    asked = json.dumps({"run": str(run_folder), "listed": str(listed), "sql": sql})
    try:
        answer = json.loads(asyncio.run(_CHILD.ask(asked.encode())))
    except ServiceError as error:
        raise SqlError(error.detail.removeprefix("the filter : ")) from error
    return Found(answer["column"], answer["ids"])


class _Database:
    """The database of one run."""

    def __init__(self, run: str, listed: str) -> None:
        self.key = run, listed
        folder = place(run)
        if is_remote(run):
            self.connection = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": "", "threads": 1})
        else:
            self.connection = open_lake(folder, memory_limit=MEMORY, threads=1)
        self.connection.execute(f"CREATE TABLE listed AS FROM read_parquet({quoted(listed)})")
        confine(self.connection, folder)

    def find(self, sql: str) -> Found:
        """Raises `QueryError`."""
        text = sql.strip().rstrip(";")
        query = text if _QUERY.match(text) else f"SELECT trajectory_id FROM listed WHERE (\n{text}\n)"
        with self._bounded():
            columns = ask(self.connection, f"FROM (\n{query}\n) LIMIT 0").columns
            column = next((name for name in _COLUMNS if name in columns), None)
            if column is None:
                raise QueryError(f"it gives {', '.join(columns)[:100]}: a column trajectory_id or seed_id is needed")
            ids = f"SELECT DISTINCT {column}::VARCHAR FROM (\n{query}\n) WHERE {column} IS NOT NULL"
            answer = ask(self.connection, ids, MOST_FOUND)
        if answer.more:
            raise QueryError(f"it finds more than {MOST_FOUND:,}")
        return Found(column, [str(row[0]) for row in answer.rows])

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Ends what takes too long, as far as DuckDB lets itself be ended; the process's limit is beyond it."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self.connection.interrupt()

        timer = threading.Timer(LONGEST_S, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except QueryError as error:
            if late.is_set():
                raise QueryError(f"it takes longer than {LONGEST_S:g} s") from error
            raise
        finally:
            timer.cancel()


def _child() -> None:
    database: _Database | None = None

    def answer(data: bytes) -> bytes:
        nonlocal database
        asked: dict[str, Any] = json.loads(data)
        key = asked["run"], asked["listed"]
        if database is None or database.key != key:
            database = _Database(*key)
        try:
            return json.dumps(database.find(asked["sql"])._asdict()).encode()
        except QueryError as error:
            # What `gog inspect` could do more is not for an address to ask.
            words = str(error).removesuffix("; --unsafe lets them read others").removesuffix(" without --unsafe")
            if words.startswith("Out of Memory"):
                words = f"it takes more than {MEMORY} of memory"
            words = _KIND.sub("", words)
            raise RefusedError(f": {words}") from error

    with duckdb.connect(config={"threads": 1}):  # what the first one maps is not counted
        serve(answer)


if __name__ == "__main__":
    _child()
