"""Agreement of raters: Cohen's kappa, the confusion table, what either left unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Outcome
from gog.transforms.evaluate.protocols.agreement import agreement, rules_and_judge


def raters(*cells: tuple[int, str, str]) -> tuple[dict[str, str], dict[str, str]]:
    pairs = [(x, y) for count, x, y in cells for _ in range(count)]
    return {str(n): x for n, (x, _) in enumerate(pairs)}, {str(n): y for n, (_, y) in enumerate(pairs)}


FIFTY = raters((20, "yes", "yes"), (5, "yes", "no"), (10, "no", "yes"), (15, "no", "no"))


def test_kappa_worked_example() -> None:
    """50 proposals, 20 both yes, 15 both no, 5 and 10 apart: agreed 0.7, by chance 0.5, kappa 0.4."""
    found = agreement(*FIFTY)
    assert found.n == 50
    assert found.agreed.value == pytest.approx(0.7)
    assert found.kappa.value == pytest.approx(0.4)
    assert found.labels == ("no", "yes")
    assert found.confusion == ((15, 10), (5, 20))


def test_kappa_has_an_interval() -> None:
    """Its standard error by the formula of Fleiss, Cohen and Everitt (1969) is about 0.126."""
    kappa = agreement(*FIFTY).kappa
    assert kappa.low == pytest.approx(0.4 - 1.96 * 0.126, abs=0.04)
    assert kappa.high == pytest.approx(0.4 + 1.96 * 0.126, abs=0.04)


def test_three_classes() -> None:
    """Agreed 7 of 10; by chance 0.4 * 0.5 + 0.4 * 0.3 + 0.2 * 0.2 = 0.36."""
    found = agreement(*raters((3, "a", "a"), (1, "a", "b"), (2, "b", "b"), (2, "b", "a"), (1, "c", "c"), (1, "c", "c")))
    assert found.agreed.value == pytest.approx(0.7)
    assert found.kappa.value == pytest.approx((0.7 - 0.36) / (1 - 0.36))
    assert found.confusion == ((3, 1, 0), (2, 2, 0), (0, 0, 2))


def test_one_label_for_everything_has_no_kappa() -> None:
    found = agreement(*raters((7, "yes", "yes")))
    assert found.agreed.value == 1
    assert (found.kappa.value, found.kappa.low, found.kappa.high) == (None, None, None)


def test_agreement_worse_than_chance_is_below_zero() -> None:
    assert agreement(*raters((5, "yes", "no"), (5, "no", "yes"))).kappa.value == pytest.approx(-1)


def test_unknown_is_apart() -> None:
    first, second = raters(
        (3, "yes", "yes"), (2, "no", "no"), (4, "unknown", "yes"), (1, "no", ""), (2, "unknown", "unknown")
    )
    found = agreement({**first, "x": "yes"}, {**second, "y": "no", "z": "no"})
    assert (found.n, found.unknown_first, found.unknown_second, found.unknown_both) == (5, 4, 1, 2)
    assert (found.only_first, found.only_second) == (1, 2)
    assert found.kappa.value == pytest.approx(1)
    assert found.labels == ("no", "yes")


def test_no_shared_item_has_no_number() -> None:
    found = agreement({"a": "yes"}, {"b": "yes"})
    assert (found.n, found.agreed.value, found.kappa.value, found.confusion) == (0, None, None, ())


labels = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["yes", "no", "maybe", "unknown"]))


@given(labels, labels)
def test_raters_may_change_places(first: dict[str, str], second: dict[str, str]) -> None:
    there, back = agreement(first, second, resamples=30), agreement(second, first, resamples=30)
    assert (there.n, there.unknown_first, there.only_first) == (back.n, back.unknown_second, back.only_second)
    assert there.confusion == tuple(zip(*back.confusion, strict=True))
    assert (there.kappa.value is None) == (back.kappa.value is None)
    assert there.kappa.value == pytest.approx(back.kappa.value)
    assert sum(map(sum, there.confusion)) == there.n
    assert there.kappa.value is None or -1 - 1e-9 <= there.kappa.value <= 1


@given(labels)
def test_a_rater_agrees_with_itself(one: dict[str, str]) -> None:
    found = agreement(one, one, resamples=30)
    assert found.agreed.value in (None, 1.0)
    assert found.kappa.value is None or found.kappa.value == pytest.approx(1)


def test_rules_against_a_judge() -> None:
    rules = {"1": Outcome.CORRECT, "2": Outcome.WRONG, "3": Outcome.UNKNOWN, "4": Outcome.CORRECT}
    judge = {"1": Outcome.CORRECT, "2": Outcome.WRONG, "3": Outcome.CORRECT, "4": Outcome.WRONG}
    found = rules_and_judge(rules, judge)
    assert found.decided.value == 0.75
    assert found.decided.n == 4
    assert found.agreement.n == 3
    assert found.agreement.unknown_first == 1
    assert found.agreement.agreed.value == pytest.approx(2 / 3)
