"""Paired tests: what differs, by how much, and whether chance would do."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import make_score

from gog.transforms.evaluate.compare import compare, mcnemar
from gog.transforms.evaluate.protocols.scores import Grade, ProtocolError, Score

CORRECT, INCORRECT, UNKNOWN = Grade.CORRECT, Grade.INCORRECT, Grade.UNKNOWN


def run(right: str, protocol: str = "judge") -> list[Score]:
    """A score a letter: `1` right, `0` wrong, `?` unknown, `.` not in the run."""
    grades = {"1": CORRECT, "0": INCORRECT, "?": UNKNOWN}
    return [make_score(n, grades[letter], protocol) for n, letter in enumerate(right) if letter != "."]


def test_mcnemar_worked_example() -> None:
    """One alone against nine alone: 2 * (1 + 10) / 1024."""
    assert mcnemar(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar(9, 1) == mcnemar(1, 9)
    assert mcnemar(0, 0) == mcnemar(7, 7) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 / 32)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_tail(a: int, b: int) -> None:
    tail = sum(comb(a + b, k) for k in range(min(a, b) + 1)) / 2 ** (a + b)
    assert mcnemar(a, b) == pytest.approx(min(1.0, 2 * tail))


def test_mcnemar_of_many_items_is_quick_and_finite() -> None:
    assert 0 <= mcnemar(30_000, 31_000) < 1e-4
    assert mcnemar(0, 10**6) == 0


def test_counts_and_difference() -> None:
    comparison = compare(run("1100110?.1"), run("1011111?1?"))
    assert (comparison.paired, comparison.only_a, comparison.only_b, comparison.unknown) == (7, 0, 1, 2)
    assert (comparison.a_alone_correct, comparison.b_alone_correct) == (1, 3)
    accuracy = comparison.measures["accuracy"]
    assert accuracy.a == pytest.approx(4 / 7)
    assert accuracy.b == pytest.approx(6 / 7)
    assert accuracy.difference == pytest.approx(2 / 7)
    assert comparison.mcnemar_p == pytest.approx(mcnemar(1, 3))


def test_a_clear_difference_is_one() -> None:
    accuracy = compare(run("1" * 40 + "0" * 60), run("1" * 80 + "0" * 20)).measures["accuracy"]
    assert accuracy.low is not None
    assert accuracy.p is not None
    assert accuracy.low > 0.25
    assert accuracy.p == pytest.approx(2 / 2001)  # none of 2,000 resamples is on the other side; never 0


def test_pairing_sees_what_two_intervals_do_not() -> None:
    """Ten items better and none worse, of 400: each run's own interval is wider than the difference."""
    a, b = run("1" * 200 + "0" * 200), run("1" * 210 + "0" * 190)
    accuracy = compare(a, b).measures["accuracy"]
    assert accuracy.low is not None
    assert accuracy.low > 0
    assert compare(a, b).mcnemar_p < 0.01


def test_equal_runs_do_not_differ() -> None:
    comparison = compare(run("1010"), run("1010"))
    accuracy = comparison.measures["accuracy"]
    assert (accuracy.difference, accuracy.low, accuracy.high, accuracy.p) == (0, 0, 0, 1)
    assert comparison.mcnemar_p == 1


def test_chance_alone_is_rarely_significant() -> None:
    """Both runs toss coins: p below 0.05 in about one of twenty."""
    rng = np.random.default_rng(5)
    tosses = rng.integers(0, 2, (200, 2, 120))
    found = [
        compare(run("".join(map(str, a))), run("".join(map(str, b))), resamples=400).measures["accuracy"].p
        for a, b in tosses
    ]
    assert 1 <= sum(p is not None and p < 0.05 for p in found) <= 22


@given(st.text(alphabet="10?.", min_size=1, max_size=20), st.text(alphabet="10?.", min_size=1, max_size=20))
def test_exchange_turns_the_sign(first: str, second: str) -> None:
    a, b = run(first + "1"), run(second + "0")
    there, back = compare(a, b, resamples=50), compare(b, a, resamples=50)
    assert (there.paired, there.unknown, there.mcnemar_p) == (back.paired, back.unknown, back.mcnemar_p)
    assert (there.only_a, there.a_alone_correct) == (back.only_b, back.b_alone_correct)
    x, y = there.measures["accuracy"].difference, back.measures["accuracy"].difference
    assert x is None if y is None else x == pytest.approx(-y)


def test_nothing_in_common_has_no_difference() -> None:
    comparison = compare(run("1"), run(".1"))
    assert comparison.paired == 0
    assert comparison.measures["accuracy"].difference is None
    assert comparison.mcnemar_p == 1


def test_every_measure_of_the_protocol_is_compared() -> None:
    a = [make_score(n, n % 2, "infoseek", split) for n, split in enumerate(["unseen_question", "unseen_entity"] * 4)]
    b = [make_score(n, 1.0, "infoseek", split) for n, split in enumerate(["unseen_question", "unseen_entity"] * 4)]
    measures = compare(a, b).measures
    assert list(measures) == ["final", "accuracy", "unseen_question", "unseen_entity"]
    assert measures["unseen_question"].difference == 1
    assert measures["unseen_entity"].difference == 0
    assert measures["final"].difference == pytest.approx(1)


def test_runs_of_two_protocols_are_refused() -> None:
    with pytest.raises(ProtocolError, match="judge and mmsearch"):
        compare(run("1"), run("1", "mmsearch"))
