"""What a request may change of a review, read from its body."""

from collections.abc import Mapping
from typing import Any, Final

from gog.pipelines.lake.one_line import one_line
from gog.pipelines.lake.review_files import LONGEST_ANSWER, LONGEST_COMMENT, MOST_BOXES, is_text
from gog.schemas import Box, BoxError, CorrectedBox, Decision, Step, Why, key_of

WHYS: Final = {
    Why.WRONG_ANSWER: "wrong answer",
    Why.WRONG_REGION: "wrong region",
    Why.UNGROUNDED: "ungrounded",
    Why.LEAK: "leak",
    Why.BAD_QUESTION: "bad question",
    Why.OTHER: "other",
}
"""Reasons to reject in the order of their keys, 1 to 6, and how they read."""


def read_change(body: Mapping[str, Any], gazes: Mapping[tuple[int, int], Step], *, answers: bool) -> dict[str, Any]:
    """The change of a review that a request asks for; boxes are of gazes, by turn and call. Raises `ValueError`.

    `answers` says whether the trajectory has an answer to correct.
    """
    change: dict[str, Any] = {}
    if "decision" in body:
        change["decision"] = None if body["decision"] is None else Decision(body["decision"])
        change["why"] = None if body.get("why") is None else Why(body["why"])
        if change["why"] and change["decision"] is not Decision.REJECT:
            raise ValueError("only a rejection has a reason")
    if "comment" in body:
        change["comment"] = _text(body["comment"], "a comment", LONGEST_COMMENT)
    if "answer" in body:
        change["answer"] = _answer(body["answer"], answers)
    if "boxes" in body:
        if not isinstance(body["boxes"], dict):
            raise ValueError("boxes are an object, a box for each turn")
        known = {key_of(*place): (*place, gaze.on_image) for place, gaze in gazes.items()}
        change["boxes"] = {key: _corrected(key, known, box) for key, box in body["boxes"].items()}
        if len(change["boxes"]) > MOST_BOXES:
            raise ValueError(f"a review has at most {MOST_BOXES} boxes")
    return change


def _text(value: Any, what: str, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(f"{what} is text of at most {longest} characters")
    if not is_text(value):
        raise ValueError(f"{what} is text: it has half of a character in it")
    return value


def _answer(value: Any, answers: bool) -> str | None:
    if value is None:
        return None
    answer = one_line(_text(value, "an answer", LONGEST_ANSWER))
    if not answer:
        raise ValueError("an answer is not empty")
    if "<answer>" in answer.lower() or "</answer>" in answer.lower():
        raise ValueError("an answer holds no tag of an answer")
    if not answers:
        raise ValueError("there is no answer to correct")
    return answer


def _corrected(key: str, gazes: Mapping[str, tuple[int, int, int]], values: Any) -> CorrectedBox | None:
    if key not in gazes:
        raise ValueError(f"turn {key[:10]!r} is no gaze")
    turn, call, on_image = gazes[key]
    box = _box(values)
    return None if box is None else CorrectedBox(turn=turn, call=call, box=box, on_image=on_image)


def _box(values: Any) -> Box | None:
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != 4 or not all(type(v) in (int, float) for v in values):
        raise ValueError("a box is four numbers, x1, y1, x2, y2, in fractions of the image")
    try:
        return Box.checked(*values)
    except (BoxError, OverflowError) as error:
        raise ValueError(str(error)) from error
