import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from lakes import counted, level_of, make_seed, reflective, small_run, verdict_of, write
from several_pictures import BOXES, run_of_several
from strategies import boxes

from gog.pipelines.lake.lake import Lake, LakeError, write_part
from gog.pipelines.views.database import SHORT, build_views, check_funnel, fetch_records, open_file, open_lake
from gog.pipelines.views.macros import TABLE_MACROS, VALUE_MACROS
from gog.pipelines.views.queries import QUERIES, STAGES
from gog.schemas import TABLES, Box, Event, Region, Reject, Review, StageCount, Step, Unit, Verdict
from gog.schemas.arrow import arrow_schema
from gog.schemas.boxes import iou
from gog.transforms.label.complexity import wilson

FUNNEL = [
    ("ingest", "row", 7, 6, 1, True),
    ("screen", "seed", 6, 6, 0, True),
    ("synthesize", "attempt", 12, 12, 0, True),
    ("verify", "trajectory", 12, 6, 6, True),
    ("curate", "trajectory", 6, 6, 0, True),
    ("label", "seed", 3, 3, 0, True),
]
VIEWS = list(QUERIES)


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

    def test_a_turn_has_what_was_done_and_thought(self, lake: Lake) -> None:
        query = """
            SELECT turn, action, said, round(x1, 3), reflection, train, thought FROM turns
            WHERE trajectory_id IN (SELECT trajectory_id FROM overview WHERE origin = 'compose' AND kept) ORDER BY turn
        """
        with open_lake(run_of(lake)) as connection:
            rows = sorted(set(connection.execute(query).fetchall()))
            assert connection.execute("SELECT count(*) FROM turns").fetchone() == (48,)
        assert [row[:6] for row in rows] == [
            (0, "gaze", "a flag", 0.1, None, False),
            (1, "gaze", "a flag", 0.6, "off_target", True),
            (2, "text_search", "Kenya flag", None, "useful", True),
            (3, "answer", "Kenya", None, "useful", True),
        ]
        assert rows[1][6] == "Evidence: off target. That is a look-alike."

    def test_a_call_has_what_came_back_and_what_was_made_of_it(self, lake: Lake) -> None:
        query = """
            SELECT turn, tool, said, round(area, 3), hits, best_title, best_score, failure, judged, count(*)
            FROM tool_calls GROUP BY ALL ORDER BY turn
        """
        with open_lake(run_of(lake)) as connection:
            assert connection.execute(query).fetchall() == [
                (0, "gaze", "a flag", 0.04, 2, "Uganda", 0.41, None, "off_target", 12),
                (1, "gaze", "a flag", 0.04, 2, "Kenya", 0.93, None, "useful", 12),
                (2, "text_search", "Kenya flag", None, 2, "Kenya", 0.8, None, "useful", 12),
            ]
            searches = "SELECT tool, calls, failed, empty, useful, off_target FROM searches ORDER BY tool"
            assert connection.execute(searches).fetchall() == [
                ("gaze", 24, 0, 0, 12, 12),
                ("text_search", 12, 0, 0, 12, 0),
            ]

    def test_evidence_that_two_shards_have_is_one(self, lake: Lake) -> None:
        table = lake.table_folder("small", "evidence")
        shutil.copy(table / "part-step-00000.parquet", table / "part-step-00001.parquet")
        with open_lake(run_of(lake)) as connection:
            assert connection.execute("SELECT count(*) FROM tool_calls").fetchone() == (36,)

    def test_providers(self, lake: Lake) -> None:
        with open_lake(run_of(lake)) as connection:
            (row,) = connection.execute("SELECT * FROM providers").fetchall()
        assert row == ("planner:skill=0.85", "chat", 4, 2, 1, 0.75, 0.1, 0.1, 0)

    def test_regions_that_were_looked_at(self, lake: Lake) -> None:
        with open_lake(run_of(lake)) as connection:
            (row,) = connection.execute("SELECT * FROM region_sources").fetchall()
        assert (*row[:4], round(row[4], 6), *row[5:]) == ("segments:1", 6, 6, 0.5, 0.04, 6, 6)

    def test_a_region_was_looked_at_on_its_own_picture_alone(self, tmp_path: Path) -> None:
        lake, made = run_of_several(tmp_path / "lake")
        name = made[2].trajectory.trajectory_id
        elsewhere = Region(
            region_id="r", seed_id=made[2].trajectory.seed_id, box=BOXES[0], on_image=1, score=1, source="other:1"
        )
        looked_at = elsewhere.model_copy(update={"region_id": "s", "on_image": 0, "source": "right:1"})
        write_part(lake.part_path("several", "regions", "more", 0), "regions", [elsewhere, looked_at])
        by_words = Step(turn=0, action="image_search", arguments={"query": "a flag"})
        asked_by_words = made[2].trajectory.model_copy(update={"trajectory_id": "words", "steps": (by_words,)})
        write_part(lake.part_path("several", "trajectories", "more", 0), "trajectories", [asked_by_words])
        with open_lake(lake.run_folder("several")) as connection:
            found = connection.execute("SELECT source, looked_at, could_be FROM region_sources").fetchall()
            asked = f"SELECT action, on_image FROM turns WHERE trajectory_id = '{name}' ORDER BY turn"
            turns = connection.execute(asked).fetchall()
            calls = connection.execute(asked.replace("action", "tool").replace("FROM turns", "FROM tool_calls"))
            answered = calls.fetchall()
            words = connection.execute("SELECT on_image FROM turns WHERE trajectory_id = 'words'").fetchall()
        assert found == [("other:1", 0, 1), ("right:1", 1, 1), ("segments:1", 0, 6)]
        looks = [("image_search", 1), ("gaze", 0), ("gaze", 1), ("gaze", 2)]
        assert turns == [*looks, ("answer", None)]
        assert answered == looks
        assert words == [(None,)]


