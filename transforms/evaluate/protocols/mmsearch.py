"""MMSearch's own protocol: F1 of tokens.

Source: Jiang et al. 2024, arXiv 2409.12959, and the scorer in lmms-eval (`lmms_eval/tasks/mmsearch/score/f1_score.py`
and its `lmms_eval_utils.py`): the best F1 over `gt_answer` and `alternative_gt_answers`. The authors' own first script
(github.com/CaraJ7/MMSearch, `eval_end2end.py`) reads `gt_answer` alone.

This is the end-to-end score: the authors' final score also weighs requery, rerank and summarization (0.05, 0.1 and 0.1
beside 0.75), which are no questions with answers. An item without an answer scores 0, as theirs do.
"""

from typing import Final

from gog.transforms.evaluate.benchmarks.items import BenchItem
from gog.transforms.evaluate.protocols.scores import Score, valued
from gog.transforms.evaluate.protocols.text import token_f1

NAME: Final = "mmsearch"


def score(item: BenchItem, prediction: str) -> Score:
    """The official score of one answer: its best token F1 against the accepted answers."""
    value = max((token_f1(prediction, answer) for answer in item.answers), default=0.0)
    return valued(item, NAME, value, "tokens", groups(item))


def groups(item: BenchItem) -> tuple[str, ...]:
    """The area: news or knowledge."""
    return (item.category,) if item.category else ()
