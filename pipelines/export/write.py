"""Writes the splits of a run with a manifest and a dataset card: Parquet with images inside in `RUN/exports/{sft,rl}`.

For a trainer, in its format and its backbone's frame: `RUN/exports/trl-qwen3-vl/{sft,rl}` and the like. What cannot go
there is in its `rejects.jsonl`; the run's own funnel counts the engine's own export.

Rows are sorted by id and nothing that varies from run to run is written, so that equal runs make equal bytes.

A new export is made beside the old one and takes its place in one step: whatever happens, a whole one is there. On an
object store, whose names cannot change, its manifest goes first and comes last: an export with one is whole.
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

from gog.pipelines.export.ahead import Reading, read_ahead
from gog.pipelines.export.card import dataset_card
from gog.pipelines.export.card_data import CardFacts, card_facts
from gog.pipelines.export.formats import FORMATS
from gog.pipelines.export.place import MANIFEST, folder_for, put_in_place
from gog.pipelines.export.request import ExportRequest, SourceRun
from gog.pipelines.export.splits import SplitFiles
from gog.pipelines.lake.disk import disk_advice
from gog.pipelines.lake.lake import LakeError
from gog.pipelines.lake.reviews import honour
from gog.pipelines.views.database import open_lake
from gog.schemas import SCHEMA_VERSION, Complexity, Evidence, Reject, Seed, Split, StageCount, Trajectory, Unit, Verdict
from gog.schemas.errors import UsageError, UserError
from gog.schemas.rows import from_row
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.reframe import reframe
from gog.transforms.export.rows import RL_STAGE, SFT_STAGE, RlRow, SftRow, rl_row, sft_row
from gog.transforms.image_store import ImageStore
from gog.transforms.open_set import declared, taken
from gog.transforms.place import files_below, is_remote
from gog.transforms.services.loop import tidy

MEMORY: Final = "1GB"
"""What the database may hold, at most, while it sorts; the rest waits on the disk."""

LEAST_RANGE: Final = 250
MOST_RANGES: Final = 50
"""Rows are joined and sorted so many at a time, but in no more ranges than this: each reads all parts anew."""


class SmallerExportError(UserError):
    """The export would take the place of one with more rows; that one is kept."""


class NoExportError(UsageError):
    """What stands where the export should go is something else; it is kept."""


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that is in place. `count` and the rejects that were handed on are its part of the funnel."""

    folder: Path
    count: StageCount
    rows: Mapping[Split, int]
    rejected: Mapping[str, int]


def export_sft(
    run: SourceRun, request: ExportRequest, on_reject: Callable[[Reject], None] = lambda reject: None
) -> Exported:
    """Write the SFT splits of a run: the curated trajectories. Raises `LakeError`; then the export before is there.

    With a backbone the trajectories are replayed in its frame. Rejects are handed on, and kept in the folder of an
    export for a trainer.
    """
    settings, target = request.settings, request.target
    form = FORMATS[target.format]
    episode = target.episode(run.episode)

    def read(connection: duckdb.DuckDBPyConnection) -> Iterator[Reading]:
        query = """
            SELECT c.trajectory_id, c.split, t, s, v FROM curated c
            LEFT JOIN trajectories t ON t.trajectory_id = c.trajectory_id
            LEFT JOIN seeds s ON s.seed_id = c.seed_id
            LEFT JOIN verdicts v ON v.trajectory_id = c.trajectory_id
            WHERE c.trajectory_id BETWEEN $first AND $last
            ORDER BY c.trajectory_id
        """
        for some in _ranges(_ids(connection, "SELECT trajectory_id FROM curated ORDER BY ALL")):
            evidence = _evidence(connection, some) if target.backbone else {}
            for name, split, *parts in _rows(connection, query, some):
                _whole(name, parts, ("trajectories", "seeds", "verdicts"))
                trajectory, seed = from_row(Trajectory, parts[0]), from_row(Seed, parts[1])
                verdict = from_row(Verdict, parts[2])
                yield name, _sft_outcome(trajectory, seed, verdict, Split(split), evidence)

    def _sft_outcome(
        trajectory: Trajectory, seed: Seed, verdict: Verdict, split: Split, evidence: Mapping[str, Evidence]
    ) -> SftRow | Reject:
        shown = honour(trajectory, run.reviews.get(trajectory.trajectory_id, {}), settings.reviewed)
        if target.backbone and isinstance(shown, Trajectory):
            shown = reframe(shown, seed, evidence, run.episode, episode)
        if isinstance(shown, Reject):
            return shown
        row = sft_row(shown, seed, verdict, split, settings, episode, target.thinking if target.backbone else None)
        if isinstance(row, SftRow) and not form.learnable(row):
            unit = Unit.TRAJECTORY
            return Reject.of(SFT_STAGE, unit, row.id, "export.untrained", seed_id=seed.seed_id)
        return row

    return _export(SftRow, run, request, on_reject, read)