class TestMacros:
    @pytest.mark.parametrize(("passes", "k"), [(0, 4), (1, 4), (4, 4), (7, 8), (0, 1), (500, 1000)])
    def test_the_interval_is_the_labellers(self, passes: int, k: int, tmp_path: Path) -> None:
        with open_lake(tmp_path) as connection:
            found = connection.execute("SELECT wilson_low(?, ?), wilson_high(?, ?)", [passes, k] * 2).fetchone()
        assert found == pytest.approx(wilson(passes, k))

    def test_no_tries_have_no_interval(self, tmp_path: Path) -> None:
        with open_lake(tmp_path) as connection:
            assert connection.execute("SELECT wilson_low(0, 0), wilson_high(0, 0)").fetchone() == (None, None)

    def test_the_overlap_is_that_of_boxes(self) -> None:
        macro = VALUE_MACROS["box_iou"]
        with duckdb.connect() as connection:
            connection.execute(f"CREATE MACRO box_iou({macro.parameters}) AS {macro.body}")

            @given(boxes(), boxes())
            def agree(a: Box, b: Box) -> None:
                ((found,),) = connection.execute("SELECT box_iou(?, ?, ?, ?, ?, ?, ?, ?)", [*a, *b]).fetchall()
                assert found == pytest.approx(iou(a, b))

            agree()

    def test_each_answers_over_a_run_and_over_none(self, lake: Lake, tmp_path: Path) -> None:
        unsolved = Reject.of("synthesize", Unit.ATTEMPT, "seed-0/1", "teacher.timeout", seed_id="seed-0")
        write(lake, "small", "rejects", [unsolved], "more")
        words = {"id": "'seed'", "code": "'verify'", "words": "'kenya'", "n": "3", "seconds": "1"}
        with open_lake(run_of(lake)) as full, open_lake(tmp_path) as empty:
            for name, macro in TABLE_MACROS.items():
                argument = "'trajectory'" if name == "trajectory" else words[macro.parameters]
                assert full.execute(f"FROM {name}({argument})").fetchall(), name
                assert empty.execute(f"FROM {name}({argument})").fetchall() == [], name

    def test_a_trajectory_turn_by_turn(self, lake: Lake) -> None:
        with open_lake(run_of(lake)) as connection:
            ((name,),) = connection.execute("SELECT min(trajectory_id) FROM overview").fetchall()
            rows = connection.execute("SELECT turn, best_title FROM trajectory(?)", [name[:-2]]).fetchall()
        assert rows == [(0, "Uganda"), (1, "Kenya"), (2, "Kenya"), (3, None)]


def test_a_lake_without_columns_of_today_is_read_with_their_defaults(lake: Lake) -> None:
    for table, columns in {"verdicts": ["votes"], "seeds": ["answer_low", "extra"]}.items():
        for path in lake.table_folder("small", table).glob("*.parquet"):
            pq.write_table(pq.read_table(path).drop_columns(columns), path)
    with open_lake(run_of(lake)) as connection:
        assert connection.execute("SELECT DISTINCT votes FROM verdicts").fetchall() == [("[]",)]
        assert connection.execute("SELECT DISTINCT answer_low, extra FROM seeds").fetchall() == [(None, "{}")]
        assert connection.execute("SELECT * FROM votes").fetchall() == []
        verdicts = fetch_records(Verdict, connection.execute("SELECT * FROM verdicts"))
        assert {verdict.votes for verdict in verdicts} == {()}
        assert funnel(connection) == FUNNEL
    with open_file(build_views(run_of(lake)), run_of(lake)) as connection:
        assert connection.execute("SELECT count(*) FROM seeds WHERE extra = '{}'").fetchone() == (6,)


