"""Columns of a published set that lie in a file beside its own, by `data_id`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gog.transforms.evaluate.questions import text_of
from gog.transforms.services.loop import shared
from gog.transforms.sources.formats import LINE_LIMIT, readable
from gog.transforms.sources.offsets import Offsets, Place


class BesideById:
    """Rows of a JSONL file by their `data_id`, found where they lie: 32 bytes a row are held, whatever the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, data_id: str) -> Mapping[str, Any]:
        """The row of that id; empty where there is none."""
        place = self._index().find(data_id)
        if place is None:
            return {}
        with readable(self._path), self._path.open("rb") as file:
            file.seek(place.offset)
            row = json.loads(file.read(place.size))
        return row if isinstance(row, dict) and row.get("data_id") == data_id else {}

    def _index(self) -> Offsets:
        with readable(self._path):
            status = self._path.stat()
            key = ("by data_id", str(self._path.resolve()), status.st_size, status.st_mtime_ns)
            return shared(key, lambda: Offsets(self._entries()))

    def _entries(self) -> Iterator[tuple[str, Place]]:
        with self._path.open("rb", buffering=1 << 20) as file:
            start = 0
            while line := file.readline(LINE_LIMIT):
                if data_id := _id(line):
                    yield data_id, Place(0, start, len(line))
                start += len(line)


def _id(line: bytes) -> str:
    """The `data_id` of a line; empty where it cannot be read."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    return text_of(row.get("data_id")) if isinstance(row, dict) else ""
