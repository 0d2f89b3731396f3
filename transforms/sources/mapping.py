"""Rows as a source gave them, and the mapping that says which of their columns holds what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gog.schemas.errors import UsageError
from gog.transforms.sources.cells import MISSING, column_names, listed, lookup

Column = Literal[
    "id", "entity", "gold_page", "category", "language", "licence", "source_url", "split_hint",
    "answer_type", "answer_unit", "answer_low", "answer_high",
]  # fmt: skip


class FieldMapping(BaseModel):
    """Which column of a source holds what.

    A column may be a dotted path: `level1_qa.question`, or `prompt.0.content` with the place in a list. A column
    whose own name has dots is found first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = "question"
    """Column of the question."""
    answers: tuple[str, ...] = ("answers",)
    """Columns of accepted answers, the main one first. Each holds one answer, a list, or a list as text: JSON, or
    as Python or numpy prints it.
    """
    answer_separator: str = ""
    """What stands between several answers in one text: `|`."""
    image: str = "image"
    """Bytes, a struct with `bytes` and `path` (as `datasets` writes it) or `url`, a data URL, base64 (in bytes, too), a
    list of these, or other text: see `image_text`. A list of several is of a question about several pictures.
    """
    further_images: tuple[str, ...] = ()
    """Columns of the pictures behind that one, where a question is about several: `[image_2, image_3]`. They may be
    empty.
    """
    image_text: Literal["path", "base64", "url"] = "path"
    """What other text in the image column is: a path, relative to the source's image folder or absolute and below it;
    the file in base64; or its address in the web, which is fetched once.
    """
    columns: dict[Column, str] = Field(default_factory=dict)
    """Columns of the other fields of a seed."""
    constants: dict[Column, str] = Field(default_factory=dict)
    """Values for all rows of fields that have no column, or that are empty in a row: `licence: MIT`."""
    extra: tuple[str, ...] = ()
    """Further columns to carry along in `Seed.extra`."""

    @property
    def all_columns(self) -> tuple[str, ...]:
        return (self.question, *self.answers, self.image, *self.further_images, *self.columns.values(), *self.extra)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row as a source gave it. `row_id` names its place (`file#number`), once in a source.

    `error` says why the row could not be read; `data` then holds what there was of it.
    """

    row_id: str
    data: Mapping[str, Any]
    error: str = ""


class MappingError(UsageError, ValueError):
    """The mapping does not fit the source: no row has a column that it names."""


def check_mapping(rows: Iterable[SourceRow], mapping: FieldMapping) -> None:
    """Raise `MappingError` when a column of the mapping is in none of the rows; reads until it has seen all."""
    missing = dict.fromkeys(mapping.all_columns)
    columns: dict[str, None] = {}
    for row in rows:
        if row.error:
            continue
        for column in list(missing):
            if lookup(row.data, column) is not MISSING:
                del missing[column]
        if not missing:
            return
        columns |= dict.fromkeys(column_names(row.data))
    if missing and columns:
        names = ", ".join(repr(name) for name in missing)
        raise MappingError(f"no row has the column {names}; there are: {listed(columns)}")
