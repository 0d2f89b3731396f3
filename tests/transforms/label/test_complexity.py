import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gog.schemas import Complexity, Outcome, Reject
from gog.transforms.label.complexity import ComplexitySettings, complexity, level_of, wilson

R, W, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNKNOWN


def test_wilson_agrees_with_published_values() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_interval_holds_the_rate_is_symmetric_and_narrows(one: int, other: int) -> None:
    passes, k = min(one, other), max(one, other)
    low, high = wilson(passes, k)
    assert 0 <= low <= high <= 1
    if k:
        assert low <= passes / k <= high
        mirror = wilson(k - passes, k)
        assert (low, high) == pytest.approx((1 - mirror[1], 1 - mirror[0]))
        wide = wilson(2 * passes, 2 * k)
        assert wide[1] - wide[0] < high - low


@pytest.mark.parametrize(("passes", "k"), [(-1, 4), (5, 4)])
def test_impossible_counts_are_refused(passes: int, k: int) -> None:
    with pytest.raises(ValueError, match="passes of"):
        wilson(passes, k)


@pytest.mark.parametrize(
    ("outcomes", "level"),
    [
        ([R] * 8, 0),
        ([R] * 7 + [W], 0),
        ([R] * 6 + [W] * 2, 1),
        ([R] * 3 + [W] * 5, 1),
        ([R] * 2 + [W] * 6, 2),
        ([W] * 8, 2),
    ],
)
def test_levels_by_the_pass_rate(outcomes: list[Outcome], level: int) -> None:
    found = complexity("s", "p", outcomes, solvable=True)
    assert isinstance(found, Complexity)
    assert (found.level, found.k, found.unknown) == (level, 8, 0)


def test_tries_that_nobody_could_settle_leave_k() -> None:
    found = complexity("s", "p", [R, U, W, U], solvable=False)
    assert isinstance(found, Complexity)
    assert (found.k, found.passes, found.unknown, found.pass_rate, found.level) == (2, 1, 2, 0.5, 1)


@pytest.mark.parametrize(
    ("outcomes", "solvable", "reason"),
    [
        ([W] * 4, False, "label.unsolvable"),
        ([U, U, U, R], True, "label.unknown"),
        ([U], True, "label.unknown"),
        ([], True, "label.unknown"),
    ],
)
def test_why_a_seed_has_no_level(outcomes: list[Outcome], solvable: bool, reason: str) -> None:
    found = complexity("s", "policy-1", outcomes, solvable=solvable)
    assert isinstance(found, Reject)
    assert (found.reason, found.id, found.seed_id) == (reason, "s", "s")
    assert "policy-1" in found.detail


@given(st.lists(st.sampled_from(Outcome), max_size=12), st.booleans())
def test_every_seed_has_a_level_or_a_reason(outcomes: list[Outcome], solvable: bool) -> None:
    found = complexity("s", "p", outcomes, solvable=solvable)
    if isinstance(found, Complexity):
        assert found.k + found.unknown == len(outcomes)
        assert found.low <= found.pass_rate <= found.high
        assert found.passes or solvable


def test_the_thresholds_are_settings_and_in_order() -> None:
    settings = ComplexitySettings(easy_from=1.0, hard_below=0.5)
    assert [level_of(rate, settings) for rate in (0.4, 0.5, 0.99, 1.0)] == [2, 1, 1, 0]
    with pytest.raises(ValidationError, match="hard_below"):
        ComplexitySettings(easy_from=0.2, hard_below=0.5)
