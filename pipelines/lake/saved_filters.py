"""Filters of a run's list that people keep under a name: `RUN/filters/HASH.json`, a file each, written whole."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from gog.pipelines.lake.disk import LakeError, disk_errors
from gog.pipelines.lake.lake import Lake, write_atomic
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.lake.review_files import is_text

LONGEST_NAME: Final = 60
"""Characters."""
LONGEST_QUERY: Final = 8000
"""Characters of the query of an address."""
MOST_FILTERS: Final = 100
"""Filters of one run."""
MOST_READ: Final = 1000
"""Files that are looked at, damaged ones included."""


class SavedFilter(NamedTuple):
    """A filter under its name, as the query of an address; who kept it."""

    name: str
    query: str
    by: str


def filter_name(text: str) -> str:
    """The name as it is kept: one line. `ValueError` when nothing is left, or it is too long."""
    name = one_line(text)
    if not name or len(name) > LONGEST_NAME:
        raise ValueError(f"a filter has a name of 1 to {LONGEST_NAME} characters")
    if not is_text(name):
        raise ValueError("a filter's name is text: it has half of a character in it")
    return name


def read_filters(lake: Lake, run: str) -> list[SavedFilter]:
    """The filters of a run by name; files that are none are passed over. Raises `LakeError`."""
    found = []
    with disk_errors(_folder(lake, run), "read"):
        paths = sorted(_folder(lake, run).glob("*.json"))[:MOST_READ]
    for path in paths:
        with suppress(OSError, ValueError, RecursionError):
            data: Any = json.loads(path.read_bytes()[: 2 * LONGEST_QUERY])
            if isinstance(data, Mapping):
                found.append(_read(data))
    return sorted(found, key=lambda kept: (kept.name.lower(), kept.name))


def save_filter(lake: Lake, run: str, name: str, query: str, by: str) -> None:
    """Keep a filter, in the place of one with the same name. Raises `LakeError`."""
    path = _path(lake, run, name)
    if not path.exists() and len(read_filters(lake, run)) >= MOST_FILTERS:
        raise LakeError(f"the run {run} has {MOST_FILTERS} filters, which is as many as it keeps: remove one first")
    kept = SavedFilter(name, query, by)
    write_atomic(path, json.dumps(kept._asdict(), ensure_ascii=False).encode())


def remove_filter(lake: Lake, run: str, name: str) -> None:
    """Forget a filter, if it is there. Raises `LakeError`."""
    path = _path(lake, run, name)
    with disk_errors(path, "remove"):
        path.unlink(missing_ok=True)


def _read(data: Mapping[str, Any]) -> SavedFilter:
    """Raises `ValueError`."""
    name, query, by = (data.get(key) for key in SavedFilter._fields)
    if not (isinstance(name, str) and isinstance(query, str) and isinstance(by, str)):
        raise ValueError("no saved filter")
    if len(query) > LONGEST_QUERY or not query.startswith("?") or not is_text(query + by):
        raise ValueError("no query")
    return SavedFilter(filter_name(name), query, one_line(by, LONGEST_NAME))


def _folder(lake: Lake, run: str) -> Path:
    return lake.run_folder(run) / "filters"


def _path(lake: Lake, run: str, name: str) -> Path:
    return _folder(lake, run) / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
