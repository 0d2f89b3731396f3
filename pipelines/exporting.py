"""Writes the splits of a run: Parquet with images inside, a manifest and a dataset card, in `RUN/exports/{sft,rl}`.

Rows are sorted by id and nothing that varies from run to run is written, so that equal runs make equal bytes.

A new export is made beside the old one and takes its place in one step: whatever happens, a whole one is there.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import duckdb

from gog.pipelines.card import dataset_card
from gog.pipelines.facts import CardFacts, card_facts
from gog.pipelines.lake import LakeError
from gog.pipelines.split_files import SplitWriter, export_schema
from gog.pipelines.swap import passing_folder, recover, swap_in
from gog.pipelines.views import open_lake
from gog.schemas import SCHEMA_VERSION, Complexity, Reject, Seed, Split, StageCount, Trajectory, Unit, Verdict
from gog.schemas.rows import from_row
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export import RL_STAGE, SFT_STAGE, ExportSettings, RlRow, SftRow, rl_row, sft_row
from gog.transforms.services.protocols import ImageStore

MEMORY: Final = "1GB"
"""What the database may hold, at most, while it sorts; the rest waits on the disk."""

Reading = tuple[str, "SftRow | RlRow | Reject"]
"""The id of a row and what became of it."""


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that is in place. `count` and the rejects that were handed on are its part of the funnel."""

    folder: Path
    count: StageCount
    rows: Mapping[Split, int]
    rejected: Mapping[str, int]


def export_sft(
    run_folder: Path,
    images: ImageStore,
    settings: ExportSettings,
    episode: EpisodeSettings,
    on_reject: Callable[[Reject], None],
    fingerprint: str = "",
) -> Exported:
    """Write the SFT splits of a run: the curated trajectories. Raises `LakeError`; then the export before is there."""

    def read(connection: duckdb.DuckDBPyConnection) -> Iterator[Reading]:
        query = """
            SELECT c.trajectory_id, c.split, t, s, v FROM curated c
            LEFT JOIN trajectories t ON t.trajectory_id = c.trajectory_id
            LEFT JOIN seeds s ON s.seed_id = c.seed_id
            LEFT JOIN verdicts v ON v.trajectory_id = c.trajectory_id
            ORDER BY c.trajectory_id
        """
        for name, split, *parts in _stream(connection, query):
            _whole(name, parts, ("trajectories", "seeds", "verdicts"))
            trajectory, seed, verdict = parts
            yield (
                name,
                sft_row(
                    from_row(Trajectory, trajectory),
                    from_row(Seed, seed),
                    from_row(Verdict, verdict),
                    Split(split),
                    settings,
                    episode,
                ),
            )

    return _export(SftRow, run_folder, images, settings, episode, on_reject, fingerprint, read)


def export_rl(
    run_folder: Path,
    images: ImageStore,
    settings: ExportSettings,
    episode: EpisodeSettings,
    on_reject: Callable[[Reject], None],
    fingerprint: str = "",
    policy: str | None = None,
) -> Exported:
    """Write the RL splits of a run: the labelled seeds. Raises `LakeError`; then the export before is there.

    Levels belong to a policy: where several have labelled the run, `policy` names the one to go by.
    """

    def read(connection: duckdb.DuckDBPyConnection) -> Iterator[Reading]:
        query = """
            SELECT x.seed_id, g.split, s, x FROM complexity x
            LEFT JOIN groups g ON g.seed_id = x.seed_id
            LEFT JOIN seeds s ON s.seed_id = x.seed_id
            WHERE x.policy = ?
            ORDER BY x.seed_id
        """
        for name, split, *parts in _stream(connection, query, [_policy(connection, policy)]):
            _whole(name, [split, *parts], ("groups", "seeds", "complexity"))
            seed, complexity = parts
            yield (
                name,
                rl_row(from_row(Seed, seed), from_row(Complexity, complexity), Split(split), settings, episode),
            )

    return _export(RlRow, run_folder, images, settings, episode, on_reject, fingerprint, read)


