"""The files of an export, each written by a worker of an engine, and counted by the process that waits.

    STAGE/export/data/SPLIT-00000-of-00003.parquet
    STAGE/files/SPLIT-00000.json                       what its manifest will say of it
    STAGE/shards/00000.json                            what was read of a shard: how many entered, and the rejects

The stage is on the lake, where the export is going to be. A worker that does its part again writes the same again.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import duckdb

from gog.pipelines.connect.services import images_for
from gog.pipelines.export.ahead import AT_ONCE, fetched, with_pictures
from gog.pipelines.export.formats import FORMATS
from gog.pipelines.export.formats.export_format import DATA
from gog.pipelines.export.place import hand_in, stage_of
from gog.pipelines.export.readings import Readings, RlReadings, policy_of
from gog.pipelines.export.request import SourceRun
from gog.pipelines.export.splits import FileFacts, Written
from gog.pipelines.export.write import OnReject, check_after, open_files, write_here
from gog.pipelines.lake.lake import Lake, LakeError, write_atomic
from gog.pipelines.steps.context import Context
from gog.schemas import Reject, Split
from gog.schemas.rows import from_row, to_row
from gog.transforms.beam.export import Row, WriteSplits
from gog.transforms.export.rows import Reading
from gog.transforms.object_path import ObjectPath
from gog.transforms.place import is_remote, remove_folder


def write_on_engine(
    context: Context,
    run: SourceRun,
    readings: Readings,
    connection: duckdb.DuckDBPyConnection,
    final: Path,
    folder: Path,
    on_reject: OnReject,
) -> Written:
    """Write an export's files by a job, or here where there is one a split, or where its format has other files."""
    if isinstance(readings, RlReadings):
        readings = replace(readings, policy=policy_of(connection, readings.policy))
    entered = readings.count(connection)
    if entered <= readings.settings.rows_per_file or not FORMATS[readings.target.format].own_columns:
        return write_here(run, readings, connection, final, folder, on_reject)
    stage = stage_of(final, folder)
    try:
        run_job(context, readings, stage)
        return _gather(readings, stage, entered, folder, on_reject)
    except BaseException:
        remove_folder(stage)
        raise


def run_job(context: Context, readings: Readings, stage: Path) -> None:
    """Run the job that writes an export's files to a stage."""
    shards = context.shards_of("label" if readings.kind == "rl" else "curate")
    job, step = _Job(readings, str(context.lake.root), context.run, stage), f"export_{readings.kind}"
    pipeline = context.pipeline()
    context.begin(pipeline, step, shards) | "Export" >> WriteSplits(
        readings.row, readings.stage, job.read, job.leave, job.write, readings.settings.rows_per_file
    )
    context.finish(pipeline, step)


@dataclass(frozen=True, slots=True)
class _Job:
    """What workers do."""

    readings: Readings
    root: str
    run: str
    stage: Path

    def read(self, shard: int) -> Iterator[Reading]:
        """What becomes of what a shard has for the export."""
        found = self.readings.of_shard(Lake(self.root, create=False), self.run, shard)
        return with_pictures(found, images_for(self.root).has, self._at_once)

    def leave(self, shard: int, entered: int, rejects: Sequence[Reject]) -> None:
        """Keep what the job has no rows of."""
        told = {"entered": entered, "rejects": [to_row(reject) for reject in rejects]}
        write_atomic(self.stage / "shards" / f"{shard:05d}.json", json.dumps(told).encode())

    def write(self, split: Split, number: int, of: int, rows: Iterator[Row]) -> None:
        """Write a file. Raises `LakeError`."""
        images, before = images_for(self.root), ""
        is_there = partial(fetched, images) if self._at_once else images.has
        with tempfile.TemporaryDirectory(prefix="gog-export-") as scratch:
            files = open_files(self.readings, Path(scratch))
            for name, row in with_pictures(((row.id, row) for row in rows), is_there, self._at_once):
                check_after(name, before)
                before = name
                if isinstance(row, Reject):
                    raise LakeError(f"{row.detail} any more: see that nothing else writes to the lake, and run again")
                files.add(row, images)
            written = files.close()
            (file,) = written.files[split]
            name = f"{DATA}/{split}-{number:05d}-of-{of:05d}.parquet"
            hand_in(Path(scratch) / file.name, self.stage / "export" / name)
        told = {"of": of, "rows": written.rows[split], "levels": written.levels[split]}
        facts = told | file._replace(name=name)._asdict()
        write_atomic(self.stage / "files" / f"{split}-{number:05d}.json", json.dumps(facts).encode())

    @property
    def _at_once(self) -> int:
        return AT_ONCE if is_remote(self.root) else 0


def _gather(readings: Readings, stage: Path, entered: int, folder: Path, on_reject: OnReject) -> Written:
    """What the workers wrote, and the rejects by id. Raises `LakeError` where anything of it is missing."""
    read = [json.loads(path.read_bytes()) for path in (stage / "shards").glob("*.json")]
    rejects = sorted((from_row(Reject, row) for told in read for row in told["rejects"]), key=attrgetter("id"))
    files = open_files(readings, folder)
    before = ""
    for reject in rejects:
        check_after(reject.id, before)
        before = reject.id
        files.reject(reject)
        on_reject(reject)
    rejected = files.close().rejected
    written: dict[Split, list[dict[str, Any]]] = {}
    for split in Split:
        told = [json.loads(path.read_bytes()) for path in sorted((stage / "files").glob(f"{split}-*.json"))]
        written[split] = told
        if any(file["of"] != len(told) for file in told):
            raise LakeError(f"the engine has not written all files of {split}: run again")
    rows = {split: sum(file["rows"] for file in told) for split, told in written.items()}
    if not entered == sum(told["entered"] for told in read) == sum(rows.values()) + len(rejects):
        raise LakeError(
            f"rows were lost: {entered:,} entered, {sum(rows.values()):,} were written and {len(rejects):,} rejected; "
            "run again"
        )
    levels = {split: sum((Counter(file["levels"]) for file in told), Counter()) for split, told in written.items()}
    facts = {
        split: [FileFacts(file["name"], file["bytes"], file["sha256"]) for file in told]
        for split, told in written.items()
    }
    made = stage / "export"
    if isinstance(made, ObjectPath):
        for name in ("shards", "files"):
            remove_folder(stage / name)
        return Written(rows, levels, facts, rejected, made / DATA, made)
    if sum(rows.values()):
        (made / DATA).rename(folder / DATA)
    return Written(rows, levels, facts, rejected, folder / DATA)
