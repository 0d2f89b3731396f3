"""Writes the splits of a run with a manifest and a dataset card: Parquet with images inside in `RUN/exports/{sft,rl}`.

For a trainer, in its format and its backbone's frame: `RUN/exports/trl-qwen3-vl/{sft,rl}` and the like. What cannot go
there is in its `rejects.jsonl`; the run's own funnel counts the engine's own export.

Rows are sorted by id and nothing that varies from run to run is written, so that equal runs make equal bytes.

A new export is made beside the old one and takes its place in one step: whatever happens, a whole one is there. On an
object store, whose names cannot change, its manifest goes first and comes last: an export with one is whole.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Final

import duckdb

from gog.pipelines.export.ahead import AT_ONCE, fetched, with_pictures
from gog.pipelines.export.card import dataset_card
from gog.pipelines.export.card_data import CardFacts, card_facts
from gog.pipelines.export.formats import FORMATS
from gog.pipelines.export.place import MANIFEST, SPILL, folder_for, put_in_place
from gog.pipelines.export.readings import Readings, RlReadings, SftReadings
from gog.pipelines.export.request import ExportRequest, SourceRun
from gog.pipelines.export.splits import FileFacts, SplitFiles, Written
from gog.pipelines.lake.disk import disk_advice
from gog.pipelines.lake.lake import LakeError
from gog.pipelines.views.database import open_lake
from gog.schemas import SCHEMA_VERSION, Reject, Split, StageCount
from gog.schemas.errors import UsageError, UserError
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.open_set import declared, taken
from gog.transforms.place import files_below, is_remote, name_below, remove_folder

MEMORY: Final = "1GB"
"""What the database may hold, at most, while it sorts; the rest waits on the disk."""

OnReject = Callable[[Reject], None]

WriteFiles = Callable[[SourceRun, Readings, duckdb.DuckDBPyConnection, Path, Path, OnReject], Written]
"""Writes the files of the splits, and hands rejects on, by id. It gets the place of the export, and the folder in which
it is made.
"""


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
    run: SourceRun,
    request: ExportRequest,
    on_reject: OnReject = lambda reject: None,
    write_files: WriteFiles | None = None,
) -> Exported:
    """Write the SFT splits of a run: the curated trajectories. Raises `LakeError`; then the export before is there.

    With a backbone the trajectories are replayed in its frame. Rejects are handed on, and kept in the folder of an
    export for a trainer. Without `write_files` this process writes all files.
    """
    readings = SftReadings(run.episode, request.settings, request.target, run.reviews)
    return _export(readings, run, request, on_reject, write_files or write_here)


def export_rl(
    run: SourceRun,
    request: ExportRequest,
    on_reject: OnReject = lambda reject: None,
    write_files: WriteFiles | None = None,
) -> Exported:
    """Write the RL splits of a run: the labelled seeds. Raises `LakeError`; then the export before is there.

    Levels belong to a policy: where several have labelled the run, `request.policy` names the one to go by.
    """
    readings = RlReadings(run.episode, request.settings, request.target, request.policy)
    return _export(readings, run, request, on_reject, write_files or write_here)


def _export(
    readings: Readings, run: SourceRun, request: ExportRequest, on_reject: OnReject, write_files: WriteFiles
) -> Exported:
    target, episode = request.target, request.target.episode(run.episode)
    final = request.out or run.folder / "exports" / target.folder / readings.kind
    there = _rows_in(final) if request.out or not request.replace else None
    before = None if request.replace else there
    passing = folder_for(final)
    spill = passing / SPILL
    written: Written | None = None
    try:
        spill.mkdir(parents=True)
        with open_lake(run.folder, memory_limit=MEMORY, spill=spill) as connection:
            connection.execute("SET threads = 1")
            written = write_files(run, readings, connection, final, passing, on_reject)
            passed, rejected = written.passed, written.rejected
            count = StageCount(
                stage=readings.stage, unit=readings.unit, shard=0, entered=written.entered, passed=passed
            )
            facts = card_facts(connection, written.table, count, rejected, target, episode)
        shutil.rmtree(spill)
        if before is not None and passed < before:
            most = sorted(rejected.items(), key=lambda item: -item[1])[:3]
            left = ", ".join(f"{reason} {number:,}" for reason, number in most)
            why = f" ({left} left out)" if left else ""
            raise SmallerExportError(
                f"{final} has {before:,} rows and this export would have {passed:,}{why}: nothing was replaced; "
                "--replace does it, --out FOLDER writes it elsewhere"
            )
        if target.backbone:
            FORMATS[target.format].recipe(passing, target.backbone, facts, episode)
        _write_texts(passing, facts, written, run, request)
        request.on_ready()
        put_in_place(passing, final, written.staged)
    except OSError as error:
        why = disk_advice(error) or error.strerror or str(error)
        kept = "" if is_remote(str(final)) else "; the export before it is kept"
        raise LakeError(f"cannot write {final}: {why}{kept}") from error
    except duckdb.Error as error:
        raise LakeError(f"cannot read the tables of {run.folder}: {' '.join(str(error).split())[:300]}") from error
    finally:
        shutil.rmtree(passing, ignore_errors=True)
        if written is not None and written.staged is not None:
            remove_folder(written.staged)
    return Exported(final, count, written.rows, dict(sorted(rejected.items())))


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


def write_here(
    run: SourceRun,
    readings: Readings,
    connection: duckdb.DuckDBPyConnection,
    final: Path,
    folder: Path,
    on_reject: OnReject,
) -> Written:
    """Every reading goes into a split or is handed on as a reject, one after another, in this process."""
    del final
    files, images = open_files(readings, folder), run.images
    found = readings.of_run(connection)
    if is_remote(str(run.folder)):
        found = with_pictures(found, partial(fetched, images), AT_ONCE)
    else:
        found = with_pictures(found, images.has)
    before = ""
    for name, outcome in found:
        check_after(name, before)
        before = name
        if isinstance(outcome, Reject):
            files.reject(outcome)
            on_reject(outcome)
        else:
            files.add(outcome, images)
    return files.close()


def open_files(readings: Readings, folder: Path) -> SplitFiles:
    """Begin the files of an export in a folder of this machine."""
    return SplitFiles.open(readings.target, readings.row, folder, readings.settings.rows_per_file)


def check_after(name: str, before: str) -> None:
    """Raise `LakeError` unless an id is beyond the one before it."""
    if name <= before:
        raise LakeError(f"{name} is in the tables twice: remove the run's folder and run again")


def _write_texts(
    folder: Path,
    facts: CardFacts,
    written: Written,
    run: SourceRun,
    request: ExportRequest,
) -> None:
    """The card, the notices that have to go with it, and the manifest of all files."""
    if facts.atlas:
        notice = files("gog.transforms.atlas").joinpath("assets", "LICENSES.md").read_bytes()
        (folder / "LICENSES-atlas.md").write_bytes(notice)
    (folder / "README.md").write_text(dataset_card(facts, FORMATS[request.target.format]), "utf-8")
    of_splits = {file.name for of_split in written.files.values() for file in of_split}
    others = [FileFacts.of(path, folder) for path in files_below(folder) if name_below(path, folder) not in of_splits]
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
                "levels": written.levels[split],
                "files": [file._asdict() for file in of_split],
            }
            for split, of_split in written.files.items()
        },
        "rejected": dict(written.rejected),
        "licences": facts.licences,
        "prompt_hashes": facts.prompt_hashes,
        "other_files": {file.name: file.sha256 for file in others},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, "utf-8")
