"""Steps by turn, and what makes an episode reflective."""

import pytest

from gog.schemas import Box, Reflection, Step
from gog.transforms.episode.steps import by_turn, is_reflective


def _step(
    action: str, found: bool, reflection: Reflection | None = None, error: str = "", box: Box | None = None
) -> Step:
    return Step.model_validate(
        {
            "turn": 0,
            "action": action,
            "evidence_ids": ["e"] if found else [],
            "reflection": reflection,
            "error": error,
            "box": box,
        }
    )


GLANCE, GAZE, TEXT = ("image_search", True), ("gaze", True), ("text_search", True)
HERE, CLOSER, THERE = Box(0.1, 0.1, 0.5, 0.5), Box(0.15, 0.1, 0.5, 0.5), Box(0.5, 0.5, 0.9, 0.9)


def _look(box: Box, reflection: Reflection | None = None) -> Step:
    return _step(*GAZE, reflection, box=box)


OFF, UNSURE, USEFUL = Reflection.OFF_TARGET, Reflection.AMBIGUOUS, Reflection.USEFUL


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([_look(HERE), _look(THERE, OFF)], True),
        ([_look(HERE), _step(*TEXT, UNSURE)], True),
        ([_step(*GLANCE), _look(HERE, OFF)], True),
        ([_step(*TEXT), _look(HERE, OFF)], True),
        ([_look(HERE), _step("gaze", False, OFF, "bad_box"), _look(THERE)], True),
        ([_look(HERE), _look(CLOSER, OFF), _look(THERE, OFF)], True),
        ([_look(HERE), _look(CLOSER, OFF)], False),
        ([_step(*TEXT), _step(*TEXT, OFF)], False),
        ([_step(*GLANCE), _step(*GLANCE, OFF)], False),
        ([_look(HERE), _look(THERE, USEFUL)], False),
        ([_look(HERE), _look(THERE)], False),
        ([_look(HERE, OFF)], False),
        ([_look(HERE), _step("answer", False, OFF)], False),
        ([_look(HERE), _step("gaze", False, OFF, "repeated")], False),
        ([_look(HERE), _step("none", False, OFF, "no_action"), _look(THERE, USEFUL)], False),
        ([_step("gaze", False), _look(HERE, OFF)], False),
        ([], False),
    ],
)
def test_reflective_means_noticed_and_changed(steps: list[Step], expected: bool) -> None:
    assert is_reflective([step.model_copy(update={"turn": turn}) for turn, step in enumerate(steps)]) is expected


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([[_look(HERE), _look(THERE)], [_look(CLOSER, OFF)]], False),
        ([[_look(HERE), _look(THERE)], [_step(*TEXT, OFF)]], True),
        ([[_look(HERE), _step(*TEXT)], [_look(CLOSER, OFF), _look(THERE)]], True),
        ([[_look(HERE)], [_look(CLOSER, OFF), _step("gaze", False, error="bad_box")], [_look(THERE)]], True),
        ([[_look(HERE), _look(THERE)]], False),
        ([[_look(HERE)], [_look(CLOSER, USEFUL), _look(THERE)]], False),
    ],
)
def test_a_judgement_is_of_all_that_the_turn_before_brought(turns: list[list[Step]], expected: bool) -> None:
    steps = [step.model_copy(update={"turn": turn}) for turn, those in enumerate(turns) for step in those]
    assert [list(those) for those in by_turn(steps)] == [
        [step.model_copy(update={"turn": turn}) for step in those] for turn, those in enumerate(turns)
    ]
    assert is_reflective(steps) is expected
