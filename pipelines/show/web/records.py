"""All that a run knows of one trajectory, read from its parts when a page asks for it."""

import glob
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import duckdb

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.show.trajectory import Records
from gog.pipelines.views.database import fetch_records, quoted, reach
from gog.schemas import (
    TABLES,
    Complexity,
    Curated,
    Evidence,
    Method,
    Outcome,
    Region,
    Reject,
    Seed,
    Trajectory,
    Verdict,
)
from gog.schemas.base import Row
from gog.schemas.rows import SchemaError
from gog.transforms.evaluate.audit import Group, group_of

R = TypeVar("R", bound=Row)

MOST_ROWS: Final = 200
"""Rows of one table that a page shows of a trajectory."""
MOST_RUNS: Final = 20
"""Other runs in which a seed is looked for."""
_TABLE_OF: Final = {record: table for table, record in TABLES.items()}
_SHARD: Final = re.compile(r"-(\d{5,})\.parquet$")


class Place(NamedTuple):
    """Where a trajectory is: the part that holds it; whether it was kept, and whether it left with a reject."""

    part: Path
    kept: bool
    left: bool


def open_reader(lake: Lake) -> duckdb.DuckDBPyConnection:
    """A small database for reading parts; each thread takes a cursor of it."""
    connection = duckdb.connect(config={"memory_limit": "96MB", "threads": 1, "autoinstall_known_extensions": "false"})
    reach(connection, lake.root)
    return connection


def read_records(
    database: duckdb.DuckDBPyConnection, lake: Lake, run: str, place: Place, trajectory_id: str
) -> Records | None:
    """The trajectory of a part, None when it is not there. Raises `SchemaError` or `duckdb.Error` on damaged rows.

    Its records stand in parts of the same shard, where curation did not see all shards at once: a page reads a few
    small files, however large the run is.
    """
    with database.cursor() as connection:
        reader = _Reader(lake, run, _shard(place.part), connection)
        trajectories = reader.rows(Trajectory, "trajectory_id", [trajectory_id], [place.part])
        if not trajectories:
            return None
        trajectory = trajectories[0]
        of_this, of_seed = [trajectory_id], [trajectory.seed_id]
        ids = list(dict.fromkeys(i for step in trajectory.steps for i in step.evidence_ids))[:MOST_ROWS]
        seeds = reader.find(Seed, "seed_id", of_seed)
        verdicts = reader.find(Verdict, "trajectory_id", of_this)
        curated = reader.find(Curated, "trajectory_id", of_this) if place.kept else []
        return Records(
            trajectory=trajectory,
            seed=seeds[0] if seeds else None,
            verdict=verdicts[0] if verdicts else None,
            evidence={e.evidence_id: e for e in reader.find(Evidence, "evidence_id", ids)},
            regions=reader.find(Region, "seed_id", of_seed, near=True),
            complexity=sorted(reader.find(Complexity, "seed_id", of_seed, near=True), key=lambda c: c.policy),
            rejects=reader.find(Reject, "id", of_this) if place.left else [],
            curated=curated[0] if curated else None,
        )


def attempts_elsewhere(lake: Lake, runs: Sequence[str], seed_id: str) -> list[tuple[str, Trajectory]]:
    """Attempts at a seed in other runs, by run and attempt. Runs that cannot be read are passed over."""
    attempts: list[tuple[str, Trajectory]] = []
    with open_reader(lake) as connection:
        for run in runs[:MOST_RUNS]:
            reader = _Reader(lake, run, "", connection)
            with suppress(duckdb.Error, SchemaError):
                rows = reader.rows(Trajectory, "seed_id", [seed_id], lake.parts(run, "trajectories"))
                attempts += [(run, row) for row in sorted(rows, key=lambda row: (row.sample_index, row.trajectory_id))]
    return attempts


def verdicts_of(lake: Lake, run: str, trajectory_ids: Sequence[str]) -> list[Verdict]:
    """The verdicts of some trajectories of a run. Raises `SchemaError` or `duckdb.Error` on damaged rows."""
    with open_reader(lake) as connection:
        reader = _Reader(lake, run, "", connection)
        parts = lake.parts(run, "verdicts")
        return reader.rows(Verdict, "trajectory_id", trajectory_ids, parts, len(trajectory_ids))


def groups_of(lake: Lake, run: str) -> dict[str, Group]:
    """The verdicts of a run that can be audited, by trajectory. Raises `SchemaError` or `duckdb.Error`."""
    parts = lake.parts(run, "verdicts")
    if not parts:
        return {}
    with open_reader(lake) as connection:
        sql = f"SELECT trajectory_id, outcome, method, reasons FROM {_files(parts)}"
        rows = connection.execute(sql).fetchall()
    try:
        groups = {name: group_of(Outcome(o), Method(m), json.loads(reasons)) for name, o, m, reasons in rows}
    except ValueError as error:
        raise SchemaError(f"a verdict of the run {run} is damaged: {one_line(error, 200)}") from error
    return {name: group for name, group in groups.items() if group is not None}


def several_records(lake: Lake, run: str, trajectory_ids: Sequence[str]) -> dict[str, Records]:
    """Some trajectories of a run with seed, verdict and evidence, by id. Raises `SchemaError` or `duckdb.Error`."""
    with open_reader(lake) as connection:
        reader = _Reader(lake, run, "", connection)

        def rows(record: type[R], column: str, ids: Iterable[str]) -> list[R]:
            wanted = list(dict.fromkeys(ids))
            parts = lake.parts(run, _TABLE_OF[record])
            return reader.rows(record, column, wanted, parts, MOST_ROWS * len(trajectory_ids))

        trajectories = rows(Trajectory, "trajectory_id", trajectory_ids)
        seeds = {seed.seed_id: seed for seed in rows(Seed, "seed_id", (t.seed_id for t in trajectories))}
        verdicts = {verdict.trajectory_id: verdict for verdict in rows(Verdict, "trajectory_id", trajectory_ids)}
        ids = (name for t in trajectories for step in t.steps for name in step.evidence_ids)
        evidence = {found.evidence_id: found for found in rows(Evidence, "evidence_id", ids)}
    return {
        t.trajectory_id: Records(t, seeds.get(t.seed_id), verdicts.get(t.trajectory_id), evidence) for t in trajectories
    }


@dataclass(frozen=True, slots=True)
class _Reader:
    lake: Lake
    run: str
    shard: str
    connection: duckdb.DuckDBPyConnection

    def find(self, record: type[R], column: str, values: Sequence[str], *, near: bool = False) -> list[R]:
        """Rows with one of these values: those of the shard; where too few are there, of all parts, unless `near`."""
        if not values:
            return []
        parts = self.lake.parts(self.run, _TABLE_OF[record])
        beside = [path for path in parts if _shard(path) == self.shard]
        rows = self.rows(record, column, values, beside)
        if len(rows) >= len(values) or (near and beside):
            return rows
        return self.rows(record, column, values, parts)

    def rows(
        self, record: type[R], column: str, values: Sequence[str], parts: Sequence[Path], most: int = MOST_ROWS
    ) -> list[R]:
        if not parts or not values:
            return []
        sql = f"SELECT * FROM {_files(parts)} WHERE {column} IN (SELECT unnest(?)) LIMIT {int(most)}"
        return fetch_records(record, self.connection.execute(sql, [list(values)]))


def _files(parts: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(quoted(glob.escape(str(path))) for path in parts)}])"


def _shard(path: Path) -> str:
    match = _SHARD.search(path.name)
    return match[1] if match else ""
