"""DuckDB over a run: one view for each table, and the views that people ask for.

The Parquet parts are the truth; views hold no data. `open_lake` makes them afresh in memory for every connection: it
takes milliseconds, a lake can be moved or be read-only, tables that have got their first parts are there, and nobody
waits for another process's lock. `build_views` writes the same views into `lake.duckdb`, for DuckDB's own shell and
for notebooks. DuckDB would take a relative path to be relative to the process, so the file holds the absolute path of
the run; after a move, `set variable run_folder = '...'` leads it there, or `build_views` writes it anew.
"""

import glob
import tempfile
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from gog.pipelines.lake import write_atomic
from gog.schemas import TABLES
from gog.schemas.arrow import arrow_schema

DATABASE: Final = "lake.duckdb"

STAGES: Final = ("ingest", "screen", "propose", "synthesise", "verify", "curate", "export_sft", "label", "export_rl")
"""Stages in the order of the pipelines."""

_SQL_TYPES: Final = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
}

_VIEW_OF: Final = {"funnel": "stage_counts"}
"""Tables whose name belongs to a view of what people ask for."""

_ORDER: Final = f"list_position({list(STAGES)!r}, stage) NULLS LAST, stage, unit"

_VIEWS: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    "funnel": (
        "What entered each stage and what left it, in the order of the pipelines.",
        f"""
        SELECT stage, unit,
            coalesce(entered, 0)::BIGINT AS entered,
            coalesce(passed, 0)::BIGINT AS passed,
            coalesce(rejected, 0)::BIGINT AS rejected,
            coalesce(entered, 0) = coalesce(passed, 0) + coalesce(rejected, 0) AS balanced
        FROM (SELECT stage, unit, sum(entered) AS entered, sum(passed) AS passed FROM stage_counts GROUP BY ALL)
        FULL JOIN (SELECT stage, unit, count(*) AS rejected FROM rejects GROUP BY ALL) USING (stage, unit)
        ORDER BY {_ORDER}
        """,
        {
            "unit": "what the stage counts: rows, seeds, attempts or trajectories",
            "rejected": "counted from the rejects themselves",
            "balanced": "entered = passed + rejected; anything else is a row that was lost or counted twice",
        },
    ),
    "reasons": (
        "Why things left, by stage.",
        f"""
        SELECT stage, unit, reason, count(*) AS rejects, count(*) / any_value(entered) AS share
        FROM rejects LEFT JOIN (SELECT stage, unit, entered FROM funnel) USING (stage, unit)
        GROUP BY stage, unit, reason
        ORDER BY {_ORDER}, rejects DESC, reason
        """,
        {"share": "of what entered the stage"},
    ),
    "spend": (
        "Calls to the outside world, by provider and purpose.",
        """
        SELECT provider, kind, purpose,
            count(*) AS calls,
            count(*) FILTER (from_store) AS from_store,
            count(*) FILTER (failure IS NOT NULL) AS failed,
            coalesce(sum(prompt_tokens) FILTER (NOT from_store), 0)::BIGINT AS prompt_tokens,
            coalesce(sum(completion_tokens) FILTER (NOT from_store), 0)::BIGINT AS completion_tokens,
            coalesce(sum(cost), 0)::DOUBLE AS cost,
            median(latency_s) FILTER (NOT from_store) AS median_s
        FROM events GROUP BY provider, kind, purpose ORDER BY cost DESC, calls DESC, provider, kind, purpose
        """,
        {
            "from_store": "calls that the store answered",
            "failed": "calls that ended in a failure",
            "prompt_tokens": "of calls that were made, not of what the store answered",
            "completion_tokens": "of calls that were made, not of what the store answered",
            "cost": "US dollars",
            "median_s": "median latency of the calls that were made, in seconds",
        },
    ),
    "overview": (
        "A line for each trajectory: its seed, its verdict, and whether it was kept.",
        """
        SELECT t.trajectory_id, t.seed_id, s.dataset, s.category, s.question, s.answers, s.entity,
            t.origin, t.sample_index, t.behaviour, t.reflective, t.plan, t.plan_used_gold, t.teacher,
            t.stop, json_array_length(t.steps)::BIGINT AS turns, t.answer,
            v.outcome, v.method, v.grounded, v.literal, v.leaked, v.gaze_useful, v.reasons, v.judge,
            c.trajectory_id IS NOT NULL AS kept, c.split
        FROM trajectories t
        LEFT JOIN seeds s ON s.seed_id = t.seed_id
        LEFT JOIN verdicts v ON v.trajectory_id = t.trajectory_id
        LEFT JOIN curated c ON c.trajectory_id = t.trajectory_id
        """,
        {"turns": "turns of the model", "kept": "curation kept it", "split": "side of the export, where it was kept"},
    ),
    "behaviours": (
        "Mix of behaviours, by how the trajectories were made.",
        """
        SELECT origin, behaviour, reflective, count(*) AS attempts,
            count(*) FILTER (outcome = 'correct') AS correct,
            count(*) FILTER (kept) AS kept
        FROM overview GROUP BY origin, behaviour, reflective ORDER BY origin, behaviour, reflective
        """,
        {
            "reflective": "a wrong focus was noticed and changed",
            "attempts": "trajectories; attempts that ended without an answer are rejects and not here",
        },
    ),
    "categories": (
        "Share of right answers by kind of question.",
        """
        SELECT dataset, category, origin, count(*) AS attempts,
            count(*) FILTER (outcome = 'correct') AS correct,
            count(*) FILTER (outcome = 'correct') / count(*) AS share,
            count(*) FILTER (kept) AS kept
        FROM overview GROUP BY dataset, category, origin ORDER BY dataset, category, origin
        """,
        {"share": "correct of attempts"},
    ),
    "levels": (
        "How hard the seeds are for a policy.",
        """
        SELECT policy, level, count(*) AS seeds, avg(pass_rate) AS pass_rate, min(pass_rate) AS least,
            max(pass_rate) AS most, avg(high - low) AS interval_width, sum(unknown)::BIGINT AS unknown
        FROM complexity GROUP BY policy, level ORDER BY policy, level
        """,
        {
            "pass_rate": "mean over the seeds",
            "interval_width": "mean width of the 95% Wilson intervals",
            "unknown": "tries that nobody could judge",
        },
    ),
    "benchmark_warnings": (
        "Seeds whose entity or answer a benchmark has too; they stay.",
        """
        SELECT dataset, kind, count(*) AS seeds, min(found) AS example
        FROM (
            SELECT dataset, unnest(['answer', 'entity']) AS kind,
                unnest([
                    json_extract_string(extra, '$.benchmark_warnings.answer'),
                    json_extract_string(extra, '$.benchmark_warnings.entity')
                ]) AS found
            FROM seeds
        )
        WHERE found IS NOT NULL GROUP BY ALL ORDER BY ALL
        """,
        {"kind": "answer or entity", "example": "a row of a benchmark"},
    ),
    "pairs": (
        "Right and wrong trajectories of the same seed.",
        """
        SELECT r.seed_id, r.question, r.trajectory_id AS right_id, w.trajectory_id AS wrong_id,
            r.answer AS right_answer, w.answer AS wrong_answer,
            r.behaviour AS right_behaviour, w.behaviour AS wrong_behaviour
        FROM overview r JOIN overview w ON r.seed_id = w.seed_id
        WHERE r.outcome = 'correct' AND w.outcome = 'wrong'
        ORDER BY right_id, wrong_id
        """,
        {},
    ),
}


