"""Small items and scores for tests of protocols."""

from typing import Any

from gog.schemas import AnswerType
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.scores import Grade, Score


def make_item(*answers: str, benchmark: str = "fvqa", item_id: str = "item-0", **fields: Any) -> BenchItem:
    fields = {"question": "What is it?", "version": "v1", "split": "test"} | fields
    return BenchItem(item_id=item_id, benchmark=benchmark, answers=answers or ("Kenya",), **fields)


def make_number(low: float | None, high: float | None, *answers: str) -> BenchItem:
    return make_item(*answers, benchmark="infoseek", answer_type=AnswerType.NUMBER, answer_low=low, answer_high=high)


def make_score(
    item_id: object,
    grade: Grade | float,
    protocol: str = "judge",
    *groups: str,
    by_judge: bool = False,
) -> Score:
    """A score by its grade, or by its value from 0 to 1."""
    values = {Grade.CORRECT: 1.0, Grade.INCORRECT: 0.0, Grade.NOT_ATTEMPTED: 0.0}
    if not isinstance(grade, Grade):
        graded = Grade.CORRECT if grade == 1 else Grade.PARTIAL if grade else Grade.INCORRECT
        return Score(str(item_id), protocol, graded, float(grade), "tokens", groups=groups)
    method = "judge" if by_judge else "match"
    return Score(str(item_id), protocol, grade, values.get(grade), method, groups=groups)  # type: ignore[arg-type]
