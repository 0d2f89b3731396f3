"""What an export's card and manifest say, counted in the files that were written and in the tables of the run.

Nothing of it varies between equal runs: no times, no money, and only the stages that come before the export.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb

from gog.pipelines.export.parquet import export_schema
from gog.pipelines.views.database import pattern_of, quoted
from gog.pipelines.views.queries import STAGES
from gog.prompts import prompt_hash
from gog.schemas import Split, StageCount
from gog.transforms.episode.machine import EpisodeSettings, system_prompt
from gog.transforms.export.rows import SFT_STAGE, RlRow, SftRow
from gog.transforms.export.target import Target


class FunnelLine(NamedTuple):
    """A stage of the funnel."""

    stage: str
    unit: str
    entered: int
    passed: int
    rejected: int


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says. Counts are rows of the export by name."""

    kind: str
    """sft or rl."""
    splits: Mapping[str, int]
    datasets: Sequence[tuple[Any, ...]]
    """(dataset, version, rows)."""
    licences: Mapping[str, int]
    languages: Mapping[str, int]
    categories: Mapping[str, int]
    teachers: Mapping[str, int]
    policies: Mapping[str, int]
    behaviours: Sequence[tuple[Any, ...]]
    """(origin, behaviour, reflective, rows)."""
    levels: Sequence[tuple[Any, ...]]
    """(level, rows, mean pass rate)."""
    engines: Mapping[str, Sequence[str]]
    """Names of what the run worked with: detector, search, judge."""
    prompt_hashes: Mapping[str, Sequence[str]]
    funnel: Sequence[FunnelLine]
    reasons: Sequence[tuple[Any, ...]]
    """(stage, reason, rejects)."""
    frame: str
    format: str = "parquet"
    backbone: str = ""
    """Name of the backbone that a trainer's format is for."""
    thinking: bool = True
    """Whether that writes reasoning in thoughts."""
    shared: Sequence[tuple[Any, ...]] = ()
    """(answer or entity, rows): what the export's seeds share with the benchmarks that they were kept apart from."""

    @property
    def filled(self) -> list[str]:
        """Splits that have rows; only they have files."""
        return [split.value for split in Split if self.splits.get(split.value)]

    @property
    def rows(self) -> int:
        """Rows in all splits."""
        return sum(self.splits.values())

    @property
    def atlas(self) -> bool:
        """Whether rows of the bundled world are in it."""
        return any(dataset == "atlas" for dataset, *_ in self.datasets)

    @property
    def planned(self) -> bool:
        """Whether the rule-based planner wrote its turns or found its levels."""
        return any(name.split(":")[0] == "planner" for name in [*self.teachers, *self.policies])


def card_facts(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    count: StageCount,
    rejected: Mapping[str, int],
    target: Target,
    episode: EpisodeSettings,
) -> CardFacts:
    """The facts of the Parquet files in `folder`; `count` and `rejected` are the export's own line of the funnel."""
    sft = count.stage == SFT_STAGE
    connection.register("nothing", export_schema(SftRow if sft else RlRow).empty_table())
    source = f"read_parquet({quoted(pattern_of(folder) + '/*.parquet')})" if count.passed else "nothing"
    connection.execute(
        f"CREATE TEMP VIEW exported AS SELECT * EXCLUDE (images), {'seed_id' if sft else 'id'} AS seed FROM {source}"
    )
    before = [stage for stage in STAGES[: STAGES.index(count.stage)] if not stage.startswith("export")]
    lines = [FunnelLine(*line) for line in _all(connection, "SELECT * EXCLUDE (balanced) FROM funnel")]
    reasons = _all(connection, "SELECT stage, reason, rejects FROM reasons")
    own = FunnelLine(count.stage, count.unit.value, count.entered, count.passed, sum(rejected.values()))
    return CardFacts(
        kind="sft" if sft else "rl",
        splits=_counts(connection, "split"),
        datasets=_all(
            connection,
            "SELECT s.dataset, s.dataset_version, count(*) FROM exported JOIN seeds s ON s.seed_id = seed "
            "GROUP BY ALL ORDER BY ALL",
        ),
        licences=_counts(connection, "licence"),
        languages=_counts(connection, "language"),
        categories=_counts(connection, "category"),
        teachers=_counts(connection, "teacher") if sft else {},
        policies={} if sft else _counts(connection, "policy"),
        behaviours=_groups(connection, "origin, behaviour, reflective") if sft else [],
        levels=[] if sft else _groups(connection, "level", ", avg(pass_rate)"),
        engines={
            "detector": _distinct(connection, "regions", "source"),
            "search": _distinct(connection, "evidence", "provider"),
            "judge": _distinct(connection, "verdicts", "judge"),
        },
        prompt_hashes=_prompt_hashes(connection, sft, episode),
        funnel=[*(line for line in lines if line.stage in before), own],
        reasons=[
            *(reason for reason in reasons if reason[0] in before),
            *((count.stage, reason, number) for reason, number in rejected.items()),
        ],
        frame=episode.frame.value,
        format=target.format,
        backbone=target.backbone.name if target.backbone else "",
        thinking=target.thinking,
        shared=_all(connection, _SHARED),
    )


_SHARED: Final = """
    SELECT kind, count(*) FROM (
        SELECT unnest(json_keys(extra, '$.benchmark_warnings')) AS kind
        FROM exported JOIN seeds s ON s.seed_id = seed
    ) GROUP BY kind ORDER BY kind
"""


def _prompt_hashes(connection: duckdb.DuckDBPyConnection, sft: bool, episode: EpisodeSettings) -> dict[str, list[str]]:
    """Hashes by prompt: of those that the rows show, and of those that their trajectories were made with."""
    hashes = {"episode/system": {system_prompt(episode)[1]}, "episode/question": {prompt_hash("episode/question")}}
    used = "SELECT DISTINCT prompt_hashes FROM trajectories t JOIN exported e ON e.id = t.trajectory_id"
    for (text,) in _all(connection, used) if sft else []:
        for name, value in json.loads(text).items():
            hashes.setdefault(name, set()).add(value)
    return {name: sorted(values) for name, values in sorted(hashes.items())}


def _all(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def _counts(connection: duckdb.DuckDBPyConnection, column: str) -> dict[str, int]:
    return dict(_all(connection, f"SELECT {column}, count(*) FROM exported GROUP BY ALL ORDER BY ALL"))


def _groups(connection: duckdb.DuckDBPyConnection, columns: str, more: str = "") -> list[tuple[Any, ...]]:
    return _all(connection, f"SELECT {columns}, count(*){more} FROM exported GROUP BY {columns} ORDER BY {columns}")


def _distinct(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> list[str]:
    query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} <> '' ORDER BY ALL"
    return [name for (name,) in _all(connection, query)]
