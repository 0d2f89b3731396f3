"""What an adapter of a benchmark gives: items, and what it dropped with the reason. Free of Beam, torch and pyarrow.

An adapter accounts for every question in a published file: in = items + dropped.
"""

from dataclasses import dataclass
from typing import Final, Literal

from gog.schemas import AnswerType
from gog.schemas.errors import UsageError

__all__ = ["DROPPED", "FLAGS", "BenchItem", "BenchmarkError", "DropReason", "Dropped", "Unseen"]

Unseen = Literal["", "question", "entity"]

DropReason = Literal[
    "bad_row", "no_answer", "not_in_split", "no_image", "image_unreadable", "image_unavailable", "duplicate"
]

DROPPED: Final[dict[DropReason, str]] = {
    "bad_row": "the row cannot be read, or a value of it has a wrong type",
    "no_answer": "the row has no answer: published without, or empty",
    "not_in_split": "a readable row that the asked split leaves out: another language, level, or no image",
    "no_image": "the row names no image where the benchmark has one a row",
    "image_unreadable": "the image is missing in the folder, truncated or not an image",
    "image_unavailable": "the image is at an address that did not give it; another try may",
    "duplicate": "an item of the same id was given before",
}
"""Why a question of a published file is no item."""

FLAGS: Final[dict[str, str]] = {
    "chinese_answers_only": "an English question whose every answer is Chinese: token recall cannot match it",
    "generator_question_type": "the question type is a name of the program that made it, and no category",
    "answer_not_in_choices": "no choice has the letter that is given as the right one",
    "sample_of_test": "a row of a sample of a test split, whose unseen split nobody outside knows",
}
"""Marks of items that stay in and are reported apart."""


class BenchmarkError(UsageError, ValueError):
    """The benchmark cannot be loaded: no such file, other columns than published, a wrong split. One line."""


@dataclass(frozen=True, slots=True)
class BenchItem:
    """A question of a benchmark, with what its official protocol and the judge protocol need.

    Not a record that is stored: a result names `item_id`. `image` holds bytes that decode, with `image_suffix` as an
    image store takes it; None where the question has no image (129 of MMSearch), where images were not asked for, or
    where it is only at `image_url` and no fetcher was given.
    """

    item_id: str
    """Unique in benchmark and version; the source's own id where it has one."""
    benchmark: str
    """Its name."""
    version: str
    """Pinned revision, or version by name (`202412`), that the adapter was written for."""
    split: str
    """The split that was asked for."""
    question: str
    answers: tuple[str, ...]
    """All accepted answers, the main one first."""
    answer_type: AnswerType = AnswerType.STRING
    """For InfoSeek its question type: string, number (with a range) or date ("time")."""
    answer_low: float | None = None
    """Least accepted number where the source gives a range; InfoSeek's numerical questions."""
    answer_high: float | None = None
    answer_unit: str = ""
    image: bytes | None = None
    image_suffix: str = ""
    """`jpg`, `png` or `webp`."""
    further_images: tuple[tuple[bytes, str], ...] = ()
    """Bytes and suffixes of the pictures behind it, where the question is about several: a benchmark of one's own."""
    image_path: str = ""
    """Where the image lay, below the benchmark's folder, if in a file of its own."""
    image_url: str = ""
    """Where the image is, or was, in the web; DynVQA has nothing else."""
    language: str = "en"
    """Of the question: `en` or `zh`."""
    category: str = ""
    """The benchmark's own: question type (LiveVQA), area (MMSearch), category (SimpleVQA), kind (atlas)."""
    subset: str = ""
    """The part it was published in: `News`, `Paper`, `Video` (LiveVQA), subfield (MMSearch), source otherwise."""
    level: int | None = None
    """1 or 2 (LiveVQA)."""
    unseen: Unseen = ""
    """InfoSeek: what training did not see; its final score is the harmonic mean of both."""
    gold_query: str = ""
    """The query that a good search would use: DynVQA's golden query, MMSearch's requery."""
    entity: str = ""
    """What the question is about, where the source names it. Never shown to a model."""
    choices: tuple[str, ...] = ()
    """Options as published, each with its letter: `A. Camp Nou` (LiveVQA)."""
    choice: str = ""
    """Letter of the right option."""
    flags: tuple[str, ...] = ()
    """Marks out of `FLAGS`, sorted."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A question of a published file that is no item."""

    row_id: str
    """The source's own id, or `file#number`."""
    reason: DropReason
    detail: str = ""
