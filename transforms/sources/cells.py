"""Values of foreign rows: finding them by column or path, and making them text or JSON of bounded size."""

import datetime
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from gog.transforms.images import sha256_hex

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")


class RowError(Exception):
    """The row cannot become a seed: the reject's reason, and one line of detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = Missing()


def lookup(data: Any, column: str) -> Any:
    """The value of a column or dotted path; `MISSING` when there is none."""
    if isinstance(data, Mapping):
        if column in data:
            return data[column]
        head, dot, rest = column.partition(".")
        while dot:
            if head in data and (value := lookup(data[head], rest)) is not MISSING:
                return value
            tail, dot, rest = rest.partition(".")
            head = f"{head}.{tail}"
        return MISSING
    if isinstance(data, list | tuple):
        head, _, rest = column.partition(".")
        if not head.isdecimal() or len(head) > 6 or int(head) >= len(data):
            return MISSING
        return lookup(data[int(head)], rest) if rest else data[int(head)]
    return MISSING


def no_column(data: Mapping[str, Any], column: str) -> RowError:
    """What to raise where a row misses a column."""
    return RowError("ingest.bad_row", f"no column {column!r}; the row has: {listed(column_names(data))}")


def column_names(data: Mapping[str, Any]) -> list[str]:
    """Names of the columns, those of nested parts as dotted paths."""
    names: list[str] = []
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            names.extend(f"{name}.{inner}" for inner in value)
        else:
            names.append(str(name))
    return names


def listed(names: Iterable[str]) -> str:
    """Column names for a message."""
    shown = [name[:60] for name in names]
    return ", ".join(shown[:30]) + (f" and {len(shown) - 30} more" if len(shown) > 30 else "") or "nothing"


def clean_text(text: str, column: str) -> str:
    """NFC text without control characters; `RowError` where it holds halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RowError("ingest.bad_row", f"{column!r} is not valid Unicode at character {error.start}") from error
    return _CONTROL.sub("", unicodedata.normalize("NFC", text))


def scalar_text(value: Any) -> str | None:
    """A scalar as text; None when it is none. NaN, the way tables say that a cell is empty, is empty text."""
    match value:
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value) if abs(value) < 10**100 else None
        case float() if math.isnan(value):
            return ""
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case Decimal():
            return f"{value:f}" if value.is_finite() and abs(value.adjusted()) < 100 else None
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return None


def json_list(text: str) -> list[Any] | None:
    """The list that a text writes as JSON; None where it is none."""
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def kind_of(value: Any) -> str:
    """What a value is, for a message."""
    return "nothing" if value is None else f"a {type(value).__name__}"


def jsonable(value: Any, depth: int) -> Any:
    """The value as JSON can hold it; `RowError` on one that it cannot."""
    if depth > 20:
        raise RowError("ingest.bad_row", "an extra column is nested too deep")
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(k): jsonable(v, depth + 1) for k, v in value.items()}
        case list() | tuple():
            return [jsonable(v, depth + 1) for v in value]
        case _ if (text := scalar_text(value)) is not None:
            return text
        case _:
            raise RowError("ingest.bad_row", f"an extra column holds {kind_of(value)}")


def shortened(value: Any, depth: int = 0) -> Any:
    """A raw row as JSON of bounded size: bytes as size and sha256, long text, long lists and depth cut."""
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) < 10**30 else "a number of many digits"
        case float():
            return value if math.isfinite(value) else str(value)
        case str() if len(value) > 1000:
            return f"{value[:1000]}… ({len(value)} characters)"
        case str():
            return value
        case bytes() | bytearray() | memoryview():
            return {"bytes": len(value), "sha256": sha256_hex(bytes(value))}
        case Mapping() | list() | tuple() if depth > 8:
            return "…"
        case Mapping():
            return {str(k)[:200]: shortened(v, depth + 1) for k, v in list(value.items())[:100]}
        case list() | tuple():
            cut = [shortened(v, depth + 1) for v in value[:50]]
            return cut if len(value) <= 50 else [*cut, f"… ({len(value)} items)"]
        case _:
            return str(value)[:1000]
