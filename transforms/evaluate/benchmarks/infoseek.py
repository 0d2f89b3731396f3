"""InfoSeek: train, and val with its unseen splits. Pictures are named by OVEN id (see `OvenImages`).

`infoseek_*_withkb.jsonl` names the entity of a question, `infoseek_val_qtype.jsonl` its type; both by `data_id`. The
2,000-row sample of test that peers report is in FVQA's schema (`fvqa.adapt`) and knows no unseen split.

InfoSeek's own protocol: exact match for names and times, ranges for numbers.

Source: Chen et al. 2023, arXiv 2302.11713, and the authors' script (github.com/edchengg/infoseek_eval,
`infoseek_eval.py`, commit c8ef023). The type of a question decides how it is scored; the final score is the harmonic
mean of the two unseen splits.

Kept as published, because the published numbers have it:

- a numerical answer without a number counts as the range 0 to 0, which ranges around zero accept;
- `.5` at the start of a number is read as 5, and of two numbers in falling order only the first counts;
- a time is matched word for word: that a year more or less is right is realised by the accepted answers alone.

Where the script would crash (`+.5.3`, a question without an accepted range), that number is no number, and the range is
10% around the first accepted answer, as its own scorer takes a single number.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gog.schemas import AnswerType
from gog.transforms.evaluate.benchmark import Benchmark
from gog.transforms.evaluate.benchmarks import fvqa
from gog.transforms.evaluate.beside import BesideById
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.measures import Cell, Measure, harmonic, mean, means
from gog.transforms.evaluate.protocols.protocol import Protocol
from gog.transforms.evaluate.protocols.scores import Grade, ProtocolError, Score, graded
from gog.transforms.evaluate.protocols.text import MAX_CHARS, squad
from gog.transforms.evaluate.questions import (
    PublishedSet,
    Question,
    first_text,
    flat_texts,
    present,
    text_of,
)
from gog.transforms.sources.formats import SourceError
from gog.transforms.sources.picture_files import OvenImages

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


NAME: Final = "infoseek"

TYPES: Final = {
    AnswerType.STRING: "string",
    AnswerType.YES_NO: "string",
    AnswerType.DATE: "time",
    AnswerType.NUMBER: "numerical",
}
"""The question types as InfoSeek names them."""

TOLERANCE: Final = 0.1
"""Of a single accepted number, to both sides."""

LEAST_OVERLAP: Final = 0.5
"""Intersection over union from which a predicted range counts."""

_NUMBER: Final = re.compile(r"[-+]?\.?\d+(?:,\d\d\d)*\.?\d*(?:[eE][-+]?\d+)?")
_DASH: Final = re.compile(r"(.)-", re.DOTALL)
_TINY: Final = 1e-12


def score(item: BenchItem, prediction: str) -> Score:
    """The official score of one answer. `ProtocolError` for a numerical item without any accepted number."""
    numerical = item.answer_type is AnswerType.NUMBER
    if numerical:
        right = within(numbers(prediction), accepted_range(item))
    else:
        said = squad(prediction)
        right = any(said == squad(answer) for answer in item.answers)
    grade = Grade.CORRECT if right else Grade.INCORRECT
    return graded(item, NAME, grade, "range" if numerical else "match", groups(item))


def groups(item: BenchItem) -> tuple[str, ...]:
    """The unseen split, where it is known, and the question's type."""
    split = (f"unseen_{item.unseen}",) if item.unseen else ()
    return (*split, TYPES[item.answer_type])


def accepted_range(item: BenchItem) -> tuple[float, float]:
    """Least and greatest accepted number; 10% around the first accepted answer where the item has no range."""
    if item.answer_low is not None and item.answer_high is not None:
        return item.answer_low, item.answer_high
    gold = numbers(item.answers[0]) if item.answers else (0.0, 0.0)
    if isinstance(gold, tuple):
        raise ProtocolError(f"{item.item_id}: a numerical InfoSeek item needs a range or a single accepted number")
    ends = gold * (1 - TOLERANCE), gold * (1 + TOLERANCE)
    return min(ends), max(ends)


