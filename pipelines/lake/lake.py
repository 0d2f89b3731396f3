"""The lake: images by content, and runs with their manifest and tables, in a folder or on an object store.

    LAKE/lake.json                         version of the layout
    LAKE/images/ab/abcd....jpg|png|webp      images/.passing/: those being written
    LAKE/store/
    LAKE/runs/RUN/manifest.json, lock, TABLE/part-STEP-00000.parquet, ...

Files are written under another name and renamed, objects as they are: they are whole or not there. Everything that goes
wrong there is a `LakeError` of one line. What has to be files of this machine (indexes, copies of sources, logs) lies
in `Lake.local`: the folder itself, or one of the user's cache.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from gog.pipelines.lake.disk import LakeError, disk_errors, write_atomic
from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.lake.image_objects import ImageObjects
from gog.pipelines.lake.lease import is_leased, run_lease
from gog.pipelines.lake.lock import is_locked, run_lock
from gog.pipelines.lake.one_line import one_line
from gog.schemas import SCHEMA_VERSION, TABLES
from gog.schemas.base import Row
from gog.schemas.rows import from_row, to_row
from gog.transforms.object_path import ObjectPath
from gog.transforms.part_file import encode_part, part_name
from gog.transforms.place import local_folder, place

__all__ = [
    "STATES_SHOWN",
    "STEP_TABLES",
    "Lake",
    "LakeError",
    "Manifest",
    "ShardState",
    "is_lake",
    "open_part",
    "part_rows",
    "write_atomic",
    "write_part",
]

R = TypeVar("R", bound=Row)

_RUN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

STEP_TABLES: Final[dict[str, tuple[str, ...]]] = {
    "ingest": ("seeds", "rejects", "funnel"),
    "synthesize": ("screenings", "regions", "evidence", "trajectories", "verdicts", "rejects", "funnel"),
    "curate": ("groups", "curated", "rejects", "funnel"),
    "export_sft": ("rejects", "funnel"),
    "label": ("complexity", "rejects", "funnel"),
    "export_rl": ("rejects", "funnel"),
}
"""Tables that each step writes. A step has done a shard when all its parts of the shard are there."""


class ShardState(BaseModel):
    """A shard of a run: where its rows are, and what came of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: dict[str, JsonValue]
    """Where its rows are in the source."""
    done: tuple[str, ...] = ()
    """Steps that are finished and never done again."""
    counts: dict[str, int] = Field(default_factory=dict)


