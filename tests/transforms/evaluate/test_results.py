"""The numbers of an evaluation: what they are made of, and the form they are written in."""

import json
from typing import Any

import pytest
from evaluating import NO, YES, Judge, answered_by, broken, episode
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scoring import make_item

from gog.transforms.evaluate.answered import Answered
from gog.transforms.evaluate.paradigms import Paradigm
from gog.transforms.evaluate.protocols.scores import Grade
from gog.transforms.evaluate.results import (
    SHOWN,
    BenchResults,
    Digest,
    ParadigmResults,
    Results,
    averages,
    paradigm_results,
)
from gog.transforms.services.gateway.prices import FREE


def rows(*, judge_all: bool = False) -> list[Answered]:
    """Right by match, right and wrong by the judge, without an answer, broken, and one that no judge could judge."""
    said = [
        (episode("Kenya"), YES),
        (episode("the land of lions"), YES),
        (episode("Peru"), NO),
        (episode(None), NO),
        (broken(), NO),
        (episode("mumbling"), "what?"),
    ]
    return [
        answered_by(attempt, Judge(reply), make_item(item_id=f"i{n}", image=b"p"), judge_all=judge_all)
        for n, (attempt, reply) in enumerate(said)
    ]


def results(answered: list[Answered], *, judge_all: bool = False) -> ParadigmResults:
    return paradigm_results([Digest.of(row, judge_all=judge_all) for row in answered], FREE, {})


def bench(**changes: Any) -> BenchResults:
    values = {"split": "test", "version": "v1", "dropped": {"no_image": 2}, "left": 0}
    return BenchResults(**values | {"paradigms": {Paradigm.POLICY: results(rows())}} | changes)


def whole() -> Results:
    return Results(
        schema_version=1,
        name="eval",
        policy="policy:1",
        judge="judge:1",
        benchmarks={"fvqa": bench()},
        average={},
        used=(),
    )


def test_what_the_outside_broke_is_in_no_share() -> None:
    found = results(rows())
    assert (found.items, found.unsettled, found.failures) == (6, 2, {"search.failed": 1})
    for summary in (found.official, found.judged):
        assert (summary.n, summary.unknown, summary.by_rule) == (6, 2, 2)
        assert summary.headline[1].value == 0.5
        assert summary.headline[1].n == 4
    assert found.behaviours.episodes == 5
    assert (found.behaviours.no_answer.part, found.behaviours.no_answer.whole) == (1, 5)


def test_rules_are_held_against_the_judges_opinion() -> None:
    some = results(rows()).rules_and_judge.agreement
    every = results(rows(judge_all=True)).rules_and_judge.agreement
    assert some.n == 0, "the judge was asked only what no rule settles"
    assert (every.n, every.agreed.value) == (1, 1.0)


def test_the_order_of_the_answers_leaves_no_trace() -> None:
    assert results(rows()) == results(rows()[::-1])


def paths(value: Any, at: str = "") -> set[str]:
    """Every key of nested JSON; members of lists and of the mappings by name stand for one another."""
    if isinstance(value, list):
        return set().union(*(paths(one, f"{at}[]") for one in value)) if value else {f"{at}[]"}
    if isinstance(value, dict):
        named = at.endswith((".benchmarks", ".paradigms", ".measures", ".mix", ".grades", ".dropped", ".failures"))
        return set().union(*(paths(one, f"{at}.*" if named else f"{at}.{key}") for key, one in value.items()))
    return {at}


ESTIMATE = ("value", "low", "high", "n")
SHARE = ("part", "whole", "value", "low", "high")
AGREEMENT = ("n", "unknown_first", "unknown_second", "unknown_both", "only_first", "only_second")


