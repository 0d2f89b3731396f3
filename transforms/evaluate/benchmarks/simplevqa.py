"""SimpleVQA: pictures in base64, English and Chinese questions in one file.

SimpleVQA's own protocol: a judge that says correct, incorrect or not attempted, and an F1 of the shares.

Source: Cheng et al. 2025, arXiv 2502.13059, and the authors' scripts (github.com/SimpleVQA/SimpleVQA,
`llm_as_a_vqa_judger.py` and `simpleVQA_eval.py`, commit a5c0ebe). F1 is the harmonic mean of the share of correct
answers in all and in those attempted.

Different here: the grader's rules are in our words, in English (`prompts/judge/simplevqa.md.j2`), one answer a call; an
answer that is empty is not attempted without asking; a label that cannot be read is unknown and leaves the shares,
where the script counts a long one as not attempted and fails on others.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gog.transforms.evaluate.benchmark import Benchmark
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.judging import left_to_judge, request
from gog.transforms.evaluate.protocols.measures import Cell, Measure, attempted, correct, ratio
from gog.transforms.evaluate.protocols.scores import Grade
from gog.transforms.evaluate.questions import PublishedSet, Question, first_text, other_language, present
from gog.transforms.services.protocols import ChatRequest

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


NAME: Final = "simplevqa"
PROMPT: Final = "judge/simplevqa"


def groups(item: BenchItem) -> tuple[str, ...]:
    """The language."""
    return (item.language,)


def ask(item: BenchItem, prediction: str) -> ChatRequest:
    """What the judge is asked of an answer."""
    return request(PROMPT, item.question, item.answers, prediction)


def _measures(cells: Sequence[Cell]) -> Mapping[str, Measure]:
    right, tried = correct(cells), attempted(cells)
    everyone = [True] * len(cells)
    # The harmonic mean of correct/all and correct/attempted.
    f1 = ratio((2 * each for each in right), (1 + each for each in tried))
    return {
        "f1": f1,
        "correct": ratio(right, everyone),
        "incorrect": ratio((each.grade is Grade.INCORRECT for each in cells), everyone),
        "not_attempted": ratio((not each for each in tried), everyone),
        "accuracy_attempted": ratio(right, tried),
    }


_SET: Final = PublishedSet(
    name="simplevqa",
    adapt=adapt,
    needs=(("data_id",), ("image",), ("question",), ("answer",), ("language",)),
    source=f"m-a-p/SimpleVQA@{REVISION}",
    licence="apache-2.0",
    image_text="base64",
)
BENCHMARK: Final = Benchmark(
    name=NAME,
    splits=("en", "zh", "all"),
    version=REVISION,
    where="test.parquet",
    official=left_to_judge(NAME, groups, _measures, ask, PROMPT),
    published=_SET,
    left_out=other_language,
    reported=(41.26, 41.76, 43.44, 41.66, 62.69, 59.13, 61.90, 54.79, 60.61, 65.65, 64.86, 66.44),
)