def open_lake(run_folder: Path, *, memory_limit: str = "1GB", spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A connection in memory with all views over the run. What does not fit the limit goes to the folder `spill`."""
    connection = duckdb.connect(
        config={
            "memory_limit": memory_limit,
            "temp_directory": str(spill) if spill else "",
            "autoinstall_known_extensions": "false",
        }
    )
    _create(connection, run_folder)
    return connection


def build_views(run_folder: Path) -> Path:
    """Write `lake.duckdb` with all views into the run's folder, whole or not at all. Raises `LakeError`."""
    path = run_folder / DATABASE
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / DATABASE
        with duckdb.connect(made) as connection:
            _create(connection, run_folder)
        write_atomic(path, made.read_bytes())
    return path


def check_funnel(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The lines of the funnel that do not add up, each as a sentence; empty when nothing was lost."""
    rows = connection.execute("SELECT stage, unit, entered, passed, rejected FROM funnel WHERE NOT balanced").fetchall()
    return [
        f"{stage} ({unit}): {entered} entered, {passed} passed and {rejected} rejected: "
        f"{abs(entered - passed - rejected)} {'lost' if entered > passed + rejected else 'too many'}"
        for stage, unit, entered, passed, rejected in rows
    ]


def _create(connection: duckdb.DuckDBPyConnection, run_folder: Path) -> None:
    for table, record in TABLES.items():
        name = _VIEW_OF.get(table, table)
        connection.execute(f"CREATE VIEW {name} AS {_parts(run_folder, table)}")
        _comment(connection, f"VIEW {name}", " ".join((record.__doc__ or "").split()))
    for name, (comment, query, columns) in _VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS {query}")
        _comment(connection, f"VIEW {name}", comment)
        for column, text in columns.items():
            _comment(connection, f"COLUMN {name}.{column}", text)


def _parts(run_folder: Path, table: str) -> str:
    """A query of the table's parts; no rows, but the columns, where there are none."""
    if any((run_folder / table).glob("part-*.parquet")):
        pattern = quoted(f"/{table}/part-*.parquet")
        folder = quoted(glob.escape(str(run_folder.resolve())))
        return f"SELECT * FROM read_parquet(coalesce(getvariable('run_folder'), {folder}) || {pattern})"
    columns = ", ".join(f'NULL::{_SQL_TYPES[field.type]} AS "{field.name}"' for field in arrow_schema(table))
    return f"SELECT {columns} WHERE false"


def _comment(connection: duckdb.DuckDBPyConnection, what: str, text: str) -> None:
    connection.execute(f"COMMENT ON {what} IS {quoted(text)}")


def quoted(text: str, *, pattern: bool = False) -> str:
    """The text as a literal of SQL. As a pattern for `read_parquet`, only its last part may hold wildcards."""
    if pattern:
        folder, slash, name = text.rpartition("/")
        text = glob.escape(folder) + slash + name
    return "'" + text.replace("'", "''") + "'"
