from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
from lakes import small_run

from gog.pipelines.lake.lake import Manifest
from gog.pipelines.show.web.against import Measure, results, settings_that_differ
from gog.pipelines.show.web.measures import Rate
from gog.pipelines.show.web.run_facts import facts_of


def manifest(run: str = "a", versions: dict[str, str] | None = None, **config: Any) -> Manifest:
    return Manifest(run=run, fingerprint="f" * 16, config={"run": run, **config}, versions=versions or {})


def test_only_keys_that_differ_are_told_also_those_that_one_has_alone() -> None:
    one = manifest(teacher="x", synthesize={"rollouts": 3, "composed": 1}, filters=[], versions={"duckdb": "1"})
    two = manifest("b", teacher="x", synthesize={"rollouts": 4, "composed": 1}, filters=["m:f"], extra=None)
    assert settings_that_differ(one, two) == [
        ("synthesize.rollouts", "3", "4"),
        ("filters", "[]", '["m:f"]'),
        ("version of duckdb", "1", None),
        ("extra", None, "null"),
    ]
    assert settings_that_differ(one, one) == []


def test_a_password_in_an_address_is_not_shown() -> None:
    two = manifest(store={"path": "postgresql://ana:secret@host/db"}, panel=["http://k:y@h/v1#m"])
    assert settings_that_differ(manifest(), two) == [
        ("store.path", None, "postgresql://…@host/db"),
        ("panel", None, '["http://…@h/v1#m"]'),
    ]


def test_a_run_does_not_differ_from_itself(tmp_path: Path) -> None:
    facts = facts_of(small_run(tmp_path), "small")
    groups = {group.name: group.measures for group in results(facts, facts)}
    assert {"Yield", "Funnel", "Behaviours", "Levels", "Spend"} <= set(groups)
    for measure in (measure for measures in groups.values() for measure in measures):
        assert measure.first == measure.second
        assert measure.difference is None or (measure.difference.value == 0 and not measure.difference.clear)


def test_what_enters_curation_comes_from_the_seeds_that_were_solved(tmp_path: Path) -> None:
    facts = facts_of(small_run(tmp_path), "small")
    facts = replace(facts, tried=12, solved=Rate.of(3, 12))
    (funnel,) = (group for group in results(facts, facts) if group.name == "Funnel")
    rates = {measure.name: measure.first for measure in funnel.measures}
    assert rates["verify (trajectory)"] == Rate.of(6, 12, seeds=12)
    assert rates["curate (trajectory)"] == Rate.of(6, 6, seeds=3)


def test_what_a_run_does_not_have_is_none_of_its_shares(tmp_path: Path) -> None:
    lake = small_run(tmp_path, seeds=40)
    small_run(tmp_path, seeds=40, run="other")
    (part,) = lake.parts("other", "trajectories")
    fresh = part.with_name("fresh")
    rows = f"SELECT * REPLACE ('text' AS behaviour) FROM read_parquet('{part}')"
    duckdb.sql(f"COPY ({rows}) TO '{fresh}' (FORMAT parquet)")
    fresh.replace(part)
    groups = {
        g.name: {m.name: m for m in g.measures} for g in results(facts_of(lake, "small"), facts_of(lake, "other"))
    }
    text = groups["Behaviours"]["text"]
    assert isinstance(text.first, Rate)
    assert isinstance(text.second, Rate)
    assert (text.first.part, text.first.whole, text.second.part) == (0, 80, 80)
    assert text.difference
    assert text.difference.clear
    assert groups["Right, by behaviour"]["text"].difference is None, "of nothing no share is right"
    yields = groups["Yield"]["trajectories that are right"]
    assert yields.difference
    assert not yields.difference.clear


def test_nothing_is_compared_of_runs_that_have_nothing(tmp_path: Path) -> None:
    facts = facts_of(small_run(tmp_path), "nothing")
    measures: list[Measure] = [m for group in results(facts, facts) for m in group.measures]
    assert measures == []
