"""Upkeep of the shared state: reading all of it, adding, removing, statistics, and whether it is sound."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.postgres.database import Database
from gog.transforms.services.store.postgres.rows import KEEP, OF_RUN, answer_values, dated_of
from gog.transforms.services.store.records import MADE_HERE, Added, Choice, Dated, Group, Problem
from gog.transforms.services.store.rows import ANSWER_COLUMNS
from gog.transforms.services.store.upkeep import form_problem

_SOME: Final = 500
_RUN_OF: Final = "split_part(run, '/', 1)"
"""The run of an event that may be booked under a part of it."""


def _where(choice: Choice) -> tuple[str, dict[str, Any]]:
    parts, values = ["TRUE"], dict[str, Any]()
    if choice.kinds:
        parts.append("kind = ANY(%(kinds)s)")
        values["kinds"] = list(choice.kinds)
    if choice.before is not None:
        parts.append("created < %(before)s")
        values["before"] = choice.before
    if choice.failures:
        parts.append("failure IS NOT NULL")
    if choice.run is not None:
        parts.append(f"(purpose = '{MADE_HERE}' OR key IN (SELECT key FROM gog.events WHERE {OF_RUN}))")
        values["run"] = choice.run
    if choice.unasked_by is not None:
        asked = f"SELECT key FROM gog.events WHERE {_RUN_OF} = ANY(%(askers)s)"
        parts.append(f"purpose <> '{MADE_HERE}' AND key NOT IN ({asked})")
        values["askers"] = list(choice.unasked_by)
    return " AND ".join(parts), values


def choose(database: Database, choice: Choice) -> Iterator[Dated]:
    """The entries that are meant, in order of their keys."""
    where, values = _where(choice)
    for row in database.stream(f"SELECT {ANSWER_COLUMNS} FROM gog.answers WHERE {where} ORDER BY key", values):
        yield dated_of(row)


def keys(database: Database, choice: Choice) -> list[str]:
    """Keys of the entries that are meant, in order."""
    where, values = _where(choice)
    return [key for (key,) in database.stream(f"SELECT key FROM gog.answers WHERE {where} ORDER BY key", values)]


def statistics(database: Database, choice: Choice) -> list[Group]:
    """The entries that are meant, by kind, provider and failure class."""
    where, values = _where(choice)
    size = "pg_column_size(request) + coalesce(pg_column_size(answer), 0) + pg_column_size(detail)"
    sql = f"""SELECT kind, provider, coalesce(failure, ''), count(*), sum({size})::bigint, sum(cost),
        sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint, min(created), max(created)
        FROM gog.answers WHERE {where} GROUP BY 1, 2, 3
        ORDER BY kind COLLATE "C", provider COLLATE "C", coalesce(failure, '') COLLATE "C" """
    return [Group(*row) for row in database.stream(sql, values)]


def runs(database: Database) -> dict[str, int]:
    """Runs that have events in the store, and how many; parts count with their run."""
    sql = f'SELECT {_RUN_OF}, count(*) FROM gog.events GROUP BY 1 ORDER BY {_RUN_OF} COLLATE "C"'
    return {str(run): int(count) for run, count in database.stream(sql, None)}


def size(database: Database) -> int:
    """Bytes of the tables and their indexes."""
    sql = "SELECT pg_total_relation_size('gog.answers') + pg_total_relation_size('gog.events')"
    ((found,),) = database.stream(sql, None)
    return int(found)


def problems(database: Database) -> Iterator[Problem]:
    """Keys that are not the hash of their request, and answers of the wrong form; damage is the server's to find."""
    for dated in choose(database, Choice()):
        entry = dated.entry
        what = ""
        if request_key(entry.request) != entry.key:
            what = "its key is not the hash of its request"
        elif entry.kept.answer is not None:
            what = form_problem(entry.kind, entry.kept.answer)
        elif entry.kept.failure is None:
            what = "neither an answer nor a failure"
        if what:
            yield Problem(entry.key, entry.kind, what)


def add(database: Database, entries: Iterable[Dated]) -> Added:
    """Keep the entries, some in a transaction; nothing replaces an answer, and a failure gives way to one."""
    new, same, conflicts = 0, 0, list[str]()
    left = iter(entries)
    while some := list(islice(left, _SOME)):
        there = database.run(lambda connection, some=some: _add(connection, some))  # type: ignore[misc]
        seen: dict[str, tuple[str | None, bool]] = there
        for dated in some:
            key, answer = dated.entry.key, dated.entry.kept.answer
            held = seen.get(key)
            if held is None or (held[1] and answer is not None):
                new += 1
                seen[key] = (answer, answer is None)
            elif answer is None or held[0] == answer:
                same += 1
            else:
                conflicts.append(key)
    return Added(new, same, tuple(conflicts))


def _add(connection: Any, some: list[Dated]) -> dict[str, tuple[str | None, bool]]:
    """Insert what may be, and return what was there before: the answer, and whether it was a failure."""
    wanted = [dated.entry.key for dated in some]
    sql = "SELECT key, answer, failure IS NOT NULL FROM gog.answers WHERE key = ANY(%s)"
    there = {key: (answer, failed) for key, answer, failed in connection.execute(sql, (wanted,)).fetchall()}
    ordered = sorted(some, key=lambda dated: dated.entry.key)
    wins = [d for d in ordered if d.entry.kept.answer is not None or d.entry.key not in there]
    with connection.cursor() as cursor:
        cursor.executemany(KEEP, [answer_values(dated.entry, dated.created) for dated in wins])
    return there


def drop(database: Database, dropped: Sequence[str], of_runs: Sequence[str] = ()) -> None:
    """Remove entries by key, and the events of runs with their parts, and what they count as spent."""

    def work(connection: Any) -> None:
        connection.execute("DELETE FROM gog.answers WHERE key = ANY(%s)", (list(dropped),))
        for run in of_runs:
            connection.execute(f"DELETE FROM gog.events WHERE {OF_RUN}", {"run": run})
            connection.execute(f"DELETE FROM gog.spending WHERE {OF_RUN}", {"run": run})

    database.run(work)
