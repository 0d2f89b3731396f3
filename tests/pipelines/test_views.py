import shutil
from pathlib import Path

import duckdb
import pytest
from lakes import counted, level_of, make_seed, reflective, small_run, verdict_of, write

from gog.pipelines import views
from gog.pipelines.lake import Lake, LakeError
from gog.pipelines.views import STAGES, build_views, check_funnel, open_lake
from gog.schemas import TABLES, Event, Reject, Unit
from gog.schemas.arrow import arrow_schema

FUNNEL = [
    ("ingest", "row", 7, 6, 1, True),
    ("screen", "seed", 6, 6, 0, True),
    ("synthesise", "attempt", 12, 12, 0, True),
    ("verify", "trajectory", 12, 6, 6, True),
    ("curate", "trajectory", 6, 6, 0, True),
    ("label", "seed", 3, 3, 0, True),
]
VIEWS = ["funnel", "reasons", "spend", "overview", "behaviours", "categories", "levels", "benchmark_warnings", "pairs"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small_run(tmp_path / "lake")


def run_of(lake: Lake) -> Path:
    return lake.run_folder("small")


def funnel(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM funnel").fetchall()


class TestTables:
    def test_every_table_has_a_view_of_its_rows(self, lake: Lake) -> None:
        with open_lake(run_of(lake)) as connection:
            for table in TABLES:
                view = "stage_counts" if table == "funnel" else table
                rows = connection.execute(f"SELECT count(*) FROM {view}").fetchone()
                assert rows == (sum(1 for _ in lake.read_rows("small", table)),)

    def test_tables_without_parts_are_empty_and_have_their_columns(self, tmp_path: Path) -> None:
        with open_lake(tmp_path) as empty, open_lake(run_of(small_run(tmp_path / "lake"))) as full:
            for view in [*("stage_counts" if table == "funnel" else table for table in TABLES), *VIEWS]:
                described = [
                    connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE {view})").fetchall()
                    for connection in (empty, full)
                ]
                if view != "screenings":  # the small run has none either
                    assert described[0] == described[1], view
                assert empty.execute(f"SELECT * FROM {view}").fetchall() == []
            assert [
                name for name, _ in empty.execute("SELECT column_name, 1 FROM (DESCRIBE screenings)").fetchall()
            ] == (arrow_schema("screenings").names)

    def test_views_say_what_they_are(self, lake: Lake) -> None:
        with open_lake(run_of(lake)) as connection:
            query = "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
            comments = dict(connection.execute(query).fetchall())
            assert set(VIEWS) < comments.keys()
            assert all(comments.values())
            column = "SELECT comment FROM duckdb_columns() WHERE table_name = 'funnel' AND column_name = 'balanced'"
            assert "lost" in str(connection.execute(column).fetchone())


class TestFunnel:
    def test_goes_by_the_pipelines_order_and_adds_up(self, lake: Lake) -> None:
        with open_lake(run_of(lake)) as connection:
            assert funnel(connection) == FUNNEL
            assert check_funnel(connection) == []

    def test_stages_are_ordered(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        lines = [counted(stage, Unit.SEED, 1, 1) for stage in [*sorted(STAGES), "zzz"]]
        write(lake, "small", "funnel", lines)
        with open_lake(run_of(lake)) as connection:
            assert [line[0] for line in funnel(connection)] == [*STAGES, "zzz"]

    def test_shards_are_summed(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        write(lake, "small", "funnel", [counted("screen", Unit.SEED, 10, 10, shard) for shard in range(3)])
        with open_lake(run_of(lake)) as connection:
            assert funnel(connection) == [("screen", "seed", 30, 30, 0, True)]

    def test_a_lost_row_is_named(self, lake: Lake) -> None:
        write(lake, "small", "funnel", [counted("screen", Unit.SEED, 2, 0, shard=1)], step="more")
        with open_lake(run_of(lake)) as connection:
            assert check_funnel(connection) == ["screen (seed): 8 entered, 6 passed and 0 rejected: 2 lost"]

    def test_rejects_of_a_stage_that_counted_nothing_are_named(self, lake: Lake) -> None:
        reject = Reject.of("export_sft", Unit.TRAJECTORY, "t", "export.too_long")
        write(lake, "small", "rejects", [reject], step="more")
        with open_lake(run_of(lake)) as connection:
            assert check_funnel(connection) == [
                "export_sft (trajectory): 0 entered, 0 passed and 1 rejected: 1 too many"
            ]

    def test_reasons_have_their_share(self, lake: Lake) -> None:
        with open_lake(run_of(lake)) as connection:
            assert connection.execute("SELECT * FROM reasons").fetchall() == [
                ("ingest", "row", "ingest.no_answer", 1, 1 / 7),
                ("verify", "trajectory", "verify.wrong", 6, 0.5),
            ]


class TestOthers:
    def test_spend_counts_what_was_paid_apart_from_the_store(self, lake: Lake) -> None:
        with open_lake(run_of(lake)) as connection:
            assert connection.execute("SELECT * FROM spend").fetchall() == [
                ("planner:skill=0.85", "chat", "episode", 4, 2, 1, 200, 20, 0.02, 0.1)
            ]

    def test_overview_has_a_line_for_each_trajectory(self, lake: Lake) -> None:
        with open_lake(run_of(lake)) as connection:
            query = "SELECT outcome, kept, split IS NOT NULL, turns, count(*) FROM overview GROUP BY ALL ORDER BY ALL"
            assert connection.execute(query).fetchall() == [
                ("correct", True, True, 4, 6),
                ("wrong", False, False, 4, 6),
            ]

    def test_behaviours_and_categories(self, lake: Lake) -> None:
        with open_lake(run_of(lake)) as connection:
            assert connection.execute("SELECT * FROM behaviours").fetchall() == [
                ("compose", "mixed", True, 2, 2, 2),
                ("rollout", "mixed", True, 10, 4, 4),
            ]
            shares = connection.execute("SELECT category, origin, share FROM categories").fetchall()
            assert shares == [("gaze", "compose", 1.0), ("gaze", "rollout", 0.4)]

    def test_levels(self, lake: Lake) -> None:
        write(lake, "small", "complexity", [level_of(make_seed(99, lake.images), 1)], step="more")
        with open_lake(run_of(lake)) as connection:
            query = "SELECT level, seeds, pass_rate FROM levels"
            assert connection.execute(query).fetchall() == [(0, 1, 1.0), (1, 2, 0.5), (2, 1, 0.25)]

    def test_pairs_are_of_one_seed(self, lake: Lake) -> None:
        with open_lake(run_of(lake)) as connection:
            rows = connection.execute("SELECT right_answer, wrong_answer, count(*) FROM pairs GROUP BY ALL").fetchall()
        assert rows == [("Kenya", "Uganda", 6)]

    def test_a_trajectory_without_a_verdict_is_still_seen(self, lake: Lake) -> None:
        made = reflective(make_seed(77, lake.images), lake.images).trajectory
        write(lake, "small", "trajectories", [made], step="more")
        query = f"SELECT outcome, kept FROM overview WHERE trajectory_id = '{made.trajectory_id}'"
        with open_lake(run_of(lake)) as connection:
            assert connection.execute(query).fetchall() == [(None, False)]
        write(lake, "small", "verdicts", [verdict_of(made)], step="more")
        with open_lake(run_of(lake)) as connection:
            assert connection.execute(query).fetchall() == [("correct", False)]


class TestFile:
    def test_holds_the_same_views(self, lake: Lake) -> None:
        path = build_views(run_of(lake))
        with duckdb.connect(path, read_only=True) as connection:
            assert funnel(connection) == FUNNEL
        assert sorted(p.name for p in run_of(lake).iterdir() if "duckdb" in p.name) == ["lake.duckdb"]

    def test_sees_parts_that_came_later(self, lake: Lake) -> None:
        path = build_views(run_of(lake))
        write(lake, "small", "funnel", [counted("screen", Unit.SEED, 1, 1, shard=5)], step="more")
        with duckdb.connect(path, read_only=True) as connection:
            assert ("screen", "seed", 7, 7, 0, True) in funnel(connection)

    def test_is_replaced_while_someone_reads(self, lake: Lake) -> None:
        path = build_views(run_of(lake))
        with duckdb.connect(path, read_only=True) as connection:
            assert build_views(run_of(lake)) == path
            assert funnel(connection) == FUNNEL

    def test_a_moved_lake_opens(self, lake: Lake, tmp_path: Path) -> None:
        build_views(run_of(lake))
        moved = tmp_path / "else where" / "lake"
        moved.parent.mkdir()
        shutil.move(lake.root, moved)
        run = moved / "runs" / "small"
        with open_lake(run) as connection:
            assert funnel(connection) == FUNNEL
        with duckdb.connect(run / "lake.duckdb", read_only=True) as connection:
            with pytest.raises(duckdb.IOException):
                funnel(connection)
            connection.execute("SET VARIABLE run_folder = $folder", {"folder": str(run)})
            assert funnel(connection) == FUNNEL
        build_views(run)
        with duckdb.connect(run / "lake.duckdb", read_only=True) as connection:
            assert funnel(connection) == FUNNEL

    def test_a_folder_of_a_difficult_name(self, tmp_path: Path) -> None:
        lake = small_run(tmp_path / "it's a [lake] *")
        path = build_views(run_of(lake))
        with open_lake(run_of(lake)) as memory, duckdb.connect(path, read_only=True) as file:
            assert funnel(memory) == funnel(file) == FUNNEL

    def test_a_read_only_lake_opens(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise LakeError("it is read-only")

        monkeypatch.setattr(views, "write_atomic", refuse)
        with pytest.raises(LakeError, match="read-only"):
            build_views(run_of(lake))
        before = sorted(run_of(lake).rglob("*"))
        with open_lake(run_of(lake)) as connection:
            assert funnel(connection) == FUNNEL
        assert sorted(run_of(lake).rglob("*")) == before

    def test_opens_from_a_relative_folder(self, lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(lake.root)
        build_views(Path("runs/small"))
        with open_lake(Path("runs/small")) as connection:
            monkeypatch.chdir(tmp_path)
            assert funnel(connection) == FUNNEL
        with duckdb.connect(run_of(lake) / "lake.duckdb", read_only=True) as connection:
            assert funnel(connection) == FUNNEL

    def test_events_are_no_part_of_what_is_compared(self, lake: Lake) -> None:
        assert list(lake.read_table("small", "events", Event))
        with open_lake(run_of(lake)) as connection:
            for view in set(VIEWS) - {"spend"}:
                columns = connection.execute(f"SELECT column_name FROM (DESCRIBE {view})").fetchall()
                assert not {"started", "latency_s", "cost"} & {name for (name,) in columns}
