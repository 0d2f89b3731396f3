from pathlib import Path
from typing import Any

import duckdb
import pytest
from lakes import make_seed, small_run, write

from gog.pipelines.lake.lake import Lake
from gog.pipelines.show.web.call_times import TIMES, pace_of_calls
from gog.pipelines.show.web.measures import Rate
from gog.pipelines.show.web.opened import opened
from gog.pipelines.show.web.run_facts import Facts, facts_of, left_link
from gog.pipelines.views.database import rows_of
from gog.schemas import Event, Evidence, FailureClass, Reject, Unit
from gog.transforms.services.store.records import Tally


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small_run(tmp_path / "lake")


def event(number: int, started: float, **changes: Any) -> Event:
    values: dict[str, Any] = {"key": f"key-{number}", "kind": "chat", "purpose": "episode", "provider": "teacher"}
    values |= {"started": started, "latency_s": 0.5, "attempts": 1, "from_store": False}
    return Event(**(values | changes))


def paced(lake: Lake, events: list[Event]) -> Facts:
    write(lake, "small", "events", events)
    return facts_of(lake, "small")


def test_the_numbers_are_those_of_the_run(lake: Lake) -> None:
    facts = facts_of(lake, "small")
    assert (facts.seeds, facts.tried, facts.asked) == (6, 6, 6)
    assert (facts.solved.part, facts.solved.whole) == (6, 6)
    assert facts.all
    assert (facts.all.attempts, facts.all.kept, facts.all.unknown) == (12, 6, 0)
    assert (facts.all.right.part, facts.all.right.whole) == (6, 12)
    assert [(mix.name, mix.attempts, mix.kept) for mix in facts.origins] == [("compose", 2, 2), ("rollout", 10, 4)]
    assert sum(mix.attempts for mix in facts.behaviours) == 12
    assert [(level.level, level.seeds) for level in facts.levels] == [(0, 1), (1, 1), (2, 1)]
    assert (facts.calls, facts.tokens) == (2, 220)
    assert facts.cost == pytest.approx(0.02)
    assert facts.verified
    assert facts.curated
    assert not facts.empty


def test_what_is_right_is_as_sure_as_the_seeds_that_were_settled_are_many(lake: Lake) -> None:
    verdicts = list(lake.read_rows("small", "verdicts"))
    settled = sorted({row["seed_id"] for row in verdicts})[:2]
    (part,) = lake.parts("small", "verdicts")
    fresh = part.with_name("fresh")
    unknown = f"CASE WHEN seed_id IN ('{settled[0]}', '{settled[1]}') THEN outcome ELSE 'unknown' END AS outcome"
    duckdb.sql(f"COPY (SELECT * REPLACE ({unknown}) FROM read_parquet('{part}')) TO '{fresh}' (FORMAT parquet)")
    fresh.replace(part)
    facts = facts_of(lake, "small")
    assert facts.all
    assert facts.all.unknown == 8
    assert facts.all.right == Rate.of(2, 4, seeds=2)


def test_the_funnel_has_each_step_with_its_reasons_and_where_they_are_listed(lake: Lake) -> None:
    steps = {step.stage: step for step in facts_of(lake, "small").funnel}
    assert (steps["ingest"].entered, steps["ingest"].passed, steps["ingest"].rejected) == (7, 6, 1)
    assert [(r.code, r.rejects, r.link) for r in steps["ingest"].reasons] == [
        ("ingest.no_answer", 1, "/runs/small/rejects?stage=ingest&unit=row&reason=ingest.no_answer")
    ]
    assert [(r.code, r.link) for r in steps["verify"].reasons] == [("verify.wrong", "/runs/small?reason=verify.wrong")]
    assert steps["verify"].parts == [("passed", 6.0), ("r0", 6.0)]
    assert (steps["curate"].whole, steps["screen"].whole) == (12, 6), "the largest count of the unit"
    assert steps["curate"].link == "/runs/small?kept=yes"
    assert all(step.balanced for step in steps.values())


def test_a_name_in_a_link_cannot_leave_it() -> None:
    assert left_link("a", "s", "trajectory", "x&kept=yes#") == "/runs/a?reason=x%26kept%3Dyes%23"
    assert left_link("a b", "s", "seed", "x").startswith("/runs/a%20b/rejects?")


def test_questions_that_no_attempt_solved_come_with_how_their_attempts_ended(lake: Lake) -> None:
    assert facts_of(lake, "small").unsolved == []
    verdicts = list(lake.read_rows("small", "verdicts"))
    seed = verdicts[0]["seed_id"]
    (part,) = lake.parts("small", "verdicts")
    fresh = part.with_name("fresh")
    wrong = f"CASE WHEN seed_id = '{seed}' THEN 'wrong' ELSE outcome END AS outcome"
    duckdb.sql(f"COPY (SELECT * REPLACE ({wrong}) FROM read_parquet('{part}')) TO '{fresh}' (FORMAT parquet)")
    fresh.replace(part)
    never = make_seed(99, lake.images)
    write(lake, "small", "seeds", [never], "more")
    out = [
        Reject.of("synthesize", Unit.ATTEMPT, f"{never.seed_id}/{n}", "teacher.timeout", seed_id=never.seed_id)
        for n in range(2)
    ]
    write(lake, "small", "rejects", out, "more")
    facts = facts_of(lake, "small")
    counts = {row["seed_id"]: (row["wrong"], row["unknown"], row["unanswered"], row["of"]) for row in facts.unsolved}
    assert counts == {seed: (2, 0, 0, 2), never.seed_id: (0, 0, 2, 2)}
    assert facts.asked == 7