def test_a_column_of_a_newer_version_is_refused_in_one_line(tmp_path: Path) -> None:
    lake = small_run(tmp_path)
    for path in lake.parts("small", "verdicts", "step"):
        table = pq.read_table(path)
        pq.write_table(table.append_column("novel", pa.array(["x"] * table.num_rows)), path)
    with pytest.raises(LakeError, match=r"the table verdicts has a column 'novel', .* upgrade glance-or-gaze"):
        open_lake(run_of(lake))


def test_a_lake_with_the_stage_by_its_old_name_is_read(tmp_path: Path) -> None:
    """Nothing but the name differs: the funnel of an old run adds up as it did."""
    lake = small_run(tmp_path)
    with open_lake(run_of(lake)) as connection:
        before = connection.execute("FROM funnel").fetchall()
    for path in lake.parts("small", "funnel", "step"):
        table = pq.read_table(path)
        old = pc.replace_substring(table["stage"], "synthesize", "synthesise")
        pq.write_table(table.set_column(table.schema.get_field_index("stage"), table.schema.field("stage"), old), path)
        assert "synthesise" in pq.read_table(path)["stage"].to_pylist()
    with open_lake(run_of(lake)) as connection:
        assert connection.execute("FROM funnel").fetchall() == before
    assert "synthesize" in {count.stage for count in lake.read_table("small", "funnel", StageCount)}


