"""LiveVQA's own protocol: a judge that says A, B or C, and two accuracies a level.

Source: Fu et al. 2025, arXiv 2504.05288, and the authors' script (github.com/fumingyang2004/LIVEVQA,
`liveVQA_benchmarks/unified_benchmark.py` and `Evaluation/`, commit f62cbf5): the grader of SimpleQA (Wei et al. 2024,
arXiv 2411.04368), all accepted answers joined by OR, A/(A+B) and A/(A+B+C) for each level. An empty answer is C without
asking; a reply that is no letter is an error, counted apart, as here.

Different here: the grader's rules are in our words (`prompts/judge/livevqa.md.j2`), and a letter is also read out of
`A: CORRECT`, JSON and the like. Question types of the Paper part are names of the program that made them: no group.
"""

from typing import Final

from gog.transforms.evaluate.benchmarks.items import BenchItem
from gog.transforms.evaluate.protocols.judging import read_grade, request
from gog.transforms.evaluate.protocols.scores import Grade, Score, graded
from gog.transforms.services.protocols import ChatRequest

NAME: Final = "livevqa"
PROMPT: Final = "judge/livevqa"


def score(item: BenchItem, prediction: str) -> Score:
    """Not attempted without an answer; else a judge is needed."""
    if not prediction.strip():
        return graded(item, NAME, Grade.NOT_ATTEMPTED, "empty", groups(item))
    return graded(item, NAME, Grade.UNKNOWN, "none", groups(item), needs_judge=True)


def groups(item: BenchItem) -> tuple[str, ...]:
    """The level and the part (News, Paper, Video)."""
    level = (f"level{item.level}",) if item.level is not None else ()
    return (*level, item.subset) if item.subset else level


def ask(item: BenchItem, prediction: str) -> ChatRequest:
    """What the judge is asked of an answer."""
    quoted = [f'"{answer}"' for answer in item.answers]
    return request(PROMPT, item.question, quoted, prediction, joiner=" OR ")


def read(item: BenchItem, reply: str | None, judge: str = "") -> Score | None:
    """The score that the judge's reply makes; None when the reply cannot be read."""
    grade = read_grade(reply)
    if grade is Grade.UNKNOWN:
        return None
    return graded(item, NAME, grade, "judge", groups(item), judge=judge, reply=reply or "")
