"""Upkeep of a store's file: reading all of it, adding, removing, statistics, and whether it is sound."""

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from gog.transforms.services.store.forms import FORMS
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.records import MADE_HERE, Added, Choice, Dated, Group, Problem
from gog.transforms.services.store.rows import ANSWER_COLUMNS, KEEP_FIRST, OF_RUN, dated_of, entry_row, insert, unpack
from gog.transforms.services.store.schema import connect, explain, transaction

_SOME: Final = 500


def _where(choice: Choice) -> tuple[str, list[Any]]:
    """The condition of a choice, and its values."""
    parts, values = ["TRUE"], list[Any]()
    if choice.kinds:
        parts.append("kind IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(choice.kinds))
    if choice.before is not None:
        parts.append("created < ?")
        values.append(choice.before)
    if choice.failures:
        parts.append("failure IS NOT NULL")
    if choice.run is not None:
        asked = "SELECT key FROM events WHERE run = ? OR (run > ? || '/' AND run < ? || '0')"
        parts.append(f"(purpose = '{MADE_HERE}' OR key IN ({asked}))")
        values += [choice.run] * 3
    if choice.unasked_by is not None:
        asked = f"SELECT key FROM events WHERE {_RUN_OF} IN (SELECT value FROM json_each(?))"
        parts.append(f"purpose != '{MADE_HERE}' AND key NOT IN ({asked})")
        values.append(json.dumps(choice.unasked_by))
    return " AND ".join(parts), values


_RUN_OF: Final = "CASE WHEN instr(run, '/') THEN substr(run, 1, instr(run, '/') - 1) ELSE run END"
"""The run of an event that may be booked under a part of it."""


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with contextlib.closing(connect(path)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise explain(error, path) from error


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    with _opened(path) as connection, transaction(connection):
        yield connection


def choose(path: Path, choice: Choice) -> Iterator[Dated]:
    """The entries that are meant, in order of their keys. Raises `StoreError` at a damaged one."""
    where, values = _where(choice)
    with _opened(path) as connection:
        for row in connection.execute(f"SELECT {ANSWER_COLUMNS} FROM answers WHERE {where} ORDER BY key", values):
            yield dated_of(row, path)


def statistics(path: Path, choice: Choice) -> list[Group]:
    """The entries that are meant, by kind, provider and failure class."""
    where, values = _where(choice)
    size = "length(CAST(request AS BLOB)) + coalesce(length(CAST(answer AS BLOB)), 0) + length(CAST(detail AS BLOB))"
    sql = f"""SELECT kind, provider, coalesce(failure, ''), count(*), sum({size}), total(cost), sum(prompt_tokens),
        sum(completion_tokens), min(created), max(created)
        FROM answers WHERE {where} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
    with _opened(path) as connection:
        return [Group(*row) for row in connection.execute(sql, values)]


def keys_of(path: Path, choice: Choice) -> list[str]:
    """Keys of the entries that are meant, in order."""
    where, values = _where(choice)
    with _opened(path) as connection:
        return [key for (key,) in connection.execute(f"SELECT key FROM answers WHERE {where} ORDER BY key", values)]


def size_of(path: Path) -> int:
    """Bytes of the file, with what is not yet written into it."""
    return sum(part.stat().st_size for part in (path, path.with_name(f"{path.name}-wal")) if part.exists())


def runs_in(path: Path) -> dict[str, int]:
    """Runs that have events in the store, and how many; parts count with their run."""
    with _opened(path) as connection:
        return dict(connection.execute(f"SELECT {_RUN_OF}, count(*) FROM events GROUP BY 1 ORDER BY 1").fetchall())


def add_entries(path: Path, entries: Iterable[Dated]) -> Added:
    """Keep the entries, some in a transaction; nothing replaces an answer, and a failure gives way to one."""
    count, same, conflicts = 0, 0, list[str]()
    left = iter(entries)
    while some := list(islice(left, _SOME)):
        with _writing(path) as connection:
            for dated in some:
                key, answer = dated.entry.key, dated.entry.kept.answer
                held = connection.execute("SELECT answer, failure FROM answers WHERE key = ?", (key,)).fetchone()
                if held is None or (held[1] is not None and answer is not None):
                    insert(connection, "answers", [entry_row(dated.entry, dated.created)], KEEP_FIRST)
                    count += 1
                elif answer is None or unpack(held[0]) == answer:
                    same += 1
                else:
                    conflicts.append(key)
    return Added(count, same, tuple(conflicts))


def drop_entries(path: Path, keys: Sequence[str], runs: Sequence[str] = ()) -> None:
    """Remove entries by key, and the events of runs with their parts; then give the room back to the disk."""
    with _writing(path) as connection:
        for start in range(0, len(keys), _SOME):
            some = json.dumps(keys[start : start + _SOME])
            connection.execute("DELETE FROM answers WHERE key IN (SELECT value FROM json_each(?))", (some,))
        for run in runs:
            connection.execute(f"DELETE FROM events WHERE {OF_RUN}", (run,))
    # Where another process reads, SQLite cannot shrink the file now; the room is used again all the same.
    with _opened(path) as connection, contextlib.suppress(sqlite3.OperationalError):
        connection.execute("VACUUM")


def verify(path: Path) -> Iterator[Problem]:
    """What is wrong with the store: damage, keys that are not the hash of their request, answers of the wrong form."""
    with _opened(path) as connection:
        for (said,) in connection.execute("PRAGMA integrity_check(20)"):
            if said != "ok":
                yield Problem("", "", f"the file is damaged: {said}")
        # Row by row, so that a damaged one does not hide the others.
        for row in connection.execute(f"SELECT {ANSWER_COLUMNS} FROM answers ORDER BY key"):
            problem = _problem(row)
            if problem:
                yield Problem(str(row[0]), str(row[1]), problem)


def _problem(row: tuple[Any, ...]) -> str:
    key, kind, failure, answer, request = row[0], row[1], row[4], row[6], row[11]
    try:
        text = unpack(request)
    except (ValueError, zlib.error) as error:
        return f"its request cannot be read: {error}"
    if request_key(text) != key:
        return "its key is not the hash of its request"
    if answer is None:
        return "" if failure else "neither an answer nor a failure"
    return form_problem(kind, answer)


def form_problem(kind: str, answer: str | bytes) -> str:
    """What is wrong with the form of an answer; empty when nothing is."""
    try:
        text = unpack(answer)
    except (ValueError, zlib.error) as error:
        return f"its answer cannot be read: {error}"
    form = FORMS.get(kind)
    try:
        if form is None:
            json.loads(text)
        else:
            form.validate_json(text)
    except (ValidationError, ValueError, RecursionError) as error:
        return f"its answer is not of the form of {kind!r}: {str(error).splitlines()[0]}"
    return ""