def export_rl(
    run: SourceRun, request: ExportRequest, on_reject: Callable[[Reject], None] = lambda reject: None
) -> Exported:
    """Write the RL splits of a run: the labelled seeds. Raises `LakeError`; then the export before is there.

    Levels belong to a policy: where several have labelled the run, `request.policy` names the one to go by.
    """
    episode = request.target.episode(run.episode)

    def read(connection: duckdb.DuckDBPyConnection) -> Iterator[Reading]:
        query = """
            SELECT x.seed_id, g.split, s, x FROM complexity x
            LEFT JOIN groups g ON g.seed_id = x.seed_id
            LEFT JOIN seeds s ON s.seed_id = x.seed_id
            WHERE x.policy = $policy AND x.seed_id BETWEEN $first AND $last
            ORDER BY x.seed_id
        """
        values = {"policy": _policy(connection, request.policy)}
        ids = _ids(connection, "SELECT seed_id FROM complexity WHERE policy = $policy ORDER BY ALL", values)
        for some in _ranges(ids):
            for name, split, *parts in _rows(connection, query, some, values):
                _whole(name, [split, *parts], ("groups", "seeds", "complexity"))
                seed, complexity = from_row(Seed, parts[0]), from_row(Complexity, parts[1])
                yield name, rl_row(seed, complexity, Split(split), request.settings, episode)

    return _export(RlRow, run, request, on_reject, read)


def _export(
    row: type[SftRow] | type[RlRow],
    run: SourceRun,
    request: ExportRequest,
    on_reject: Callable[[Reject], None],
    read: Callable[[duckdb.DuckDBPyConnection], Iterator[Reading]],
) -> Exported:
    kind, stage, unit = ("sft", SFT_STAGE, Unit.TRAJECTORY) if row is SftRow else ("rl", RL_STAGE, Unit.SEED)
    target, episode = request.target, request.target.episode(run.episode)
    final = request.out or run.folder / "exports" / target.folder / kind
    there = _rows_in(final) if request.out or not request.replace else None
    before = None if request.replace else there
    passing = folder_for(final)
    spill = passing / ".spill"
    try:
        spill.mkdir(parents=True)
        with open_lake(run.folder, memory_limit=MEMORY, spill=spill) as connection:
            connection.execute("SET threads = 1")
            files = SplitFiles.open(target, row, passing, request.settings.rows_per_file)
            readings = read(connection)
            if is_remote(str(run.folder)):
                readings = read_ahead(readings, run.images)
            rejected = _write_rows(readings, files, run.images, on_reject)
            files.close()
            passed = sum(files.rows.values())
            entered = passed + rejected.total()
            count = StageCount(stage=stage, unit=unit, shard=0, entered=entered, passed=passed)
            facts = card_facts(connection, files.table, count, rejected, target, episode)
        shutil.rmtree(spill)
        if before is not None and passed < before:
            left = ", ".join(f"{reason} {number:,}" for reason, number in rejected.most_common(3))
            why = f" ({left} left out)" if left else ""
            raise SmallerExportError(
                f"{final} has {before:,} rows and this export would have {passed:,}{why}: nothing was replaced; "
                "--replace does it, --out FOLDER writes it elsewhere"
            )
        if target.backbone:
            FORMATS[target.format].recipe(passing, target.backbone, facts, episode)
        _write_texts(passing, facts, files, rejected, run, request)
        request.on_ready()
        put_in_place(passing, final)
    except OSError as error:
        why = disk_advice(error) or error.strerror or str(error)
        kept = "" if is_remote(str(final)) else "; the export before it is kept"
        raise LakeError(f"cannot write {final}: {why}{kept}") from error
    except duckdb.Error as error:
        raise LakeError(f"cannot read the tables of {run.folder}: {' '.join(str(error).split())[:300]}") from error
    finally:
        shutil.rmtree(passing, ignore_errors=True)
    return Exported(final, count, files.rows, dict(sorted(rejected.items())))


