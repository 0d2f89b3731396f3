"""A question of a published set in one form, whatever the set: what each set's adapter makes of a row.

Evaluation and ingest read the same sets, so each set has one adapter: a function from the name of a file and a row of
it to its questions. `SEED_MAPPING` turns the columns of a question into a seed; `loading` beside it
turns them into a `BenchItem`. Adapters never raise on a row: a value of a wrong type is passed on, and is refused
where the row is checked.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from gog.transforms.images import ImageLimits
from gog.transforms.sources.cells import MISSING, column_names, json_list, listed, lookup, scalar_text
from gog.transforms.sources.mapping import FieldMapping, MappingError, SourceRow
from gog.transforms.sources.row_images import ReadImage

ImageText = Literal["path", "base64", "url"]


@dataclass(frozen=True)
class Question:
    """The columns of a question; empty where the set has nothing of the kind. Values are as published."""

    question: Any
    answers: Any
    """One, a list, or lists in a list."""
    image: Any
    """Bytes, a struct, or text: what text is, the set says (`PublishedSet.image_text`)."""
    id: str = ""
    answer_type: str = ""
    answer_low: float | None = None
    answer_high: float | None = None
    language: str = ""
    category: str = ""
    subset: str = ""
    version: str = ""
    level: int | None = None
    unseen: str = ""
    gold_query: str = ""
    entity: str = ""
    choices: tuple[str, ...] = ()
    choice: str = ""
    flags: tuple[str, ...] = ()

    def columns(self) -> dict[str, Any]:
        """The columns that hold something; question, answers and image always."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: v for name, v in found.items() if name in _ALWAYS or v not in (None, "", ())}


_ALWAYS: Final = frozenset({"question", "answers", "image"})
_LOOKED_AT: Final = 100


Beside = Callable[[str], Mapping[str, Any]]
"""Columns by the `data_id` of a row; empty where there are none."""

Adapt = Callable[[str, Mapping[str, Any]], Sequence[Question]]

Needs = tuple[tuple[str, ...], ...]
"""Columns that a set must have; of each entry at least one."""


@dataclass(frozen=True)
class PublishedSet:
    """How a set is published. `adapt` gives `per_row` questions of every row, always as many."""

    name: str
    adapt: Adapt
    needs: Needs
    source: str
    """Where it is published, with the revision that the adapter was written for."""
    licence: str = ""
    image_text: ImageText = "path"
    per_row: int = 1
    all_have_images: bool = True
    pictures: Callable[[str, ImageLimits], ReadImage] | None = None
    """Opens the pictures at a place, where the rows do not name files."""
    pictures_beside: Callable[[Path], str] | None = None
    """Such a place beside the set's files. Raises `SourceError`."""
    columns_beside: Callable[[Path, Sequence[str]], Sequence[Beside]] | None = None
    """What lies beside the files (folder and names) and adds columns to rows."""


SEED_MAPPING: Final = FieldMapping(
    columns={
        name: name for name in ("id", "entity", "category", "language", "answer_type", "answer_low", "answer_high")
    },
    extra=("subset", "version", "level", "unseen", "gold_query", "choices", "choice", "flags"),
)  # fmt: skip
"""Mapping of the columns of a `Question` to a seed's."""


def other_language(split: str, question: Question) -> str:
    """Why a question is not of a split that is a language, or all."""
    return "" if split in ("all", question.language) else f"its language is {question.language or 'not given'}"


def require(rows: Iterable[SourceRow], needs: Needs, where: str, what: str) -> None:
    """Raise `MappingError` when a needed column is in none of the first rows: then the set has changed."""
    missing = dict.fromkeys(needs)
    found: dict[str, None] = {}
    for row in islice((row for row in rows if not row.error), _LOOKED_AT):
        found |= dict.fromkeys([*map(str, row.data), *column_names(row.data)])
        for names in [n for n in missing if any(lookup(row.data, name) is not MISSING for name in n)]:
            del missing[names]
        if not missing:
            return
    if not (missing and found):
        return
    names = next(iter(missing))
    near = difflib.get_close_matches(names[0], found, n=1, cutoff=0.6)
    hint = f" (is {near[0]!r} it, renamed?)" if near else ""
    column = " or ".join(map(repr, names))
    raise MappingError(f"{where}: no row has the column {column} of {what}{hint}; there are: {listed(found)}")


def text_of(value: Any) -> str:
    """A scalar as stripped text; empty for anything else."""
    text = None if value is None or value is MISSING else scalar_text(value)
    return (text or "").strip()


def first_text(row: Mapping[str, Any], *columns: str) -> str:
    """The first column of these that holds text."""
    return next((text for column in columns if (text := text_of(lookup(row, column)))), "")


def present(row: Mapping[str, Any], *columns: str) -> Any:
    """The value of the first column of these that the row has; None where it has none."""
    return next((value for column in columns if (value := lookup(row, column)) is not MISSING), None)


def parsed_list(value: Any) -> Any:
    """A list that was written as JSON text; anything else as it is."""
    items = json_list(value) if isinstance(value, str) else None
    return value if items is None else items


def flat_texts(value: Any, depth: int = 0) -> list[str]:
    """All texts in a value: one, or lists in lists."""
    if isinstance(value, list | tuple) and depth < 5:
        return [text for item in value for text in flat_texts(item, depth + 1)]
    return [text] if (text := text_of(value)) else []
