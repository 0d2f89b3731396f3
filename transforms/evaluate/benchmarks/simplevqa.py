"""SimpleVQA: pictures in base64, English and Chinese questions in one file."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gog.transforms.evaluate.benchmarks.questions import PublishedSet, Question, first_text, present

REVISION: Final = "428f7dc"


def adapt(file: str, row: Mapping[str, Any]) -> Sequence[Question]:
    """One question; `atomic_fact` is what the picture shows."""
    return [
        Question(
            question=present(row, "question"),
            answers=present(row, "answer"),
            image=present(row, "image"),
            id=first_text(row, "data_id"),
            language=_language(first_text(row, "language")),
            category=first_text(row, "vqa_category", "original_category"),
            subset=first_text(row, "source"),
            entity=first_text(row, "atomic_fact"),
        )
    ]


def _language(name: str) -> str:
    """`EN` and `CN` as the engine writes them; another name as it stands."""
    lower = name.lower()
    return {"en": "en", "english": "en", "cn": "zh", "zh": "zh", "chinese": "zh"}.get(lower, lower)


SET: Final = PublishedSet(
    name="simplevqa",
    adapt=adapt,
    needs=(("data_id",), ("image",), ("question",), ("answer",), ("language",)),
    source=f"m-a-p/SimpleVQA@{REVISION}",
    licence="apache-2.0",
    image_text="base64",
)