def _rows_in(folder: Path) -> int | None:
    """Rows of the export in a folder; None where there is none. Raises `NoExportError` on something else."""
    if not (files_below(folder) if is_remote(str(folder)) else folder.exists() and _holds_something(folder)):
        return None
    try:
        splits = json.loads((folder / MANIFEST).read_bytes())["splits"]
        return sum(int(split["rows"]) for split in splits.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise NoExportError(
            f"{folder} is there already and holds no export: name another folder, or remove it"
        ) from None


def _holds_something(path: Path) -> bool:
    return not path.is_dir() or any(path.iterdir())


def _write_rows(
    readings: Iterator[Reading], files: SplitFiles, images: ImageStore, on_reject: Callable[[Reject], None]
) -> Counter[str]:
    """Every reading goes into a split or is handed on as a reject; returns the rejects by reason."""
    rejected: Counter[str] = Counter()
    before = ""
    for name, outcome in readings:
        if name <= before:
            raise LakeError(f"{name} is in the tables twice: remove the run's folder and run again")
        before = name
        outcome = _with_pictures(outcome, images)
        if isinstance(outcome, Reject):
            rejected[outcome.reason] += 1
            files.reject(outcome)
            on_reject(outcome)
        else:
            files.add(outcome, images)
    return rejected


def _with_pictures(outcome: SftRow | RlRow | Reject, images: ImageStore) -> SftRow | RlRow | Reject:
    """The row, or its reject where a picture of it is missing."""
    if isinstance(outcome, Reject):
        return outcome
    missing = next((sha256 for sha256 in outcome.image_sha256 if not images.has(sha256)), None)
    if missing is None:
        return outcome
    stage, unit = (SFT_STAGE, Unit.TRAJECTORY) if isinstance(outcome, SftRow) else (RL_STAGE, Unit.SEED)
    detail = f"the image {missing} is not in the lake"
    return Reject.of(stage, unit, outcome.id, "export.image_missing", detail=detail, seed_id=outcome.seed_id)


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
    splits: SplitFiles,
    rejected: Mapping[str, int],
    run: SourceRun,
    request: ExportRequest,
) -> None:
    """The card, the notices that have to go with it, and the manifest of all files."""
    if facts.atlas:
        notice = files("gog.transforms.atlas").joinpath("assets", "LICENSES.md").read_bytes()
        (folder / "LICENSES-atlas.md").write_bytes(notice)
    (folder / "README.md").write_text(dataset_card(facts, FORMATS[request.target.format]), "utf-8")
    of_splits = {path for paths in splits.files.values() for path in paths}
    others = [p for p in sorted(folder.rglob("*")) if p.is_file() and p not in of_splits]
    target = request.target
    backbones = [(BACKBONES, target.backbone.name)] if target.backbone else []
    plugins = {**run.plugins, **taken([(FORMATS, target.format), *backbones])}
    if facts.kind == "rl":
        plugins |= declared("gog.rewards", "reward term")  # what a training over it may pay by
    episode = target.episode(run.episode)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "kind": facts.kind,
        "fingerprint": run.fingerprint,
        **({"plugins": plugins} if plugins else {}),
        "frame": facts.frame,
        "episode": episode.model_dump(mode="json"),
        "tools": request.tools.model_dump(mode="json"),
        **request.target.facts(),
        "splits": {
            split.value: {
                "rows": facts.splits.get(split.value, 0),
                "levels": splits.levels[split],
                "files": [
                    {"name": p.relative_to(folder).as_posix(), "bytes": p.stat().st_size, "sha256": _sha256(p)}
                    for p in paths
                ],
            }
            for split, paths in splits.files.items()
        },
        "rejected": dict(rejected),
        "licences": facts.licences,
        "prompt_hashes": facts.prompt_hashes,
        "other_files": {p.relative_to(folder).as_posix(): _sha256(p) for p in others},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, "utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