def _export(
    row: type[SftRow] | type[RlRow],
    run_folder: Path,
    images: ImageStore,
    settings: ExportSettings,
    episode: EpisodeSettings,
    on_reject: Callable[[Reject], None],
    fingerprint: str,
    read: Callable[[duckdb.DuckDBPyConnection], Iterator[Reading]],
) -> Exported:
    kind, stage, unit = ("sft", SFT_STAGE, Unit.TRAJECTORY) if row is SftRow else ("rl", RL_STAGE, Unit.SEED)
    final = run_folder / "exports" / kind
    passing = passing_folder(final)
    spill = passing / ".spill"
    try:
        recover(final)
        spill.mkdir(parents=True)
        with open_lake(run_folder, memory_limit=MEMORY, spill=spill) as connection:
            connection.execute("SET threads = 1")
            schema = export_schema(row)
            writers = {split: SplitWriter(passing, split.value, schema, settings.rows_per_file) for split in Split}
            rejected = _write_rows(read(connection), writers, images, on_reject)
            written = {split.value: writer.close() for split, writer in writers.items()}
            rows = {split: writer.rows for split, writer in writers.items()}
            passed = sum(rows.values())
            entered = passed + rejected.total()
            count = StageCount(stage=stage, unit=unit, shard=0, entered=entered, passed=passed)
            facts = card_facts(connection, kind, passing, count, rejected, episode)
        shutil.rmtree(spill)
        _write_texts(passing, facts, written, rejected, fingerprint)
        swap_in(final)
    except OSError as error:
        raise LakeError(f"cannot write {final}: {error.strerror or error}; the export before it is kept") from error
    except duckdb.Error as error:
        raise LakeError(f"cannot read the tables of {run_folder}: {' '.join(str(error).split())[:300]}") from error
    return Exported(final, count, rows, dict(sorted(rejected.items())))


def _write_rows(
    readings: Iterator[Reading],
    writers: Mapping[Split, SplitWriter],
    images: ImageStore,
    on_reject: Callable[[Reject], None],
) -> Counter[str]:
    """Every reading goes into a split or is handed on as a reject; returns the rejects by reason."""
    rejected: Counter[str] = Counter()
    before = ""
    for name, outcome in readings:
        if name <= before:
            raise LakeError(f"{name} is in the tables twice: remove the run's folder and run again")
        before = name
        if isinstance(outcome, Reject):
            rejected[outcome.reason] += 1
            on_reject(outcome)
        else:
            writers[outcome.split].add(outcome, images)
    return rejected


def _stream(connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[str] = ()) -> Iterator[tuple[Any, ...]]:
    """Rows of a query, a few at a time; a table's alias gives a dictionary of its columns, None without a match."""
    cursor = connection.execute(query, values)
    while rows := cursor.fetchmany(100):
        yield from rows


def _whole(name: str, parts: Sequence[Any], tables: Sequence[str]) -> None:
    """Raise unless all parts of a join were there: a table that misses a row would lose it without a word."""
    for part, table in zip(parts, tables, strict=True):
        if part is None or (isinstance(part, dict) and part["schema_version"] is None):
            raise LakeError(f"{name} is not in the table {table}: run `gog run` again to make the tables whole")


def _policy(connection: duckdb.DuckDBPyConnection, policy: str | None) -> str:
    known = [name for (name,) in connection.execute("SELECT DISTINCT policy FROM complexity ORDER BY ALL").fetchall()]
    if policy is None and len(known) > 1:
        raise LakeError(f"several policies have labelled this run, name one: {', '.join(known)}")
    if policy is not None and policy not in known:
        raise LakeError(f"{policy} has not labelled this run; {', '.join(known) or 'no policy'} has")
    return policy or (known[0] if known else "")


def _write_texts(
    folder: Path,
    facts: CardFacts,
    written: Mapping[str, Sequence[Path]],
    rejected: Mapping[str, int],
    fingerprint: str,
) -> None:
    """The card, the notices that have to go with it, and the manifest of all files."""
    if facts.atlas:
        notice = files("gog.transforms.atlas").joinpath("assets", "LICENSES.md").read_bytes()
        (folder / "LICENSES-atlas.md").write_bytes(notice)
    (folder / "README.md").write_text(dataset_card(facts), "utf-8")
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "kind": facts.kind,
        "fingerprint": fingerprint,
        "frame": facts.frame,
        "splits": {
            split: {
                "rows": facts.splits.get(split, 0),
                "files": [{"name": p.name, "bytes": p.stat().st_size, "sha256": _sha256(p)} for p in paths],
            }
            for split, paths in written.items()
        },
        "rejected": dict(rejected),
        "licences": facts.licences,
        "prompt_hashes": facts.prompt_hashes,
        "other_files": {path.name: _sha256(path) for path in sorted(folder.glob("*.md"))},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, "utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
