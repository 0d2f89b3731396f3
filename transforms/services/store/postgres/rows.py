"""Rows of the shared state: how entries and events are written and read. Texts are kept as they are; the server
compresses long ones.
"""

from collections.abc import Sequence
from typing import Any, Final

from gog.schemas import Event, FailureClass
from gog.transforms.services.store.records import Dated, Entry, Kept
from gog.transforms.services.store.rows import ANSWER_COLUMNS, KEEP_FIRST
from gog.transforms.services.store.schema import EVENT_COLUMNS

_MARKS: Final = ", ".join(["%s"] * (ANSWER_COLUMNS.count(",") + 1))
KEEP: Final = f"INSERT INTO gog.answers ({ANSWER_COLUMNS}) VALUES ({_MARKS}) {KEEP_FIRST}"
"""Nothing replaces an answer,"""
INSERT_ANSWER: Final = f"{KEEP} OR (answers.kind = ANY(%s) AND answers.created < %s)"
"""but an old one of a kind that is bought anew."""
EVENT_SQL: Final = (
    f"INSERT INTO gog.events (worker, number, run, {', '.join(EVENT_COLUMNS)}) "
    f"VALUES ({', '.join(['%s'] * (3 + len(EVENT_COLUMNS)))}) ON CONFLICT DO NOTHING"
)
"""An event that was written already, before a connection was lost, counts once."""
KEPT_SQL: Final = "SELECT key, answer, failure, detail, kind, created FROM gog.answers"
OF_RUN: Final = "(run = %(run)s OR (run > %(run)s || '/' AND run < %(run)s || '0'))"
"""The run and its parts, `RUN/PART`: the character after `/` is `0`."""


def answer_values(entry: Entry, created: float) -> tuple[Any, ...]:
    """Values of `ANSWER_COLUMNS`."""
    kept = entry.kept
    return (
        entry.key,
        entry.kind,
        entry.provider,
        entry.purpose,
        kept.failure,
        _detail(kept.detail),
        kept.answer,
        created,
        entry.cost,
        entry.prompt_tokens,
        entry.completion_tokens,
        entry.request,
    )


def event_values(worker: str, number: int, run: str, event: Event) -> tuple[Any, ...]:
    """Values of `EVENT_SQL`."""
    return (worker, number, run, *(getattr(event, column) for column in EVENT_COLUMNS))


def kept_of(answer: str | None, failure: str | None, detail: str) -> Kept:
    """What is kept in a row."""
    return Kept(answer, FailureClass(failure) if failure else None, detail)


def dated_of(row: Sequence[Any]) -> Dated:
    """The entry in a row of `ANSWER_COLUMNS`."""
    key, kind, provider, purpose, failure, detail, answer, created, cost, prompt, completion, request = row
    kept = kept_of(answer, failure, detail)
    return Dated(Entry(key, kind, provider, purpose, request, kept, cost, prompt, completion), created)


def _detail(detail: str) -> str:
    # A text of PostgreSQL holds every character but this one.
    return detail.encode(errors="replace").decode().replace("\0", "\ufffd")[:2000]