def test_the_costliest_come_first_with_their_distance_from_the_median(lake: Lake) -> None:
    costly = facts_of(lake, "small").costly
    tokens = [row["tokens"] for row in costly]
    assert len(costly) == 6
    assert tokens == sorted(tokens, reverse=True)
    assert all(row["question"] and row["attempts"] == 2 for row in costly)


def test_services_and_searches_that_fail_stand_out_the_worst_first(lake: Lake) -> None:
    events = [event(n, 100 + n, failure=FailureClass.TIMEOUT if n < 3 else None) for n in range(4)]
    events += [event(9, 200, provider="judge@1", purpose="verify", failure=FailureClass.TIMEOUT)]
    events += [event(10 + n, 200, provider="judge@1", purpose="verify") for n in range(9)]
    found = [Evidence(evidence_id=f"e{n}", tool="text_search", provider="web@7", hits=(), query="q") for n in range(2)]
    write(lake, "small", "evidence", found, "more")
    facts = paced(lake, events)
    assert [(t.name, t.what, t.rate.part, t.rate.whole, t.link) for t in facts.troubles] == [
        ("text_search, web", "found nothing", 2, 2, "/runs/small?provider=web%407"),
        ("chat for episode, teacher", "failed", 3, 4, "/runs/small/rejects?stage=synthesize"),
        ("chat for verify, judge", "failed", 1, 10, "/runs/small?outcome=unknown"),
    ]


def test_the_pace_adds_up_and_cuts_pauses_out(lake: Lake) -> None:
    events = [event(n, 1000.0 + n) for n in range(120)]
    events += [event(200 + n, 90_000.0 + n, from_store=True, attempts=0) for n in range(60)]
    pace = paced(lake, events).pace
    assert pace
    assert pace.pauses == 1
    assert pace.worked_s == pytest.approx(180, abs=11)
    assert [column.after_pause for column in pace.columns].count(True) == 1
    minutes = pace.width_s / 60
    assert sum(column.made for column in pace.columns) * minutes == pytest.approx(120)
    assert sum(column.from_store for column in pace.columns) * minutes == pytest.approx(60)
    assert len(pace.columns) <= 80


def test_a_run_of_many_pauses_keeps_few_columns(lake: Lake) -> None:
    pace = paced(lake, [event(n, 1000.0 + 400.0 * n) for n in range(2000)]).pace
    assert pace
    assert len(pace.columns) <= 100
    assert pace.pauses < 20
    assert pace.pause_s > 400


def test_a_run_of_many_days_is_counted_by_minutes(lake: Lake) -> None:
    write(lake, "small", "events", [event(n, 6000.0 + 700.0 * n) for n in range(2000)])
    with opened(lake, "small") as views:
        times = rows_of(views.execute(TIMES))
    assert {(row["width"], row["began"] % 60) for row in times} == {(60.0, 0.0)}
    assert sum(row["made"] for row in times) == 2000
    pace = pace_of_calls(times)
    assert pace
    assert sum(column.made for column in pace.columns) * pace.width_s / 60 == pytest.approx(2000)


def test_a_live_run_is_told_from_what_its_store_has(lake: Lake) -> None:
    tally = Tally("teacher", "chat", "episode", 40, 45, 10, 4, 1000, 100, 0.5, 30.0)
    facts = facts_of(lake, "small", [tally])
    assert (facts.calls, facts.tokens, facts.cost, facts.pace) == (30, 1100, 0.5, None)
    assert [(t.name, t.rate.part, t.rate.whole) for t in facts.troubles] == [("chat for episode, teacher", 4, 40)]


def test_a_run_that_has_nothing_has_no_facts(tmp_path: Path) -> None:
    facts = facts_of(Lake(tmp_path), "none")
    assert facts.empty
    assert (facts.all, facts.pace, facts.funnel, facts.levels, facts.unsolved) == (None, None, [], [], [])


def test_rollouts_without_verdicts_are_neither_wrong_nor_unknown(lake: Lake) -> None:
    for table in ("verdicts", "funnel", "rejects", "curated", "complexity", "events"):
        for part in lake.parts("small", table):
            part.unlink()
    facts = facts_of(lake, "small")
    assert facts.all
    assert (facts.all.attempts, facts.all.unknown, facts.all.right.value) == (12, 0, None)
    assert facts.unsolved == []
    assert not facts.verified
    assert not facts.curated
