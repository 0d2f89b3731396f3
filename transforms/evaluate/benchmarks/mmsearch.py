"""MMSearch, the table `end2end`: 300 questions, of which 171 have an image; agents are compared on those.

MMSearch's own protocol: F1 of tokens.

Source: Jiang et al. 2024, arXiv 2409.12959, and the scorer in lmms-eval (`lmms_eval/tasks/mmsearch/score/f1_score.py`
and its `lmms_eval_utils.py`): the best F1 over `gt_answer` and `alternative_gt_answers`. The authors' own first script
(github.com/CaraJ7/MMSearch, `eval_end2end.py`) reads `gt_answer` alone.

This is the end-to-end score: the authors' final score also weighs requery, rerank and summarization (0.05, 0.1 and 0.1
beside 0.75), which are no questions with answers. An item without an answer scores 0, as theirs do.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gog.transforms.evaluate.benchmark import Benchmark
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.measures import mean_as
from gog.transforms.evaluate.protocols.protocol import Protocol
from gog.transforms.evaluate.protocols.scores import Score, valued
from gog.transforms.evaluate.protocols.text import token_f1
from gog.transforms.evaluate.questions import PublishedSet, Question, first_text, parsed_list, present

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


NAME: Final = "mmsearch"


def score(item: BenchItem, prediction: str) -> Score:
    """The official score of one answer: its best token F1 against the accepted answers."""
    value = max((token_f1(prediction, answer) for answer in item.answers), default=0.0)
    return valued(item, NAME, value, "tokens", groups(item))


def groups(item: BenchItem) -> tuple[str, ...]:
    """The area: news or knowledge."""
    return (item.category,) if item.category else ()


def _left_out(split: str, question: Question) -> str:
    return "it has no image" if split == "images" and question.image is None else ""


_SET: Final = PublishedSet(
    name="mmsearch",
    adapt=adapt,
    needs=(("sample_id",), ("query",), ("query_image",), ("gt_answer",), ("gt_requery",)),
    source=f"CaraJ/MMSearch@{REVISION}",
    all_have_images=False,
)
BENCHMARK: Final = Benchmark(
    name=NAME,
    splits=("images", "all"),
    version=REVISION,
    where="end2end.parquet",
    official=Protocol(NAME, score, groups, mean_as("f1")),
    published=_SET,
    left_out=_left_out,
    reported=(14.62, 15.20, 21.64, 20.47, 36.84, 36.26, 63.84, 40.94, 40.35, 53.80, 56.73, 65.50),
)
