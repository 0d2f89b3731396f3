"""Ingest: source rows become seeds, or leave with a reason. Pure; `gog.pipelines.sources.files` reads the rows.

Text is made safe once, here: control characters leave, image placeholders of trainers (`<image>`) leave or become the
image's number, and chat-template tokens in a question are broken visibly (`<|im_start|>` becomes `‹|im_start|>`).
Answers and names are kept as they are but for control characters, since they are compared and never shown to a model.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gog.schemas import AnswerType, FurtherImage, Reject, Seed, Unit, content_id
from gog.transforms.dialect.observations import neutralise
from gog.transforms.duplicates.fingerprints import Small, thumbnail
from gog.transforms.filters.use import FilterUse, filters_after, refusal
from gog.transforms.images import ImageError, ImageLimits, LoadedImage, is_blank, load_image, phash
from gog.transforms.ingest.placeholders import without_placeholders
from gog.transforms.sources.cells import (
    MISSING,
    RowError,
    clean_text,
    jsonable,
    kind_of,
    listed_answers,
    lookup,
    no_column,
    scalar_text,
    shortened,
)
from gog.transforms.sources.mapping import Column, FieldMapping, SourceRow
from gog.transforms.sources.row_images import Picture, ReadImage, image_bytes, pictures_of

STAGE: Final = "ingest"

SOURCE_ID: Final = "source_id"
"""Key of the source's own id in `Seed.extra`."""

_ANSWER_TYPES: Final = {kind.value: kind for kind in AnswerType} | {
    "yes-no": AnswerType.YES_NO,
    "numerical": AnswerType.NUMBER,
    "numeric": AnswerType.NUMBER,
    "time": AnswerType.DATE,
}


class IngestLimits(BaseModel):
    """What a row may hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question_chars: int = Field(default=4000, ge=1)
    """Length of a question."""
    answer_chars: int = Field(default=1000, ge=1)
    """Length of an accepted answer."""
    answers: int = Field(default=500, ge=1)
    """Accepted answers of a question."""
    extra_chars: int = Field(default=20_000, ge=0)
    """Length of `extra` as JSON."""
    licences: tuple[str, ...] | None = None
    """Allowed licences, in any case of letters; None allows all."""
    image: ImageLimits = ImageLimits()
    """What pictures may be."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """A seed with its pictures (whose sha256 it carries), and the id that the source gave it."""

    seed: Seed
    pictures: tuple[LoadedImage, ...] = field(repr=False, compare=False)
    """Decoded, in order, for checks that come at once; none once they are done and kept."""
    source_id: str | None = None
    small: Small | None = field(default=None, repr=False, compare=False)
    """The first of them made small, by which alike ones are found."""


def to_seed(
    row: SourceRow,
    mapping: FieldMapping,
    *,
    dataset: str,
    version: str = "",
    limits: IngestLimits | None = None,
    read_image: ReadImage | None = None,
    question_images: int = 1,
) -> Ingested | Reject:
    """The seed of a row, or the reject that says why there is none: more pictures than `question_images`, for one."""
    try:
        if row.error:
            raise RowError("ingest.bad_row", row.error)
        return _seed(row, mapping, dataset, version, limits or IngestLimits(), read_image, question_images)
    except (RowError, ImageError) as error:
        return reject_row(row, error.reason, error.detail)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return reject_row(row, "ingest.bad_row", f"{where}: {first['msg']}")


def source_id_of(seed: Seed) -> str:
    """The source's own id of a seed; empty where it has none."""
    source_id = seed.extra.get(SOURCE_ID)
    return source_id if isinstance(source_id, str) else ""


def reject_row(row: SourceRow, reason: str, detail: str, seed_id: str = "") -> Reject:
    """The reject of a row; its payload is the row, with bytes as their hash and size, and long text cut."""
    payload = json.dumps(shortened(row.data), ensure_ascii=False)
    return Reject.of(STAGE, Unit.ROW, row.row_id, reason, detail=detail, payload=payload, seed_id=seed_id)


def filter_seed(row: SourceRow, ingested: Ingested, uses: tuple[FilterUse, ...]) -> Ingested | Reject:
    """The seed, or what a filter after ingest makes of it. Raises `FilterError`."""
    objection = refusal(filters_after("ingest", uses), ingested.seed)
    return ingested if objection is None else reject_row(row, *objection, ingested.seed.seed_id)


def _seed(
    row: SourceRow,
    mapping: FieldMapping,
    dataset: str,
    version: str,
    limits: IngestLimits,
    read_image: ReadImage | None,
    question_images: int,
) -> Ingested:
    for column in (mapping.question, mapping.image):
        if lookup(row.data, column) is MISSING:
            raise no_column(row.data, column)
    pictures = pictures_of(row, mapping)
    question = question_of(row, mapping, limits, len(pictures))
    answers = answers_of(row, mapping, limits)
    fields = _Fields(row, mapping)
    licence = fields.text("licence")
    if limits.licences is not None and licence.casefold() not in {name.casefold() for name in limits.licences}:
        raise RowError("ingest.licence", f"the licence {licence[:100]!r} is not on the list of allowed ones")
    low, high = fields.number("answer_low"), fields.number("answer_high")
    if low is not None and high is not None and low > high:
        raise RowError("ingest.bad_row", f"the range of the answer is empty: {low:g} to {high:g}")
    kind = fields.text("answer_type").lower() or AnswerType.STRING.value
    if kind not in _ANSWER_TYPES:
        raise RowError(
            "ingest.bad_row", f"the answer type {kind[:50]!r} is none of {', '.join(k.value for k in AnswerType)}"
        )
    source_id = fields.text("id") or None
    extra = _extra(row, mapping, limits) | ({SOURCE_ID: source_id} if source_id else {})
    if len(pictures) > question_images:
        raise RowError(
            "ingest.too_many_images",
            f"the question has {len(pictures)} pictures, and may have {question_images}: see episode.question_images",
        )
    original, *further = loaded = tuple(_picture(picture, mapping, read_image, limits.image) for picture in pictures)
    seed = Seed(
        seed_id=content_id("seed", [dataset, question, answers, *(image.sha256 for image in loaded)]),
        dataset=dataset,
        dataset_version=version,
        question=question,
        answers=answers,
        answer_type=_ANSWER_TYPES[kind],
        answer_unit=fields.text("answer_unit"),
        answer_low=low,
        answer_high=high,
        image_sha256=original.sha256,
        width=original.width,
        height=original.height,
        image_phash=phash(original.image),
        further_images=tuple(
            FurtherImage(sha256=image.sha256, width=image.width, height=image.height, phash=phash(image.image))
            for image in further
        ),
        entity=fields.text("entity") or None,
        gold_page=fields.text("gold_page") or None,
        category=fields.text("category"),
        language=fields.text("language").lower() or "en",
        licence=licence,
        source_url=fields.text("source_url"),
        split_hint=fields.text("split_hint"),
        extra=extra,
    )
    return Ingested(seed, loaded, source_id, thumbnail(original.image))


