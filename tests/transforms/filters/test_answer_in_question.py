"""Seeds whose question holds the answer."""

import pytest
from verifying import make_seed

from gog.schemas import AnswerType
from gog.transforms.filters.answer_in_question import FILTER


@pytest.mark.parametrize(
    ("question", "answer", "kind", "leaves"),
    [
        ("Is Nairobi the capital of this country?", "Nairobi", AnswerType.STRING, True),
        ("What is the capital of this country?", "Nairobi", AnswerType.STRING, False),
        ("Which of the 3 flags is this?", "3", AnswerType.NUMBER, False),
    ],
)
def test_an_answer_that_stands_in_the_question(question: str, answer: str, kind: AnswerType, leaves: bool) -> None:
    seed = make_seed(answer, question=question, kind=kind)
    assert (FILTER.function(seed) is not None) is leaves
