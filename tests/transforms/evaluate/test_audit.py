"""Samples of verdicts, and whether the shares of mistakes that they show are those of the run."""

import random
import statistics
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gog.schemas import Method, Outcome
from gog.transforms.evaluate.audit import MISTAKE, Group, Rate, Ruling, draw, group_of, in_order, report

A, R, U = Ruling.ACCEPTED, Ruling.REJECTED, Ruling.UNSETTLED
OTHER = {Outcome.CORRECT: Outcome.WRONG, Outcome.WRONG: Outcome.CORRECT}
PLANTED = {
    Group(A, Method.EXACT, ""): (1400, 14),
    Group(A, Method.ALIAS, ""): (100, 20),
    Group(A, Method.JUDGE, ""): (200, 30),
    Group(R, Method.JUDGE, "verify.wrong"): (200, 20),
    Group(R, Method.NUMBER, "verify.wrong"): (100, 2),
    Group(R, Method.EXACT, "verify.leaked"): (20, 10),
    Group(U, Method.NONE, "verify.unknown"): (30, 6),
}
"""Verdicts of a run by group, and how many of them are mistaken."""


def planted() -> tuple[dict[str, Group], set[str]]:
    """The verdicts by id, and the mistaken ones."""
    groups, mistaken = dict[str, Group](), set[str]()
    for group, (size, wrong) in PLANTED.items():
        names = [f"{group.ruling}-{group.method}-{group.reason}-{number}" for number in range(size)]
        groups |= dict.fromkeys(names, group)
        mistaken |= set(names[:wrong])
    return groups, mistaken


def truth(groups: Mapping[str, Group], mistaken: set[str], names: list[str]) -> dict[str, Outcome]:
    """What somebody who knows says of these verdicts."""
    words = {name: MISTAKE[groups[name].ruling] for name in names}
    return {name: word if name in mistaken else OTHER[word] for name, word in words.items()}


def share(*rulings: Ruling) -> float:
    those = [counts for group, counts in PLANTED.items() if group.ruling in rulings]
    return sum(wrong for _, wrong in those) / sum(size for size, _ in those)


def holds(rate: Rate, value: float) -> bool:
    assert rate.low is not None
    assert rate.high is not None
    return rate.low <= value <= rate.high


@pytest.mark.parametrize("size", [50, 120])
def test_rates_are_the_runs_own_whatever_the_sample_is_made_of(size: int) -> None:
    groups, mistaken = planted()
    found: list[tuple[float, float]] = []
    inside = Counter[str]()
    draws = 200
    for seed in range(draws):
        shown = report(groups, truth(groups, mistaken, draw(groups, size, seed)))
        accepted, rejected = shown.by_method[A][0], shown.by_method[R][0]
        inside["all"] += holds(shown.mistaken, share(A, R))
        inside["accepted"] += holds(accepted, share(A))
        inside["rejected"] += holds(rejected, share(R))
        inside["leaked"] += holds(shown.by_reason[R][1], 0.5)
        assert accepted.value is not None
        assert rejected.value is not None
        found.append((accepted.value, rejected.value))
    for number, planted_share in enumerate((share(A), share(R))):
        values = [pair[number] for pair in found]
        error = statistics.stdev(values) / draws**0.5
        assert abs(statistics.mean(values) - planted_share) < 4 * error, "weighted, the sample is without bias"
    assert min(inside.values()) >= 0.95 * draws, inside
    unweighted = statistics.mean(
        sum(name in mistaken for name in sample) / len(sample)
        for sample in ([n for n in draw(groups, size, seed) if groups[n].ruling is A] for seed in range(50))
    )
    assert unweighted > 1.5 * share(A), "the plain share of the sample is not the run's"


