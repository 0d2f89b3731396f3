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


_LONGEST_LIST: Final = 200_000
"""Characters of a text that is looked at as a list of Python's or numpy's."""
_ARRAY: Final = re.compile(r"(?:np\.|numpy\.)?array\((\[.*\])(?:,\s*dtype=[^()]{1,30})?\)", re.DOTALL)
_BRACKETS: Final = re.compile(r"\[.*\]|\(.*\)|\{.*\}", re.DOTALL)
_LIST_TOKEN: Final = re.compile(
    r"""(?P<open>[\[({])|(?P<close>[\])}])|(?P<comma>,)|(?P<space>\s++)|(?P<cut>\.\.\.)
    |(?P<numpy>(?:np|numpy)\.str_\()?+(?P<text>'(?:[^'\\\n]|\\[^\n])*+'|"(?:[^"\\\n]|\\[^\n])*+")(?(numpy)\))
    |(?:None|nan)\b
    |(?P<number>[-+]?\d++(?:\.\d*+)?+(?:[eE][-+]?\d++)?+|True|False)(?=[\s,\]])""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SEVERAL: Final = re.compile(r"[|;\n\t¦‖•｜；、]|<br|\[SEP\]|\s/\s|[^\d\s],[^\d\s]", re.IGNORECASE)


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


def listed_answers(text: str) -> list[Any] | None:
    """The items of a list that a cell holds as text: JSON, or as Python or numpy prints one; None where it holds none.

    Nothing is evaluated but single strings in quotes. `RowError` where numpy cut the list short.
    """
    if (items := json_list(text)) is not None:
        return items
    if len(text) > _LONGEST_LIST:
        return None
    array = _ARRAY.fullmatch(text.strip())
    body = array[1] if array else text.strip()
    if not _BRACKETS.fullmatch(body):
        return None
    found: list[Any] = []
    depth, at = 0, 0
    while at < len(body):
        token = _LIST_TOKEN.match(body, at)
        if token is None or (depth == 0 and at > 0):
            return None
        at = token.end()
        match token.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth -= 1
            case "text":
                found.append(_ESCAPE.sub(_unescaped, token["text"][1:-1]))
            case "number" if body[0] != "[":  # (1, 2) and {1, 2} are points and sets of numbers rather than answers
                return None
            case "number":
                found.append(token["number"])
            case "cut":
                raise RowError("ingest.bad_row", "a list that numpy cut short with '...': write it out, as JSON")
    return found if depth == 0 and (body[0] == "[" or found) else None


def _unescaped(match: re.Match[str]) -> str:
    """The sign that a backslash and what follows stand for in a string of Python."""
    if code := match[1] or match[2] or match[3]:
        return chr(int(code, 16)) if int(code, 16) < 0x110000 else match[0]
    return {"n": "\n", "t": "\t", "r": "\r"}.get(match[4], match[4] if match[4] in ("\\", "'", '"') else match[0])


def looks_like_list(text: str) -> bool:
    """Whether one text seems to hold several answers."""
    plain = text.strip()
    return bool(_SEVERAL.search(plain)) or (plain[:1] in ("[", "{") and plain[-1:] in ("]", "}"))


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