class TestFile:
    def test_holds_the_same(self, lake: Lake) -> None:
        path = build_views(run_of(lake))
        with open_lake(run_of(lake)) as memory, open_file(path, run_of(lake)) as file:
            for view in [*QUERIES, *("stage_counts" if table == "funnel" else table for table in TABLES)]:
                query = f"SELECT * FROM {view} ORDER BY ALL"
                assert file.execute(query).fetchall() == memory.execute(query).fetchall(), view
        assert sorted(p.name for p in run_of(lake).iterdir() if p.name.startswith((".", "lake"))) == ["lake.duckdb"]

    def test_says_of_every_table_view_column_and_macro_what_it_is(self, lake: Lake) -> None:
        path = build_views(run_of(lake))
        with open_lake(run_of(lake)) as memory, open_file(path, run_of(lake)) as file:
            for connection in (memory, file):
                things = connection.execute(
                    "SELECT table_name || '.' || column_name, comment FROM duckdb_columns() WHERE NOT internal "
                    "UNION ALL SELECT view_name, comment FROM duckdb_views() WHERE NOT internal "
                    "UNION ALL SELECT table_name, comment FROM duckdb_tables() "
                    "UNION ALL SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal"
                ).fetchall()
                assert len(things) > 200
                assert [name for name, comment in things if not comment] == []

    def test_long_tables_are_found_by_a_relative_path(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        path = build_views(run_of(lake))
        assert str(lake.root).encode() not in path.read_bytes()
        query = "SELECT count(*) FROM trajectories"
        with duckdb.connect(path, read_only=True) as connection:
            with pytest.raises(duckdb.IOException, match="trajectories/part"):
                connection.execute(query)
            connection.execute("SET VARIABLE run_folder = $folder", {"folder": str(run_of(lake))})
            assert connection.execute(query).fetchone() == (12,)
        with duckdb.connect(path, read_only=True, config={"file_search_path": str(run_of(lake))}) as connection:
            assert connection.execute(query).fetchone() == (12,)
        monkeypatch.chdir(run_of(lake))
        with duckdb.connect("lake.duckdb", read_only=True) as connection:
            assert connection.execute(query).fetchone() == (12,)

    def test_a_moved_lake_opens(self, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        build_views(run_of(lake))
        moved = tmp_path / "else where" / "it's a [lake] *"
        moved.parent.mkdir()
        shutil.move(lake.root, moved)
        run = moved / "runs" / "small"
        with open_lake(run) as connection:
            assert funnel(connection) == FUNNEL
        with open_file(run / "lake.duckdb", run) as connection:
            assert funnel(connection) == FUNNEL
            assert connection.execute("SELECT count(*) FROM trajectories").fetchone() == (12,)
        with duckdb.connect(run / "lake.duckdb", read_only=True) as connection:  # from anywhere, knowing nothing
            assert funnel(connection) == FUNNEL
            assert connection.execute("SELECT count(*) FROM pairs").fetchone() == (6,)
            for table in SHORT:
                connection.execute(f"SELECT * FROM {table}")
        monkeypatch.chdir(run)
        with duckdb.connect("lake.duckdb", read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM why('verify.wrong')").fetchone() == (6,)

    def test_tables_that_get_their_first_parts_later_are_seen(self, lake: Lake) -> None:
        path = build_views(run_of(lake))
        review = Review(review_id="r", trajectory_id="t", seed_id="s", reviewer="ada", number=1, made=1.0)
        with open_file(path, run_of(lake)) as connection:
            assert connection.execute("SELECT reviewer FROM reviews").fetchall() == []
        write(lake, "small", "reviews", [review])
        with open_file(path, run_of(lake)) as connection:
            assert connection.execute("SELECT reviewer FROM reviews").fetchall() == [("ada",)]

    def test_is_replaced_while_someone_reads(self, lake: Lake) -> None:
        path = build_views(run_of(lake))
        with open_file(path, run_of(lake)) as connection:
            write(lake, "small", "funnel", [counted("screen", Unit.SEED, 1, 1, shard=5)], step="more")
            assert build_views(run_of(lake)) == path
            assert funnel(connection) == FUNNEL
        with open_file(path, run_of(lake)) as connection:
            assert ("screen", "seed", 7, 7, 0, True) in funnel(connection)

    def test_a_folder_of_a_difficult_name(self, tmp_path: Path) -> None:
        lake = small_run(tmp_path / "it's a [lake] *")
        path = build_views(run_of(lake))
        with open_lake(run_of(lake)) as memory, open_file(path, run_of(lake)) as file:
            assert funnel(memory) == funnel(file) == FUNNEL

    def test_a_read_only_lake_opens(self, lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("tempfile.mkdtemp", refuse)
        with pytest.raises(LakeError, match="read-only"):
            build_views(run_of(lake))
        monkeypatch.undo()
        before = sorted(run_of(lake).rglob("*"))
        with open_lake(run_of(lake)) as connection:
            assert funnel(connection) == FUNNEL
        with open_file(build_views(run_of(lake), tmp_path / "other.duckdb"), run_of(lake)) as connection:
            assert funnel(connection) == FUNNEL
        assert sorted(run_of(lake).rglob("*")) == before

    def test_what_a_killed_process_left_is_cleared_away(self, lake: Lake) -> None:
        old, fresh = run_of(lake) / ".views-old", run_of(lake) / ".views-fresh"
        for folder in (old, fresh):
            folder.mkdir()
            (folder / "lake.duckdb").touch()
        os.utime(old, (1, 1))
        build_views(run_of(lake))
        assert not old.exists()
        assert fresh.exists()

    def test_opens_from_a_relative_folder(self, lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(lake.root)
        build_views(Path("runs/small"))
        with open_lake(Path("runs/small")) as connection:
            monkeypatch.chdir(tmp_path)
            assert funnel(connection) == FUNNEL

    def test_events_are_no_part_of_what_is_compared(self, lake: Lake) -> None:
        assert list(lake.read_table("small", "events", Event))
        with open_lake(run_of(lake)) as connection:
            for view in set(VIEWS) - {"spend", "providers"}:
                columns = connection.execute(f"SELECT column_name FROM (DESCRIBE {view})").fetchall()
                assert not {"started", "latency_s", "cost", "median_s"} & {name for (name,) in columns}


class TestFullDisk:
    """A file that may not grow fails as a disk that is full does, for any user."""

    CHILD = """
import resource, sys
from pathlib import Path
from gog.pipelines.lake.lake import LakeError
from gog.pipelines.views.database import build_views, open_file
folder, size = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    path = build_views(folder)
except LakeError as error:
    print(error)
else:
    with open_file(path, folder) as connection:
        print(connection.execute("SELECT count(*) > 0 FROM overview").fetchall())
"""

    def test_the_file_is_whole_or_not_there(self, lake: Lake) -> None:
        said = {}
        for size in (10_000, 400_000, 1_000_000, 100_000_000):
            command = [sys.executable, "-c", self.CHILD, str(run_of(lake)), str(size)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
            assert done.returncode == 0, f"{size}: {done.stderr}"
            said[size] = done.stdout.strip()
            assert list(run_of(lake).glob(".views-*")) == []
        assert said.pop(100_000_000) == "[(True,)]"
        assert all("ulimit -f" in line or line == "[(True,)]" for line in said.values()), said
        assert sum("ulimit -f" in line for line in said.values()) >= 2, said
