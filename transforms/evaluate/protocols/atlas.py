"""The bundled world's protocol: the engine's own verifier, whose accepted forms are all there are. No judge."""

from typing import Final

from gog.schemas import Outcome
from gog.transforms.evaluate.benchmarks.items import BenchItem
from gog.transforms.evaluate.protocols.scores import Grade, Score, graded
from gog.transforms.verify.rules import check

NAME: Final = "atlas"


def score(item: BenchItem, prediction: str) -> Score:
    """Correct when the verifier's rules confirm the answer."""
    outcome, _ = check(prediction, item, closed=True)
    grade = Grade.CORRECT if outcome is Outcome.CORRECT else Grade.INCORRECT
    return graded(item, NAME, grade, "verifier", groups(item))


def groups(item: BenchItem) -> tuple[str, ...]:
    """The kind of question."""
    return (item.category,) if item.category else ()