class Manifest(BaseModel):
    """What a run is and how far it came. Kept apart from the records: its spend differs from run to run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    run: str
    fingerprint: str
    config: dict[str, JsonValue] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    plugins: dict[str, str] = Field(default_factory=dict)
    """What the run takes from other distributions: `tool measure` from `gog-example 0.1.0`."""
    state: Literal["running", "done", "stopped", "failed"] = "running"
    """`stopped`: at a ceiling of the budget, or by an ill judge; it can go on."""
    detail: str = ""
    shards: dict[int, ShardState] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    spend: dict[str, float] = Field(default_factory=dict)


STATES_SHOWN: Final = {"live": "at work now", "unfinished": "not finished", "stopped": "stopped before its end"}
"""States of a run on a page; the others are their own word."""


class Lake:
    """A lake. Opening makes it, with `lake.json`, where it is missing."""

    def __init__(self, root: Path | str, *, create: bool = True) -> None:
        """Raises `LakeError` when it cannot be read or made, or was written by a newer version, and `AddressError`."""
        self.root = place(root) if isinstance(root, str) else root
        self.local = local_folder(str(root))
        self._check_version(create)
        self.images = images_at(str(root))

    def _check_version(self, create: bool) -> None:
        path = self.root / "lake.json"
        with disk_errors(self.root, "open"):
            try:
                text = path.read_text("utf-8", errors="replace")
            except FileNotFoundError:
                text = None
        if text is None:
            if not create:
                raise LakeError(f"there is no lake at {self.root}; name one with --lake, or make one with `gog run`")
            write_atomic(path, json.dumps({"schema_version": SCHEMA_VERSION}).encode() + b"\n")
            return
        try:
            version = json.loads(text)["schema_version"]
        except (ValueError, KeyError, TypeError, RecursionError):
            version = None
        if not isinstance(version, int):
            raise LakeError(f"{path} is damaged: it does not name a schema version")
        if version > SCHEMA_VERSION:
            raise LakeError(
                f"the lake {self.root} has schema version {version}, newer than this engine's {SCHEMA_VERSION}: "
                "upgrade glance-or-gaze, or use another --lake"
            )

    @property
    def indexes(self) -> Path:
        """Where the search indexes of the bundled world are built."""
        return self.local / "indexes"

    def run_folder(self, run: str) -> Path:
        """Where a run is; `LakeError` on a name that is none."""
        if not _RUN_NAME.fullmatch(run):
            raise LakeError(
                f"{run[:100]!r} is no name for a run: letters, digits, dot, dash and underscore, at most 64 of them"
            )
        return self.root / "runs" / run

    def runs(self) -> list[str]:
        """Names of the runs that have a manifest, sorted."""
        return sorted(path.parent.name for path in (self.root / "runs").glob("*/manifest.json"))

    def lock(self, run: str) -> AbstractContextManager[None]:
        """The lock to hold, as a context, while writing to a run."""
        folder = self.run_folder(run)
        kept = [self.local / "sources", self.local / "fetched"]
        passing = [folder.rglob(pattern) for folder in kept for pattern in (".*.tmp", ".passing-*")]
        shared = self.images.passing.glob("*"), self.indexes.glob(".*"), *passing
        return run_lease(folder, shared) if isinstance(folder, ObjectPath) else run_lock(folder, shared)

    def read_manifest(self, run: str) -> Manifest | None:
        """The run's manifest; None when there is no such run."""
        path = self.run_folder(run) / "manifest.json"
        try:
            with disk_errors(path, "read"):
                text = path.read_bytes()
        except LakeError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        try:
            manifest = Manifest.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise LakeError(f"{path} is damaged or of another version: {where}: {first['msg']}") from error
        if manifest.schema_version > SCHEMA_VERSION:
            raise LakeError(f"{path} was written by a newer version: upgrade glance-or-gaze")
        return manifest

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the run's manifest, durably."""
        text = json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        write_atomic(self.run_folder(manifest.run) / "manifest.json", text.encode())

    def state(self, manifest: Manifest) -> str:
        """What its run is at: live, done, stopped (ceiling, ill judge), unfinished (killed or by hand), failed."""
        lock = self.run_folder(manifest.run) / "lock"
        if is_leased(lock) if isinstance(lock, ObjectPath) else is_locked(lock):
            return "live"
        return "unfinished" if manifest.state == "running" else manifest.state

    def part_path(self, run: str, table: str, step: str, shard: int) -> Path:
        """File of what a step wrote of a shard of a table."""
        return self.table_folder(run, table) / part_name(step, shard)

    def table_folder(self, run: str, table: str) -> Path:
        """Folder of a table's parts."""
        if table not in TABLES:
            raise LakeError(f"{table[:100]!r} is no table: {', '.join(TABLES)}")
        return self.run_folder(run) / table

    def pictures_path(self, run: str, shard: int) -> Path:
        """File of the pictures that a shard was the first to show, by which a run that goes on compares later ones."""
        return self.run_folder(run) / "pictures" / f"ingest-{shard:05d}.jsonl"

    def begun_path(self, run: str, step: str) -> Path:
        """File that says that a worker of an engine has begun a step."""
        return self.run_folder(run) / f".begun-{step}"

    def parts(self, run: str, table: str, step: str = "*") -> list[Path]:
        """The table's part files, those of one step or of all, in the order of steps' names and shards."""
        paths = self.table_folder(run, table).glob(f"part-{step}-*.parquet")
        return sorted(paths, key=lambda path: (len(path.name), path.name))

    def done(self, run: str, step: str) -> set[int]:
        """Shards that a step has finished: all its parts of them are there."""
        shards = ({int(path.stem.rsplit("-", 1)[1]) for path in self.parts(run, t, step)} for t in STEP_TABLES[step])
        return set.intersection(*shards)

    def read_rows(self, run: str, table: str, step: str = "*", shard: int | None = None) -> Iterator[dict[str, Any]]:
        """Flat rows of a table, or of one step's shard of it, part by part; nothing where there is no part."""
        paths = self.parts(run, table, step) if shard is None else [self.part_path(run, table, step, shard)]
        for path in paths:
            yield from part_rows(path)

    def read_table(
        self, run: str, table: str, record: type[R], step: str = "*", shard: int | None = None
    ) -> Iterator[R]:
        """Records of a table, or of one step's shard of it. `SchemaError` on a row that does not fit."""
        if TABLES.get(table) is not record:
            raise TypeError(f"the table {table} does not hold {record.__name__}")
        for row in self.read_rows(run, table, step, shard):
            yield from_row(record, row)


def images_at(root: str) -> ImageFiles | ImageObjects:
    """The pictures of the lake at an address, which need not be there yet. Raises `AddressError`."""
    folder = place(root) / "images"
    return ImageObjects(folder, local_folder(root) / "images") if isinstance(folder, ObjectPath) else ImageFiles(folder)


def is_lake(root: str) -> bool:
    """Whether a lake is there. Raises `LakeError` where that cannot be told, and `AddressError`."""
    path = place(root) / "lake.json"
    with disk_errors(path, "open"):
        return path.exists()


def write_part(path: Path, table: str, records: Iterable[Row]) -> int:
    """Write a part file of a table (see `encode_part`); returns the number of its rows."""
    rows = [to_row(record) for record in records]
    write_atomic(path, encode_part(table, rows))
    return len(rows)


def part_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Flat rows of a part file; none where there is no file. Raises `LakeError` on a damaged one."""
    with open_part(path) as file:
        if file is None:
            return
        version = (file.schema_arrow.metadata or {}).get(b"gog.schema_version", b"")
        if not version.isdigit() or int(version) > SCHEMA_VERSION:
            raise LakeError(f"{path} is of schema version {version.decode()!r}, unknown here: upgrade glance-or-gaze")
        for batch in file.iter_batches(batch_size=1000):
            yield from batch.to_pylist()


@contextmanager
def open_part(path: Path) -> Iterator[pq.ParquetFile | None]:
    """A part file; None where there is none. Raises `LakeError` on a damaged one."""
    try:
        file = pq.ParquetFile(pa.BufferReader(path.read_bytes()) if isinstance(path, ObjectPath) else path)
    except FileNotFoundError:
        yield None
        return
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        why = one_line(error, 300).removeprefix(f"{path}: ")
        raise LakeError(f"{path} is damaged or cannot be read: {why}") from error
    with file:
        yield file