def _picture(picture: Picture, mapping: FieldMapping, read_image: ReadImage | None, limits: ImageLimits) -> LoadedImage:
    loaded = load_image(image_bytes(picture, mapping, read_image), limits)
    if is_blank(loaded.image):
        raise ImageError("ingest.image_blank", f"{loaded.width}x{loaded.height} pixels of one colour")
    return loaded


def question_of(row: SourceRow, mapping: FieldMapping, limits: IngestLimits, images: int = 1) -> str:
    """The question, made safe; `RowError` when it is none, empty or too long."""
    value = lookup(row.data, mapping.question)
    if not isinstance(value, str):
        raise RowError("ingest.bad_row", f"{mapping.question!r} holds {kind_of(value)}, not a question")
    if len(value) > 10 * limits.question_chars:
        raise RowError("ingest.bad_row", f"the question has {len(value)} characters, limit {limits.question_chars}")
    question = neutralise(clean_text(without_placeholders(value, images), mapping.question)).strip()
    if not question:
        raise RowError("ingest.bad_row", "the question is empty")
    if len(question) > limits.question_chars:
        raise RowError("ingest.bad_row", f"the question has {len(question)} characters, limit {limits.question_chars}")
    return question


def answers_of(row: SourceRow, mapping: FieldMapping, limits: IngestLimits) -> tuple[str, ...]:
    """All accepted answers, each once; `RowError` when there is none, or a value is no answer."""
    answers: dict[str, None] = {}
    present = False
    for column in mapping.answers:
        value = lookup(row.data, column)
        present = present or value is not MISSING
        for answer in _flat(value, column, mapping.answer_separator):
            if len(answer) > limits.answer_chars:
                raise RowError("ingest.bad_row", f"an answer has {len(answer)} characters, limit {limits.answer_chars}")
            if text := clean_text(answer, column).strip():
                answers[text] = None
    if not present:
        raise no_column(row.data, mapping.answers[0])
    if not answers:
        raise RowError("ingest.no_answer", f"{', '.join(repr(c) for c in mapping.answers)}: no answer")
    if len(answers) > limits.answers:
        raise RowError("ingest.bad_row", f"{len(answers)} answers, limit {limits.answers}")
    return tuple(answers)


def _flat(value: Any, column: str, separator: str) -> list[str]:
    """All answers in a value: one, a list (of lists), a list as text, or several with the separator between them."""
    flat: list[str] = []
    stack = [value]
    while stack:
        item = stack.pop()
        match item:
            case None:
                continue
            case _ if item is MISSING:
                continue
            case list() | tuple():
                stack.extend(reversed(item))
            case str() if item is value and (items := listed_answers(item)) is not None:
                stack.extend(reversed(items))
            case str() if item is value and separator:
                flat.extend(item.split(separator))
            case _:
                if (text := scalar_text(item)) is None:
                    raise RowError("ingest.bad_row", f"{column!r} holds {kind_of(item)}, not answers")
                flat.append(text)
    return flat


class _Fields:
    """The optional fields of a row: its column, or the constant where there is none or it is empty."""

    def __init__(self, row: SourceRow, mapping: FieldMapping) -> None:
        self._row = row
        self._mapping = mapping

    def _value(self, name: Column) -> Any:
        column = self._mapping.columns.get(name)
        value = None if column is None else lookup(self._row.data, column)
        if value is None or value is MISSING or value == "":
            return self._mapping.constants.get(name)
        return value

    def text(self, name: Column) -> str:
        value = self._value(name)
        text = "" if value is None else scalar_text(value)
        if text is None:
            raise RowError("ingest.bad_row", f"{self._mapping.columns.get(name)!r} holds {kind_of(value)}, not text")
        if len(text) > 2000:
            raise RowError("ingest.bad_row", f"{name} has {len(text)} characters, limit 2000")
        return clean_text(text, name).strip()

    def number(self, name: Column) -> float | None:
        value = self._value(name)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise RowError("ingest.bad_row", f"{self._mapping.columns.get(name, name)!r} is not a number")
        return number


def _extra(row: SourceRow, mapping: FieldMapping, limits: IngestLimits) -> dict[str, Any]:
    extra = {
        column: jsonable(value, 0) for column in mapping.extra if (value := lookup(row.data, column)) is not MISSING
    }
    if len(json.dumps(extra)) > limits.extra_chars:
        raise RowError("ingest.bad_row", f"the extra columns are longer than {limits.extra_chars} characters")
    return extra
