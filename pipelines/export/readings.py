"""What an export reads, and what becomes of each: a row, or a reject.

Of a whole run, in the order of ids and within bounds of memory: `of_run`, through DuckDB. Of one shard, in its tables'
order: `of_shard`, by which many workers share a run between them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import duckdb

from gog.pipelines.export.formats import FORMATS
from gog.pipelines.lake.lake import Lake, LakeError
from gog.pipelines.lake.reviews import ByReviewer, honour
from gog.schemas import Complexity, Evidence, Reject, Seed, Split, Trajectory, Unit, Verdict
from gog.schemas.rows import from_row
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.reframe import reframe
from gog.transforms.export.rows import (
    RL_STAGE,
    SFT_STAGE,
    ExportSettings,
    Reading,
    RlRow,
    SftRow,
    rl_row,
    sft_row,
)
from gog.transforms.export.target import Target
from gog.transforms.services.loop import tidy

LEAST_RANGE: Final = 250
MOST_RANGES: Final = 50
"""Rows are joined and sorted so many at a time, but in no more ranges than this: each reads all parts anew."""


@dataclass(frozen=True, slots=True)
class SftReadings:
    """The curated trajectories of a run. With a backbone they are replayed in its frame."""

    kind: ClassVar = "sft"
    row: ClassVar = SftRow
    stage: ClassVar = SFT_STAGE
    unit: ClassVar = Unit.TRAJECTORY

    episode: EpisodeSettings
    settings: ExportSettings
    target: Target
    reviews: Mapping[str, ByReviewer]

    def count(self, connection: duckdb.DuckDBPyConnection) -> int:
        """How many there are."""
        return _one(connection, "SELECT count(*) FROM curated")

    def of_run(self, connection: duckdb.DuckDBPyConnection) -> Iterator[Reading]:
        """Those of the whole run, by id. Raises `LakeError` where a table misses a row."""
        query = """
            SELECT c.trajectory_id, c.split, t, s, v FROM curated c
            LEFT JOIN trajectories t ON t.trajectory_id = c.trajectory_id
            LEFT JOIN seeds s ON s.seed_id = c.seed_id
            LEFT JOIN verdicts v ON v.trajectory_id = c.trajectory_id
            WHERE c.trajectory_id BETWEEN $first AND $last
            ORDER BY c.trajectory_id
        """
        for some in _ranges(_ids(connection, "SELECT trajectory_id FROM curated ORDER BY ALL")):
            evidence = _evidence(connection, some) if self.target.backbone else {}
            for name, split, *parts in _rows(connection, query, some):
                yield name, self._outcome(name, split, parts, evidence)

    def of_shard(self, lake: Lake, run: str, shard: int) -> Iterator[Reading]:
        """Those of a shard. Raises `LakeError` where a table misses a row."""
        curated = {row["trajectory_id"]: row for row in lake.read_rows(run, "curated", "curate", shard)}
        seed_ids = {row["seed_id"] for row in curated.values()}
        seeds = {
            row["seed_id"]: row for row in lake.read_rows(run, "seeds", "ingest", shard) if row["seed_id"] in seed_ids
        }
        verdicts = {row["trajectory_id"]: row for row in lake.read_rows(run, "verdicts", "synthesize", shard)}
        evidence: dict[str, Evidence] = {}
        if self.target.backbone:
            evidence = {e.evidence_id: e for e in lake.read_table(run, "evidence", Evidence, "synthesize", shard)}
        for row in lake.read_rows(run, "trajectories", "synthesize", shard):
            name = row["trajectory_id"]
            if kept := curated.pop(name, None):
                parts = row, seeds.get(kept["seed_id"]), verdicts.get(name)
                yield name, self._outcome(name, kept["split"], parts, evidence)
        for name in curated:
            _whole(name, [None], ["trajectories"])

    def _outcome(
        self, name: str, split: str, parts: Sequence[Any], evidence: Mapping[str, Evidence]
    ) -> SftRow | Reject:
        _whole(name, parts, ("trajectories", "seeds", "verdicts"))
        trajectory, seed = from_row(Trajectory, parts[0]), from_row(Seed, parts[1])
        verdict, target, episode = from_row(Verdict, parts[2]), self.target, self.episode
        shown = honour(trajectory, self.reviews.get(trajectory.trajectory_id, {}), self.settings.reviewed)
        if target.backbone and isinstance(shown, Trajectory):
            shown = reframe(shown, seed, evidence, episode, target.episode(episode))
        if isinstance(shown, Reject):
            return shown
        thinking = target.thinking if target.backbone else None
        row = sft_row(shown, seed, verdict, Split(split), self.settings, target.episode(episode), thinking)
        if isinstance(row, SftRow) and not FORMATS[target.format].learnable(row):
            return Reject.of(SFT_STAGE, Unit.TRAJECTORY, row.id, "export.untrained", seed_id=seed.seed_id)
        return row


@dataclass(frozen=True, slots=True)
class RlReadings:
    """The seeds of a run that a policy has labelled."""

    kind: ClassVar = "rl"
    row: ClassVar = RlRow
    stage: ClassVar = RL_STAGE
    unit: ClassVar = Unit.SEED

    episode: EpisodeSettings
    settings: ExportSettings
    target: Target
    policy: str | None = None
    """Whose levels count, where several have labelled the run."""

    def count(self, connection: duckdb.DuckDBPyConnection) -> int:
        """How many there are."""
        values = {"policy": policy_of(connection, self.policy)}
        return _one(connection, "SELECT count(*) FROM complexity WHERE policy = $policy", values)

    def of_run(self, connection: duckdb.DuckDBPyConnection) -> Iterator[Reading]:
        """Those of the whole run, by id. Raises `LakeError` where a table misses a row."""
        query = """
            SELECT x.seed_id, g.split, s, x FROM complexity x
            LEFT JOIN groups g ON g.seed_id = x.seed_id
            LEFT JOIN seeds s ON s.seed_id = x.seed_id
            WHERE x.policy = $policy AND x.seed_id BETWEEN $first AND $last
            ORDER BY x.seed_id
        """
        values = {"policy": policy_of(connection, self.policy)}
        ids = _ids(connection, "SELECT seed_id FROM complexity WHERE policy = $policy ORDER BY ALL", values)
        for some in _ranges(ids):
            for name, split, *parts in _rows(connection, query, some, values):
                yield name, self._outcome(name, split, *parts)

    def of_shard(self, lake: Lake, run: str, shard: int) -> Iterator[Reading]:
        """Those of a shard, by the policy that is named. Raises `LakeError` where a table misses a row."""
        labelled = [row for row in lake.read_rows(run, "complexity", "label", shard) if row["policy"] == self.policy]
        ids = {row["seed_id"] for row in labelled}
        seeds = {row["seed_id"]: row for row in lake.read_rows(run, "seeds", "ingest", shard) if row["seed_id"] in ids}
        split = {row["seed_id"]: row["split"] for row in lake.read_rows(run, "groups", "curate", shard)}
        for row in labelled:
            name = row["seed_id"]
            yield name, self._outcome(name, split.get(name), seeds.get(name), row)

    def _outcome(self, name: str, split: Any, seed: Any, complexity: Any) -> RlRow | Reject:
        _whole(name, [split, seed, complexity], ("groups", "seeds", "complexity"))
        return rl_row(
            from_row(Seed, seed),
            from_row(Complexity, complexity),
            Split(split),
            self.settings,
            self.target.episode(self.episode),
        )


Readings = SftReadings | RlReadings


def policy_of(connection: duckdb.DuckDBPyConnection, policy: str | None) -> str:
    """The policy whose levels count: the one that is named, or the only one. Raises `LakeError`."""
    known = _ids(connection, "SELECT DISTINCT policy FROM complexity ORDER BY ALL")
    if policy is None and len(known) > 1:
        raise LakeError(f"several policies have labelled this run, name one: {', '.join(known)}")
    if policy is not None and policy not in known:
        raise LakeError(f"{policy} has not labelled this run; {', '.join(known) or 'no policy'} has")
    return policy or (known[0] if known else "")


def _one(connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, str] | None = None) -> int:
    ((number,),) = connection.execute(query, dict(values or {})).fetchall()
    return int(number)


def _ids(connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, str] | None = None) -> list[str]:
    return [name for (name,) in connection.execute(query, dict(values or {})).fetchall()]


def _ranges(ids: Sequence[str]) -> Iterator[dict[str, str]]:
    """First and last of so many sorted ids at a time, since what is joined and sorted at once is held at once."""
    size = max(LEAST_RANGE, len(ids) // MOST_RANGES)
    for start in range(0, len(ids), size):
        some = ids[start : start + size]
        yield {"first": some[0], "last": some[-1]}


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, some: Mapping[str, str], values: Mapping[str, str] | None = None
) -> Iterator[tuple[Any, ...]]:
    """Rows of a query that takes a range of the sorted ids; a table's alias gives a dictionary of its columns."""
    cursor = connection.execute(query, {**(values or {}), **some})
    while rows := cursor.fetchmany(100):
        yield from rows
    tidy()


def _evidence(connection: duckdb.DuckDBPyConnection, some: Mapping[str, str]) -> dict[str, Evidence]:
    """The evidence of a range of curated trajectories, by id."""
    query = """
        SELECT DISTINCT ON (evidence_id) evidence_id, e FROM evidence e WHERE evidence_id IN (
            SELECT unnest(json_extract_string(steps, '$[*].evidence_ids[*]'))
            FROM trajectories SEMI JOIN curated USING (trajectory_id)
            WHERE trajectory_id BETWEEN $first AND $last
        )
    """
    return {name: from_row(Evidence, row) for name, row in connection.execute(query, dict(some)).fetchall()}


def _whole(name: str, parts: Sequence[Any], tables: Sequence[str]) -> None:
    """Raise unless all parts of a join were there: a table that misses a row would lose it without a word."""
    for part, table in zip(parts, tables, strict=True):
        if part is None or (isinstance(part, dict) and part["schema_version"] is None):
            raise LakeError(f"{name} is not in the table {table}: run `gog run` again to make the tables whole")