def test_who_decides_on_all_knows_all() -> None:
    groups, mistaken = planted()
    shown = report(groups, truth(groups, mistaken, list(groups)))
    for ruling in Ruling:
        for rates, part in ((shown.by_method[ruling], "method"), (shown.by_reason[ruling], "reason")):
            for rate in rates:
                those = [
                    counts
                    for group, counts in PLANTED.items()
                    if group.ruling is ruling and rate.of in ("all", getattr(group, part))
                ]
                size, wrong = map(sum, zip(*those, strict=True))
                assert (rate.verdicts, rate.decided, rate.mistaken, rate.unseen) == (size, size, wrong, 0)
                assert rate.value == pytest.approx(wrong / size)
    assert set(shown.found) == mistaken
    assert [rate.of for rate in shown.by_reason[R]] == ["all", "verify.leaked", "verify.wrong"]
    assert [rate.of for rate in shown.by_method[A]] == ["all", "alias", "exact", "judge"]


@given(st.integers(0, 5), st.lists(st.integers(1, 400), min_size=1, max_size=8), st.integers(1, 300))
@settings(max_examples=60)
def test_a_sample_begins_every_larger_one_and_sees_every_group(seed: int, sizes: list[int], size: int) -> None:
    kinds = [Group(ruling, method, "") for ruling in Ruling for method in Method]
    groups = {f"{g}-{n}": kinds[g] for g, count in enumerate(sizes) for n in range(count)}
    sample = draw(groups, size, seed)
    assert len(sample) == len(set(sample)) == min(size, len(groups))
    assert draw(groups, size + 17, seed)[: len(sample)] == sample
    names = list(groups)
    random.Random(seed).shuffle(names)
    assert draw({name: groups[name] for name in names}, size, seed) == sample, "the order of the rows is nothing to it"
    if size >= len(sizes):
        assert {groups[name] for name in sample} == set(groups.values())


def test_another_seed_draws_others_and_a_grown_run_keeps_what_was_drawn() -> None:
    groups, _ = planted()
    assert set(draw(groups, 50, 0)) != set(draw(groups, 50, 1))
    one = {name: group for name, group in groups.items() if group.method is Method.JUDGE and group.ruling is A}
    before = draw(one, 40, 0)
    grown = one | {f"new-{number}": Group(A, Method.JUDGE, "") for number in range(200)}
    assert [name for name in draw(grown, 240, 0) if name in before] == before


def test_nothing_is_claimed_of_groups_that_nobody_saw() -> None:
    groups, mistaken = planted()
    exact = [name for name, group in groups.items() if group == Group(A, Method.EXACT, "")]
    shown = report(groups, truth(groups, mistaken, exact[:20]) | {"gone": Outcome.WRONG, exact[-1]: Outcome.UNKNOWN})
    everything, alias, *_ = shown.by_method[A]
    assert (alias.value, alias.low, alias.decided, alias.unseen) == (None, None, 0, 100)
    assert (everything.decided, everything.unseen) == (20, 300)
    assert everything.value == pytest.approx(14 / 20)
    empty = report({}, {})
    assert (empty.mistaken.value, empty.by_method[A], empty.found) == (None, (), ())


@pytest.mark.parametrize(
    ("outcome", "reasons", "ruling"),
    [
        (Outcome.CORRECT, [], A),
        (Outcome.WRONG, ["verify.wrong", "verify.leaked"], R),
        (Outcome.CORRECT, ["verify.ungrounded"], R),
        (Outcome.CORRECT, ["verify.unknown"], U),
        (Outcome.UNKNOWN, ["verify.unknown", "verify.leaked"], U),
        (Outcome.UNKNOWN, ["budget.reached"], None),
        (Outcome.UNKNOWN, ["store.miss"], None),
    ],
)
def test_rulings(outcome: Outcome, reasons: list[str], ruling: Ruling | None) -> None:
    group = group_of(outcome, Method.NONE, reasons)
    assert (group.ruling if group else None) is ruling


def test_a_person_goes_on_with_what_was_never_asked_and_ends_with_what_was_passed_over() -> None:
    said = {"c": Outcome.UNKNOWN, "e": Outcome.WRONG, "a": Outcome.UNKNOWN, "b": Outcome.CORRECT, "z": Outcome.UNKNOWN}
    assert in_order(list("abcdef"), said) == (list("be") + list("df") + list("ca"), 2)
    assert in_order(list("ab"), {}) == (["a", "b"], 0)
    assert in_order([], said) == ([], 0)