def numbers(text: str) -> float | tuple[float, float]:
    """The number or the range that a text names: its first two numbers; (0, 0) when there is none."""
    # A dash after a digit parts a range; also after ², which no \d matches.
    spaced = _DASH.sub(lambda found: f"{found[1]} - " if found[1].isdigit() else found[0], text[:MAX_CHARS])
    found: list[float] = []
    for match in _NUMBER.finditer(spaced):
        try:
            found.append(float(match[0].replace(",", "").strip(".")))
        except ValueError:
            continue
        if len(found) == 2:
            break
    match found:
        case []:
            return 0.0, 0.0
        case [first, second] if first <= second:
            return first, second
        case _:
            return found[0]


def within(said: float | tuple[float, float], accepted: tuple[float, float]) -> bool:
    """Whether a number lies in the accepted range, or a range lies in it or overlaps it by half (IoU)."""
    low, high = accepted
    if not isinstance(said, tuple):
        return low <= said <= high
    if low <= said[0] <= high and low <= said[1] <= high:
        return True
    overlap = max(0.0, min(said[1], high) - max(said[0], low))
    union = (said[1] - said[0] + _TINY) + (high - low + _TINY) - overlap
    return union != 0 and overlap / union >= LEAST_OVERLAP - _TINY


def _measures(cells: Sequence[Cell]) -> Mapping[str, Measure]:
    splits = means(cells, ("unseen_question", "unseen_entity"))
    final = {"final": harmonic(list(splits.values()))} if len(splits) == 2 else {}
    return final | {"accuracy": mean(cells)} | splits | means(cells, ("string", "time", "numerical"))


def _left_out(split: str, question: Question) -> str:
    if split == "val":
        return "" if question.unseen else f"it is of {question.subset or 'no split'}"
    if split == "test2k":
        return ""
    return "" if question.subset == split else f"it is of {question.subset or 'no split'}"


def _as_it_lies(path: str, split: str) -> tuple[PublishedSet, str]:
    return (_SAMPLE if split == "test2k" else _SET), path


def _sample(file: str, row: Mapping[str, Any]) -> Sequence[Question]:
    return [replace(question, flags=("sample_of_test",)) for question in fvqa.adapt(file, row)]


def _beside(folder: Path, names: Sequence[str]) -> tuple[BesideById, ...]:
    """Types and entities of the questions, where their files lie beside."""
    stems = [name.removesuffix(".jsonl") for name in names]
    paths = [folder / f"{stem}_{what}.jsonl" for stem in stems for what in ("qtype", "withkb")]
    return tuple(BesideById(path) for path in paths if path.is_file())


def _pictures_beside(folder: Path) -> str:
    """A folder of the pictures beside the file, or tars (a pattern). `SourceError` where there are none."""
    for name in ("infoseek_images", "oven_images"):
        if (folder / name).is_dir():
            return str(folder / name)
        if any(folder.glob(f"{name}*.tar")):
            return str(folder / f"{name}*.tar")
    raise SourceError(f"{folder}: put the pictures by OVEN id there, as the folder oven_images or as oven_images*.tar")


_SET: Final = PublishedSet(
    name="infoseek",
    adapt=adapt,
    needs=(("data_id",), ("image_id",), ("question",), ("answer", "answer_eval")),
    source=f"gresearch/open-vision-language/infoseek ({RELEASED})",
    licence="apache-2.0",
    pictures=OvenImages,
    pictures_beside=_pictures_beside,
    columns_beside=_beside,
)
_SAMPLE: Final = replace(fvqa.SET, adapt=_sample)
BENCHMARK: Final = Benchmark(
    name=NAME,
    splits=("val", "val_unseen_question", "val_unseen_entity", "test2k"),
    version=RELEASED,
    where="infoseek_val.jsonl, with the qtype and withkb files beside it; the sample's Parquet for test2k",
    official=Protocol(NAME, score, groups, _measures),
    published=_SET,
    as_it_lies=_as_it_lies,
    left_out=_left_out,
    reported=(13.90, 16.05, 30.60, 17.40, 32.00, 38.15, 32.25, 24.65, 41.90, 40.55, 51.05, 49.05),
)
