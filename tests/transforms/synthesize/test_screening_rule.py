import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Outcome
from gog.transforms.synthesize.screening_rule import screen

R, W, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("outcomes", "easy", "rate", "leaves"),
    [
        ([R, R, R, R], True, 1.0, False),
        ([R, R, R, W], False, 0.75, False),
        ([R, R, R, U], False, 1.0, False),
        ([R, W, U, U], False, 0.5, False),
        ([W, U, U, U], False, 0.0, True),
        ([R, U, U, U], False, 1.0, True),
        ([U, U, U, U], False, 0.0, True),
        ([U], False, 0.0, True),
        ([R], True, 1.0, False),
        ([], False, 0.0, False),
    ],
)
def test_easy_is_n_of_n_and_only_too_few_settled_passes_cost_a_seed(
    outcomes: list[Outcome], easy: bool, rate: float, leaves: bool
) -> None:
    result = screen(outcomes)
    assert (result.easy, result.pass_rate) == (easy, rate)
    assert result.reason == ("screen.teacher_failed" if leaves else "")


@given(st.lists(st.sampled_from(Outcome), max_size=10))
def test_every_pass_is_counted_once(outcomes: list[Outcome]) -> None:
    result = screen(outcomes)
    assert result.settled + result.unknown == len(outcomes)
    assert 0 <= result.passes <= result.settled
    assert not (result.easy and result.reason)
