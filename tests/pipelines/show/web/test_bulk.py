"""Accepting in bulk: how large a sample is, and when it is enough."""

import pytest

from gog.pipelines.show.web.bulk import bulk_of, rate_by_chance, sample_size
from gog.schemas import Decision, Review
from gog.transforms.label.complexity import wilson

AGREED = [(f"t{n}", f"s{n}") for n in range(400)]


def reviewed(count: int, wrong: int = 0, *, start: int = 0, bulk: bool = False) -> dict[str, dict[str, Review]]:
    """So many decided by ana, the first of them rejected."""
    made = {}
    for n in range(start, start + count):
        decision = Decision.REJECT if n - start < wrong else Decision.ACCEPT
        values = {"review_id": "", "trajectory_id": f"t{n}", "seed_id": f"s{n}", "reviewer": "ana"}
        made[f"t{n}"] = {"ana": Review(**values, number=1, decision=decision, bulk=bulk, made=0.0)}
    return made


@pytest.mark.parametrize("wrong", [0, 1, 3])
@pytest.mark.parametrize("most", [0.01, 0.05, 0.1])
def test_the_sample_is_the_smallest_whose_interval_ends_low_enough(most: float, wrong: int) -> None:
    size = sample_size(most, wrong)
    assert wilson(wrong, size)[1] <= most < wilson(wrong, size - 1)[1]


def test_nothing_is_accepted_before_the_sample_is_through() -> None:
    size = sample_size(0.05)
    before = bulk_of(AGREED, reviewed(size - 1), 0.05, "ana")
    assert (before.proven, before.advice) == (False, "decide on 1 more of the sample first")
    after = bulk_of(AGREED, reviewed(size), 0.05, "ana")
    assert (after.proven, len(after.sample), len(after.left)) == (True, size, 400 - size)
    assert after.errors.high == pytest.approx(wilson(0, size)[1])


def test_an_error_makes_the_sample_longer() -> None:
    size = sample_size(0.05)
    found = bulk_of(AGREED, reviewed(size, wrong=1), 0.05, "ana")
    assert len(found.sample) == sample_size(0.05, 1) > size
    assert not found.proven
    assert bulk_of(AGREED, reviewed(len(found.sample), wrong=1), 0.05, "ana").proven


def test_a_sample_full_of_errors_is_all_there_is() -> None:
    found = bulk_of(AGREED, reviewed(400, wrong=200), 0.05, "ana")
    assert (len(found.sample), found.left) == (400, {})


def test_what_was_accepted_in_bulk_was_not_looked_at() -> None:
    size = sample_size(0.05)
    reviews = reviewed(size) | reviewed(400 - size, start=size, bulk=True)
    after = bulk_of(AGREED, reviews, 0.05, "ana")
    assert (after.left, after.accepted, after.decided) == ({}, 400 - size, size)
    assert bulk_of(AGREED, reviewed(400, bulk=True), 0.05, "ana").decided == 0
    assert rate_by_chance([name for name, _ in AGREED], reviews).whole == size


def test_a_rate_by_chance_ends_where_somebody_picked() -> None:
    order = [name for name, _ in AGREED]
    reviews = reviewed(10, wrong=2) | reviewed(50, wrong=50, start=11)
    share = rate_by_chance(order, reviews)
    assert (share.part, share.whole) == (2, 10)
    assert rate_by_chance(order, {}).value is None


def test_nothing_to_accept() -> None:
    empty = bulk_of([], {}, 0.05, "ana")
    assert (empty.proven, empty.advice) == (False, "there is nothing that rule and judge agree on")
