"""Measures of behaviour: kinds of search, gazes that help, misses that are noticed, what an episode costs."""

import pytest
from evaluating import judged_trajectory
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Behaviour, Reflection
from gog.transforms.evaluate.behaviour import Course, Gaze, behaviours, course_of
from gog.transforms.evaluate.share import Share
from gog.transforms.services.gateway.prices import FREE, Price

NAMES = ("Kenya",)
HIT, MISS = "Flag of Kenya", "Flag of Peru"


def test_the_course_of_an_episode() -> None:
    trajectory, evidence = judged_trajectory(
        ("gaze", MISS, Reflection.OFF_TARGET),
        ("gaze", MISS, None),
        ("gaze", HIT, Reflection.USEFUL),
        ("text_search", "Nairobi", Reflection.USEFUL),
    )
    course = course_of(trajectory, evidence, NAMES)
    assert course.gazes == (
        Gaze(useful=False, followed=True, judged=Reflection.OFF_TARGET),
        Gaze(useful=False, followed=True, judged=None),
        Gaze(useful=True, followed=True, judged=Reflection.USEFUL),
    )
    assert (course.turns, course.answered, course.searches) == (5, True, (("test", 4),))


def test_gazes_of_one_turn_are_judged_together() -> None:
    asked = [("gaze", MISS, None), ("gaze", HIT, None), ("text_search", "Nairobi", None)]
    trajectory, evidence = judged_trajectory(*asked)
    first, second, third, answer = trajectory.steps
    changes = [(first, 0, None), (second, 0, None), (third, 1, Reflection.USEFUL), (answer, 2, None)]
    steps = tuple(step.model_copy(update={"turn": turn, "reflection": said}) for step, turn, said in changes)
    course = course_of(trajectory.model_copy(update={"steps": steps}), evidence, NAMES)
    assert course.gazes == (
        Gaze(useful=False, followed=True, judged=Reflection.USEFUL),
        Gaze(useful=True, followed=True, judged=Reflection.USEFUL),
    )
    assert course.turns == 3


def test_without_a_target_nobody_says_whether_a_gaze_helped() -> None:
    trajectory, evidence = judged_trajectory(("gaze", MISS, None))
    assert course_of(trajectory, evidence, ()).gazes == ()


def course(*gazes: Gaze, kind: Behaviour = Behaviour.GAZE, answered: bool = True, searches: int = 1) -> Course:
    return Course(kind, searches + 1, answered, (("serper", searches),) if searches else (), gazes, 1000, 100)


def test_the_measures() -> None:
    missed = Gaze(useful=False, followed=True, judged=None)
    rows = [
        course(Gaze(useful=True, followed=True, judged=Reflection.USEFUL)),
        course(missed, Gaze(useful=False, followed=True, judged=Reflection.AMBIGUOUS), searches=2),
        course(Gaze(useful=False, followed=False, judged=None), answered=False),
        course(kind=Behaviour.DIRECT, searches=0),
    ]
    found = behaviours(
        rows, Price(prompt_per_million=2.0, completion_per_million=10.0), {"serper": Price(per_call=0.001)}
    )
    assert found.episodes == 4
    assert {kind: share.part for kind, share in found.mix.items() if share.part} == {"gaze": 3, "direct": 1}
    assert (found.gaze_useful.part, found.gaze_useful.whole) == (1, 4)
    assert (found.reflected.part, found.reflected.whole) == (1, 2), "a miss with no turn after it says nothing"
    assert (found.no_answer.part, found.turns, found.searches, found.tokens) == (1, 2.0, 1.0, 1100.0)
    assert found.cost == pytest.approx((4 * (1000 * 2 + 100 * 10) / 1e6 + 4 * 0.001) / 4)


def test_an_unknown_price_is_not_nothing() -> None:
    assert behaviours([course()], None, {"serper": FREE}).cost is None
    assert behaviours([course()], FREE, {"serper": None}).cost is None
    assert behaviours([course(searches=0)], FREE, {}).cost == 0


def test_a_policy_may_cost_by_the_call() -> None:
    assert behaviours([course(searches=2)], Price(per_call=0.5), {"serper": FREE}).cost == pytest.approx(1.5)


def test_nothing_measured_is_no_number() -> None:
    found = behaviours([], FREE, {})
    assert (found.turns, found.searches, found.tokens, found.cost) == (None,) * 4
    assert {share.value for share in found.mix.values()} == {None}


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_share_lies_in_its_interval(part: int, rest: int) -> None:
    share = Share.of(part, part + rest)
    if part + rest == 0:
        assert share == Share(0, 0, None, None, None)
    else:
        assert share.low is not None
        assert share.value is not None
        assert share.high is not None
        assert 0 <= share.low <= share.value <= share.high <= 1
