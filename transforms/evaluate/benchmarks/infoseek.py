"""InfoSeek: train, and val with its unseen splits. Pictures are named by OVEN id (see `OvenImages`).

`infoseek_*_withkb.jsonl` names the entity of a question, `infoseek_val_qtype.jsonl` its type; both by `data_id`. The
2,000-row sample of test that peers report is in FVQA's schema (`fvqa.adapt`) and knows no unseen split.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gog.transforms.evaluate.benchmarks.questions import (
    PublishedSet,
    Question,
    first_text,
    flat_texts,
    present,
    text_of,
)
from gog.transforms.services.loop import shared
from gog.transforms.sources.formats import LINE_LIMIT, readable
from gog.transforms.sources.offsets import Offsets, Place

RELEASED: Final = "2023-06-07"
"""No revision is published: the files of Google Storage, by the day of their release."""
_TYPES: Final = {"string": "string", "time": "date", "numerical": "number"}


def adapt(file: str, row: Mapping[str, Any]) -> Sequence[Question]:
    """One question. A numerical one has `answer_eval: [{wikidata, range: [low, high]}]`; its type is known by that."""
    evaluated = present(row, "answer_eval")
    first = evaluated[0] if isinstance(evaluated, list) and evaluated else evaluated
    kind = _TYPES.get(first_text(row, "question_type").lower(), "")
    low = high = None
    accepted = [present(row, "answer"), evaluated]
    if isinstance(first, Mapping):
        kind = "number"
        low, high = _range(first.get("range"))
        accepted = [present(row, "answer")]
        if not flat_texts(accepted):
            accepted = [first.get("wikidata")]
    split = first_text(row, "data_split")
    return [
        Question(
            question=present(row, "question"),
            answers=accepted,
            image=present(row, "image_id"),
            id=first_text(row, "data_id"),
            answer_type=kind,
            answer_low=low,
            answer_high=high,
            subset=split,
            unseen=next((name for name in ("question", "entity") if split.endswith(f"unseen_{name}")), ""),
            entity=first_text(row, "entity_text"),
        )
    ]


def _range(value: Any) -> tuple[float | None, float | None]:
    try:
        low, high = (float(text_of(bound)) for bound in value[:2])
    except (TypeError, ValueError, KeyError):
        return None, None
    return min(low, high), max(low, high)


class BesideById:
    """Rows of a JSONL file by their `data_id`, found where they lie: 24 bytes a row are held, whatever the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def columns(self, data_id: str) -> Mapping[str, Any]:
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


SET: Final = PublishedSet(
    name="infoseek",
    adapt=adapt,
    needs=(("data_id",), ("image_id",), ("question",), ("answer", "answer_eval")),
    source=f"gresearch/open-vision-language/infoseek ({RELEASED})",
    licence="apache-2.0",
)
