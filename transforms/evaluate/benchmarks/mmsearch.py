"""MMSearch, the table `end2end`: 300 questions, of which 171 have an image; agents are compared on those."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gog.transforms.evaluate.benchmarks.questions import PublishedSet, Question, first_text, parsed_list, present

REVISION: Final = "f9616f1"


def adapt(file: str, row: Mapping[str, Any]) -> Sequence[Question]:
    """One question; its image may be nothing."""
    return [
        Question(
            question=present(row, "query"),
            answers=[present(row, "gt_answer"), parsed_list(present(row, "alternative_gt_answers"))],
            image=present(row, "query_image"),
            id=first_text(row, "sample_id"),
            category=first_text(row, "area"),
            subset=first_text(row, "subfield"),
            gold_query=first_text(row, "gt_requery"),
        )
    ]


SET: Final = PublishedSet(
    name="mmsearch",
    adapt=adapt,
    needs=(("sample_id",), ("query",), ("query_image",), ("gt_answer",), ("gt_requery",)),
    source=f"CaraJ/MMSearch@{REVISION}",
)
