"""The funnel of a whole run: nothing is lost, and what passes a stage enters the next."""

from pathlib import Path

from runs import check_nothing_lost, number, select

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import Lake


def test_every_stage_adds_up_and_feeds_the_next(tiny: Config) -> None:
    funnel = check_nothing_lost(tiny, rows=48)
    assert len(funnel) == 9
    assert all(entered for entered, _, _ in funnel.values())


def test_attempts_are_k_for_each_hard_seed_and_one_for_each_easy_one(tiny: Config) -> None:
    assert number(tiny, "SELECT count(*) FROM screenings WHERE easy") > 0, "the run shows nothing of easy seeds"
    wrong = select(
        tiny,
        f"""
        SELECT s.seed_id, s.easy, t.made FROM screenings s
        JOIN (SELECT seed_id, count(*) AS made FROM
            (SELECT seed_id FROM trajectories UNION ALL SELECT seed_id FROM rejects WHERE unit = 'attempt')
            GROUP BY seed_id) t USING (seed_id)
        WHERE t.made <> CASE WHEN s.easy THEN 1 ELSE {tiny.synthesize.attempts} END
        """,
    )
    assert wrong == []


def test_rows_point_at_rows_that_are_there(tiny: Config) -> None:
    for table, column, home in (
        ("screenings", "seed_id", "seeds"),
        ("regions", "seed_id", "seeds"),
        ("trajectories", "seed_id", "screenings"),
        ("verdicts", "trajectory_id", "trajectories"),
        ("curated", "trajectory_id", "verdicts"),
        ("groups", "seed_id", "screenings"),
        ("complexity", "seed_id", "groups"),
    ):
        lost = select(tiny, f"SELECT {column} FROM {table} ANTI JOIN {home} USING ({column})")
        assert lost == [], f"{table}.{column}"
        twice = select(tiny, f"SELECT {column} FROM {home} GROUP BY ALL HAVING count(*) > 1")
        assert twice == [], f"{home}.{column}"
    named = "SELECT unnest(json_extract_string(steps, '$[*].evidence_ids[*]')) AS evidence_id FROM trajectories"
    assert select(tiny, f"SELECT * FROM ({named}) ANTI JOIN evidence USING (evidence_id)") == []


def test_every_reject_is_of_something_that_was_there(tiny: Config) -> None:
    of_trajectories = "SELECT id FROM rejects WHERE unit = 'trajectory'"
    assert select(tiny, f"{of_trajectories} AND id NOT IN (SELECT trajectory_id FROM trajectories)") == []
    of_seeds = "SELECT id FROM rejects WHERE unit = 'seed'"
    assert select(tiny, f"{of_seeds} AND id NOT IN (SELECT seed_id FROM seeds)") == []
    of_attempts = "SELECT id FROM rejects WHERE unit = 'attempt'"
    assert select(tiny, f"{of_attempts} AND split_part(id, '/', 1) NOT IN (SELECT seed_id FROM seeds)") == []


def test_the_manifest_counts_what_the_funnel_counts(tiny: Config) -> None:
    manifest = Lake(Path(tiny.lake)).read_manifest(tiny.run)
    assert manifest is not None
    assert manifest.state == "done"
    assert manifest.counts == {
        f"{stage}.{unit}": passed for stage, unit, passed in select(tiny, "SELECT stage, unit, passed FROM funnel")
    }
    assert manifest.spend["calls"] == number(tiny, "SELECT sum(attempts) FROM events")
