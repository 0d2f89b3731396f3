"""Rows of the store's file: how entries and events are written and read."""

import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from gog.schemas import Event, FailureClass
from gog.schemas.reasons import STOP_REASONS
from gog.transforms.services.store.records import Dated, Entry, Kept
from gog.transforms.services.store.schema import EVENT_COLUMNS, StoreError

COMPRESS: Final = 2048
"""Texts longer than this are kept compressed (zlib)."""
LONGEST: Final = 1 << 28
"""Bytes of a text that a store may hold; a longer one was not written by this engine."""
_ROWS: Final = 64
_IDLE_S: Final = 300.0
"""A gap between events longer than this is not work."""

ANSWER_COLUMNS: Final = (
    "key, kind, provider, purpose, failure, detail, answer, created, cost, prompt_tokens, completion_tokens, request"
)
OF_RUN: Final = "(run = ?1 OR (run > ?1 || '/' AND run < ?1 || '0'))"
"""The run and its parts, `RUN/PART`: the character after `/` is `0`."""
ASKED: Final = f"(attempts > 0 OR failure IS NULL OR failure NOT IN {tuple(map(str, STOP_REASONS))})"
"""Events of what was asked, and not refused since the run had stopped."""
KEEP_FIRST: Final = """ON CONFLICT (key) DO UPDATE SET purpose = excluded.purpose, failure = excluded.failure,
        detail = excluded.detail, answer = excluded.answer, created = excluded.created, cost = excluded.cost,
        prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens
    WHERE answers.failure IS NOT NULL"""
"""Nothing replaces an answer."""


def pack(text: str) -> str | bytes:
    """The text as it is kept."""
    return zlib.compress(text.encode(), 1) if len(text) > COMPRESS else text


def unpack(value: str | bytes) -> str:
    """The text again. Raises `ValueError` or `zlib.error` where it is damaged."""
    if not isinstance(value, bytes):
        return value
    unzip = zlib.decompressobj()
    text = unzip.decompress(value, LONGEST)
    if not unzip.eof:
        raise ValueError("cut off, or longer than any answer")
    return text.decode()


def entry_row(entry: Entry, created: float) -> tuple[Any, ...]:
    """Values of `ANSWER_COLUMNS`."""
    kept = entry.kept
    return (
        entry.key,
        entry.kind,
        entry.provider,
        entry.purpose,
        kept.failure,
        kept.detail.encode(errors="replace").decode()[:2000],
        None if kept.answer is None else pack(kept.answer),
        created,
        entry.cost,
        entry.prompt_tokens,
        entry.completion_tokens,
        pack(entry.request),
    )


def kept_of(answer: str | bytes | None, failure: str | None, detail: str, path: Path) -> Kept:
    """What is kept in a row. Raises `StoreError` where it is damaged."""
    try:
        return Kept(None if answer is None else unpack(answer), FailureClass(failure) if failure else None, detail)
    except (ValueError, zlib.error) as error:
        raise StoreError(f"{path}: an answer is damaged: restore a copy of the store ({error})") from error


def dated_of(row: Sequence[Any], path: Path) -> Dated:
    """The entry in a row of `ANSWER_COLUMNS`. Raises `StoreError` where it is damaged."""
    key, kind, provider, purpose, failure, detail, answer, created, cost, prompt, completion, request = row
    kept = kept_of(answer, failure, detail, path)
    try:
        text = unpack(request)
    except (ValueError, zlib.error) as error:
        raise StoreError(f"{path}: a request is damaged: restore a copy of the store ({error})") from error
    return Dated(Entry(key, kind, provider, purpose, text, kept, cost, prompt, completion), created)


def event_row(run: str, event: Event) -> tuple[Any, ...]:
    """Values of a row of events."""
    return (run, *(getattr(event, column) for column in EVENT_COLUMNS))


def insert(
    connection: sqlite3.Connection,
    table: str,
    rows: Sequence[tuple[Any, ...]],
    clause: str = "",
    more: tuple[Any, ...] = (),
) -> int:
    """Number of rows inserted or changed; `more` are the values of the clause's own marks.

    Many rows a statement: each statement is a wait for Python's global lock, which the event loop holds.
    """
    changed = 0
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        marks = f"({', '.join('?' * len(some[0]))})"
        values = [value for row in some for value in row]
        sql = f"INSERT INTO {table} VALUES {', '.join([marks] * len(some))} {clause}"
        changed += connection.execute(sql, [*values, *more]).rowcount
    return changed


def hours_of(spans: Iterable[tuple[Any, ...]]) -> float:
    """Hours covered by spans (start, length) in order of start, small gaps between them included."""
    total = 0.0
    until: float | None = None
    for started, length in spans:
        end = started + length
        if until is None or started - until > _IDLE_S:
            total += length
            until = end
        elif end > until:
            total += end - until
            until = end
    return total / 3600