def test_the_form_of_the_file_is_what_programs_count_on() -> None:
    part = ".benchmarks.*.paradigms.*"
    summary = {
        *(f".{key}" for key in ("protocol", "n", "unknown", "needs_judge", "by_rule", "grades.*")),
        *(f".measures.*.{key}" for key in ESTIMATE),
    }
    behaviours = {
        *(f".{key}" for key in ("episodes", "turns", "searches", "tokens", "cost")),
        *(f".{name}.{key}" for name in ("mix.*", "no_answer", "gaze_useful", "reflected") for key in SHARE),
    }
    agreement = {
        *(f".decided.{key}" for key in ESTIMATE),
        *(f".agreement.{key}" for key in AGREEMENT),
        *(f".agreement.{name}.{key}" for name in ("agreed", "kappa") for key in ESTIMATE),
        ".agreement.labels[]",
        ".agreement.confusion[]",
    }
    marks = {f".{name}.{key}" for name in ("official", "judged") for key in ("grade", "value", "method", "judge")}
    marks |= {f".{name}.{key}" for name in ("official", "judged") for key in ("needs_judge",)}
    items = {f".answers[].{key}" for key in ("item_id", "prediction", "failure", "ruled", "opinion")}
    items |= {f".answers[]{path}" for path in marks}
    expected = {".schema_version", ".name", ".policy", ".judge", ".used[]"}
    expected |= {f".benchmarks.*.{key}" for key in ("split", "version", "dropped.*", "left")}
    expected |= {f"{part}.{key}" for key in ("items", "unsettled", "failures.*")}
    expected |= {f"{part}.{name}{path}" for name in ("official", "judged") for path in summary}
    expected |= {f"{part}.behaviours{path}" for path in behaviours}
    expected |= {f"{part}.rules_and_judge{path}" for path in agreement}
    expected |= {f"{part}{path}" for path in items}
    found = paths(json.loads(whole().to_json()))
    # Marks leave out what is as usual: which of them occur depends on the answers.
    assert found <= expected
    assert expected - found <= {f"{part}.answers[].{name}.needs_judge" for name in ("official", "judged")}


def test_what_is_written_is_read_back() -> None:
    made = whole()
    assert Results.model_validate_json(made.to_json()) == made
    scores = made.benchmarks["fvqa"].paradigms[Paradigm.POLICY].scores("judged")
    read = Results.model_validate_json(made.to_json()).benchmarks["fvqa"].paradigms[Paradigm.POLICY].scores("judged")
    assert scores == read
    assert [score.grade for score in read][:3] == [Grade.CORRECT, Grade.CORRECT, Grade.INCORRECT]


@pytest.mark.parametrize("change", [{"schema_version": 2}, {"benchmarks": []}, {"more": 1}, {"average": {"x": None}}])
def test_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Results.model_validate(json.loads(whole().to_json()) | change)


@given(st.text(st.characters(codec="utf-8"), max_size=3 * SHOWN))
def test_long_answers_are_cut_and_strange_ones_kept(prediction: str) -> None:
    found = results([answered_by(episode(prediction), Judge(NO))])
    (item,) = found.answers
    assert item.prediction == prediction[:SHOWN]
    line = found.model_dump_json(exclude_defaults=True)
    assert ParadigmResults.model_validate_json(line) == found


def test_a_later_session_adds_paradigms_to_the_same_questions() -> None:
    direct = bench(paradigms={Paradigm.DIRECT: results(rows()[:1])}, left=3)
    both = direct.on_top_of(bench())
    assert list(both.paradigms) == [Paradigm.DIRECT, Paradigm.POLICY]
    assert both.left == 3
    again = bench(paradigms={Paradigm.POLICY: results(rows()[:1])}).on_top_of(both)
    assert again.paradigms[Paradigm.POLICY].items == 1
    for other in (bench(version="v2"), bench(split="all"), None):
        assert list(direct.on_top_of(other).paradigms) == [Paradigm.DIRECT]


def test_averages_are_of_paradigms_that_all_benchmarks_have() -> None:
    both = {Paradigm.DIRECT: results(rows()[:1]), Paradigm.POLICY: results(rows())}
    found = averages({"fvqa": bench(), "dynvqa": bench(paradigms=both)})
    assert list(found) == [Paradigm.POLICY]
    assert (found[Paradigm.POLICY].value, found[Paradigm.POLICY].benchmarks) == (0.5, ("dynvqa", "fvqa"))
    assert averages({"fvqa": bench()}) == {}
