"""Summaries: the worked numbers of each protocol, unknowns apart, intervals that mean something."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import make_score

from gog.transforms.evaluate.benchmark import BENCHMARKS
from gog.transforms.evaluate.protocols.scores import Grade, ProtocolError, Score
from gog.transforms.evaluate.summary import Summary, summarise

CORRECT, INCORRECT, SKIPPED, UNKNOWN = Grade.CORRECT, Grade.INCORRECT, Grade.NOT_ATTEMPTED, Grade.UNKNOWN


def many(protocol: str, *parts: tuple[int, Grade | float, tuple[str, ...]]) -> list[Score]:
    grades = [(grade, groups) for count, grade, groups in parts for _ in range(count)]
    return [make_score(number, grade, protocol, *groups) for number, (grade, groups) in enumerate(grades)]


def values(summary: Summary) -> dict[str, float | None]:
    return {name: None if e.value is None else round(e.value, 6) for name, e in summary.measures.items()}


def test_accuracy_by_a_judge() -> None:
    summary = summarise(many("judge", (3, CORRECT, ()), (1, INCORRECT, ())))
    assert values(summary) == {"accuracy": 0.75}
    assert summary.headline[0] == "accuracy"


def test_simplevqa_has_three_classes_and_the_f1_of_two_shares() -> None:
    """5 correct, 3 incorrect, 2 not attempted: 0.5 of all, 0.625 of those attempted, harmonic mean 0.5556."""
    summary = summarise(many("simplevqa", (5, CORRECT, ()), (3, INCORRECT, ()), (2, SKIPPED, ())))
    assert values(summary) == {
        "f1": 0.555556,
        "correct": 0.5,
        "incorrect": 0.3,
        "not_attempted": 0.2,
        "accuracy_attempted": 0.625,
    }


def test_livevqa_has_two_accuracies_for_each_level() -> None:
    scores = many(
        "livevqa",
        (3, CORRECT, ("level1",)),
        (1, INCORRECT, ("level1",)),
        (1, SKIPPED, ("level1",)),
        (1, CORRECT, ("level2",)),
        (4, SKIPPED, ("level2",)),
    )
    assert values(summarise(scores)) == {
        "accuracy_overall": 0.4,
        "accuracy_attempted": 0.8,
        "level1_accuracy_overall": 0.6,
        "level1_accuracy_attempted": 0.75,
        "level2_accuracy_overall": 0.2,
        "level2_accuracy_attempted": 1.0,
    }


def test_infoseek_ends_in_the_harmonic_mean_of_the_unseen_splits() -> None:
    scores = many(
        "infoseek",
        (1, CORRECT, ("unseen_question", "string")),
        (3, INCORRECT, ("unseen_question", "string")),
        (1, CORRECT, ("unseen_entity", "numerical")),
        (1, INCORRECT, ("unseen_entity", "time")),
    )
    summary = summarise(scores)
    assert values(summary) == {
        "final": pytest.approx(1 / 3, abs=1e-6),
        "accuracy": pytest.approx(1 / 3, abs=1e-6),
        "unseen_question": 0.25,
        "unseen_entity": 0.5,
        "string": 0.25,
        "time": 0.0,
        "numerical": 1.0,
    }
    assert summary.headline[0] == "final"


def test_the_published_final_score_of_infoseek() -> None:
    """BLIP2, pretrained: 12.74 on unseen questions, 12.28 on unseen entities, 12.51 in all."""

    def final(question: int, entity: int) -> float | None:
        right = {"unseen_question": question, "unseen_entity": entity}
        parts = [(count, CORRECT, (name,)) for name, count in right.items()]
        parts += [(5000 - count, INCORRECT, (name,)) for name, count in right.items()]
        return summarise(many("infoseek", *parts), resamples=1).measures["final"].value

    assert final(637, 614) == pytest.approx(0.1251, abs=5e-5)
    assert final(0, 2500) == pytest.approx(2e-12)


def test_infoseek_without_both_splits_has_no_final_score() -> None:
    """The sample of 2,000 test rows that peers use names no split."""
    summary = summarise(many("infoseek", (1, CORRECT, ("string",)), (1, INCORRECT, ("time",))))
    assert values(summary) == {"accuracy": 0.5, "string": 1.0, "time": 0.0}


@pytest.mark.parametrize(("protocol", "name"), [("mmsearch", "f1"), ("dynvqa", "recall")])
def test_token_protocols_average_their_values(protocol: str, name: str) -> None:
    summary = summarise(many(protocol, (1, 1.0, ("news",)), (1, 0.5, ("news",)), (2, 0.0, ())))
    assert values(summary) == {name: 0.375, "news": 0.75}
    assert summary.grades == {CORRECT: 1, Grade.PARTIAL: 1, INCORRECT: 2, SKIPPED: 0, UNKNOWN: 0}


@pytest.mark.parametrize("name", sorted({BENCHMARKS[name].official.name for name in BENCHMARKS}))
def test_unknown_is_counted_and_is_never_wrong(name: str) -> None:
    settled = many(name, (6, CORRECT, ()), (4, INCORRECT, ()))
    summary = summarise([*settled, *(make_score(f"u{n}", UNKNOWN, name) for n in range(5))])
    assert (summary.n, summary.unknown, summary.grades[UNKNOWN]) == (15, 5, 5)
    assert summary.measures == summarise(settled).measures
    assert summary.headline[1].n == 10


@pytest.mark.parametrize("name", sorted({BENCHMARKS[name].official.name for name in BENCHMARKS}))
def test_nothing_settled_is_no_number(name: str) -> None:
    summary = summarise([make_score(n, UNKNOWN, name) for n in range(3)])
    assert {(e.value, e.low, e.high, e.n) for e in summary.measures.values()} == {(None, None, None, 0)}


def test_rules_and_judge_are_counted_apart() -> None:
    waiting = Score("x", "judge", UNKNOWN, None, needs_judge=True)
    scores = [make_score(1, CORRECT), make_score(2, INCORRECT, by_judge=True), make_score(3, UNKNOWN), waiting]
    summary = summarise(scores)
    assert (summary.n, summary.by_rule, summary.unknown, summary.needs_judge) == (4, 1, 2, 1)


def test_interval_is_that_of_a_share() -> None:
    """Of 400 items, half right: the standard error is 0.025."""
    estimate = summarise(many("judge", (200, CORRECT, ()), (200, INCORRECT, ()))).measures["accuracy"]
    assert estimate.low == pytest.approx(0.451, abs=0.006)
    assert estimate.high == pytest.approx(0.549, abs=0.006)


def test_interval_of_groups_is_wider_than_that_of_all() -> None:
    scores = many("mmsearch", (30, 1.0, ("news",)), (30, 0.0, ("news",)), (120, 1.0, ("knowledge",)))
    news = summarise(scores).measures["news"]
    assert news.low is not None
    assert news.high is not None
    assert 0.2 < news.high - news.low < 0.3


settled_scores = st.lists(
    st.tuples(
        st.sampled_from([CORRECT, INCORRECT, SKIPPED, UNKNOWN, 0.5]),
        st.sets(st.sampled_from(["unseen_question", "unseen_entity", "level1", "string"])).map(sorted).map(tuple),
    ),
    min_size=1,
    max_size=30,
)


@pytest.mark.parametrize("name", sorted({BENCHMARKS[name].official.name for name in BENCHMARKS}))
@given(parts=settled_scores, seed=st.integers(0, 5))
def test_order_leaves_no_trace_and_values_lie_in_their_intervals(
    name: str, parts: list[tuple[Grade | float, tuple[str, ...]]], seed: int
) -> None:
    scores = [make_score(number, grade, name, *groups) for number, (grade, groups) in enumerate(parts)]
    summary = summarise(scores, resamples=50, seed=seed)
    random.Random(seed).shuffle(scores)
    assert summarise(scores, resamples=50, seed=seed) == summary
    for each in summary.measures.values():
        assert each.value is None or 0 <= each.value <= 1
        assert each.low is None or (each.high is not None and 0 <= each.low <= each.high <= 1)


def test_other_seeds_draw_other_resamples() -> None:
    scores = many("mmsearch", *((1, n / 20, ()) for n in range(20)))
    assert summarise(scores, seed=1) != summarise(scores, seed=2)
    assert values(summarise(scores, seed=1)) == values(summarise(scores, seed=2))


@pytest.mark.parametrize(
    "scores",
    [
        [],
        [make_score(1, CORRECT), make_score(2, CORRECT, "livevqa")],
        [make_score(1, CORRECT, "no such protocol")],
        [make_score(1, CORRECT), make_score(1, INCORRECT)],
    ],
)
def test_what_is_no_run_of_one_protocol_is_refused(scores: list[Score]) -> None:
    with pytest.raises(ProtocolError):
        summarise(scores)
