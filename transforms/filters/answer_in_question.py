"""Leaves out seeds whose question holds its own answer: nothing has to be looked for."""

from gog.schemas import AnswerType, Seed
from gog.transforms.filters.use import Filter
from gog.transforms.verify.grounding import literal


def answer_in_question(seed: Seed) -> str | None:
    """Why the seed should leave. Numbers and dates may stand in a question by chance."""
    if seed.answer_type is AnswerType.STRING and literal(seed.answers, seed.question):
        return "an accepted answer stands in the question"
    return None


FILTER = Filter("answer_in_question", "ingest", answer_in_question)
