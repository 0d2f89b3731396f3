"""SimpleVQA's own protocol: a judge that says correct, incorrect or not attempted, and an F1 of the shares.

Source: Cheng et al. 2025, arXiv 2502.13059, and the authors' scripts (github.com/SimpleVQA/SimpleVQA,
`llm_as_a_vqa_judger.py` and `simpleVQA_eval.py`, commit a5c0ebe). F1 is the harmonic mean of the share of correct
answers in all and in those attempted.

Different here: the grader's rules are in our words, in English (`prompts/judge/simplevqa.md.j2`), one answer a call; an
answer that is empty is not attempted without asking; a label that cannot be read is unknown and leaves the shares,
where the script counts a long one as not attempted and fails on others.
"""

from typing import Final

from gog.transforms.evaluate.benchmarks.items import BenchItem
from gog.transforms.evaluate.protocols.judging import read_grade, request
from gog.transforms.evaluate.protocols.scores import Grade, Score, graded
from gog.transforms.services.protocols import ChatRequest

NAME: Final = "simplevqa"
PROMPT: Final = "judge/simplevqa"


def score(item: BenchItem, prediction: str) -> Score:
    """Not attempted without an answer; else a judge is needed."""
    if not prediction.strip():
        return graded(item, NAME, Grade.NOT_ATTEMPTED, "empty", groups(item))
    return graded(item, NAME, Grade.UNKNOWN, "none", groups(item), needs_judge=True)


def groups(item: BenchItem) -> tuple[str, ...]:
    """The language."""
    return (item.language,)


def ask(item: BenchItem, prediction: str) -> ChatRequest:
    """What the judge is asked of an answer."""
    return request(PROMPT, item.question, item.answers, prediction)


def read(item: BenchItem, reply: str | None, judge: str = "") -> Score | None:
    """The score that the judge's reply makes; None when the reply cannot be read."""
    grade = read_grade(reply)
    if grade is Grade.UNKNOWN:
        return None
    return graded(item, NAME, grade, "judge", groups(item), judge=judge, reply=reply or "")
