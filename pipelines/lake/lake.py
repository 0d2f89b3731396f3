"""The lake: a folder with images by content, and runs with their manifest and tables.

    LAKE/lake.json                         version of the layout
    LAKE/images/ab/abcd....jpg|png|webp      images/.passing/: those being written
    LAKE/store/
    LAKE/runs/RUN/manifest.json, lock, TABLE/part-STEP-00000.parquet, ...

Files are written under another name and renamed, so that they are whole or not there. Everything that goes wrong on
the disk is a `LakeError` of one line.
"""

import errno
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from gog.pipelines.lake.atomic import to_disk
from gog.schemas import SCHEMA_VERSION, TABLES
from gog.schemas.base import Row
from gog.schemas.rows import from_row, to_row
from gog.transforms.beam.encode import encode_part, part_name
from gog.transforms.images import sha256_hex

R = TypeVar("R", bound=Row)

SUFFIXES: Final = ("jpg", "png", "webp")
_RUN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY: Final = {errno.EROFS, errno.EACCES, errno.EPERM}
_NO_FOLDER: Final = {errno.ENOTDIR, errno.EEXIST}
ABANDONED_S: Final = 3600.0
"""A passing file that is older was left by a process that was killed; none takes a minute to write."""


class LakeError(Exception):
    """The lake cannot be used as asked; the message is one line that says what to do."""


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
    state: Literal["running", "done", "stopped", "failed"] = "running"
    """`stopped`: at a ceiling of the budget; it can go on."""
    detail: str = ""
    shards: dict[int, ShardState] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    spend: dict[str, float] = Field(default_factory=dict)


STATES_SHOWN: Final = {"live": "at work now", "unfinished": "not finished", "stopped": "stopped at a ceiling"}
"""States of a run on a page; the others are their own word."""


class ImageFiles:
    """Images by content in a folder: `ab/abcd....jpg`. An `ImageStore`; safe in threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.passing = folder / ".passing"
        """Where files are written before they get their names: one place to look for what a kill left behind."""

    def path(self, sha256: str) -> Path:
        """The image's file; `KeyError` when there is none."""
        if _SHA256.fullmatch(sha256):
            for suffix in SUFFIXES:
                path = self._place(sha256, suffix)
                if path.is_file():
                    return path
        raise KeyError(sha256)

    def read(self, sha256: str) -> bytes:
        """The bytes; `KeyError` when there are none, `LakeError` when they are not those that were put."""
        path = self.path(sha256)
        with _disk(path, "read"):
            data = path.read_bytes()
        if sha256_hex(data) != sha256:
            raise LakeError(f"{path} is damaged: its content has another sha256; remove the file and run again")
        return data

    def has(self, sha256: str) -> bool:
        """Whether the image is there."""
        try:
            self.path(sha256)
        except KeyError:
            return False
        return True

    def put(self, data: bytes, suffix: str) -> str:
        """Keep the bytes, once; returns their sha256."""
        if suffix not in SUFFIXES:
            raise ValueError(f"an image is one of {', '.join(SUFFIXES)}, not {suffix!r}")
        sha256 = sha256_hex(data)
        path = self._place(sha256, suffix)
        try:
            if path.stat().st_size == len(data):  # a shorter one was cut off when the machine went down
                return sha256
        except OSError:
            pass
        write_atomic(path, data, sync=False, passing=self.passing)
        return sha256

    def _place(self, sha256: str, suffix: str) -> Path:
        return self._folder / sha256[:2] / f"{sha256}.{suffix}"


class Lake:
    """A lake at a folder. Opening makes the folder and `lake.json` where they are missing."""

    def __init__(self, root: Path, *, create: bool = True) -> None:
        """Raises `LakeError` when it cannot be read or made, or was written by a newer version."""
        self.root = root
        self._check_version(create)
        self.images = ImageFiles(root / "images")

    def _check_version(self, create: bool) -> None:
        path = self.root / "lake.json"
        with _disk(self.root, "open"):
            text = path.read_text("utf-8", errors="replace") if path.exists() else None
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
        return self.root / "indexes"

    def run_folder(self, run: str) -> Path:
        """Folder of a run; `LakeError` on a name that is none."""
        if not _RUN_NAME.fullmatch(run):
            raise LakeError(
                f"{run[:100]!r} is no name for a run: letters, digits, dot, dash and underscore, at most 64 of them"
            )
        return self.root / "runs" / run

    def runs(self) -> list[str]:
        """Names of the runs that have a manifest, sorted."""
        return sorted(path.parent.name for path in (self.root / "runs").glob("*/manifest.json"))

    def lock(self, run: str) -> "RunLock":
        """The lock to hold, as a context, while writing to a run."""
        return RunLock(self.run_folder(run), (self.images.passing.glob("*"), self.indexes.glob(".*")))

    def read_manifest(self, run: str) -> Manifest | None:
        """The run's manifest; None when there is no such run."""
        path = self.run_folder(run) / "manifest.json"
        try:
            with _disk(path, "read"):
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
        """What its run is at: live, done, stopped (at a ceiling), unfinished (killed or stopped by hand), failed."""
        if _locked(self.run_folder(manifest.run) / "lock"):
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

    def parts(self, run: str, table: str, step: str = "*") -> list[Path]:
        """The table's part files, those of one step or of all, in the order of steps' names and shards."""
        found = self.table_folder(run, table).glob(f"part-{step}-*.parquet")
        return sorted(found, key=lambda path: (len(path.name), path.name))

    def read_rows(self, run: str, table: str, step: str = "*", shard: int | None = None) -> Iterator[dict[str, Any]]:
        """Flat rows of a table, or of one step's shard of it, part by part; nothing where there is no part."""
        paths = self.parts(run, table, step) if shard is None else [self.part_path(run, table, step, shard)]
        for path in paths:
            if path.exists():
                yield from _part_rows(path)

    def read_table(
        self, run: str, table: str, record: type[R], step: str = "*", shard: int | None = None
    ) -> Iterator[R]:
        """Records of a table, or of one step's shard of it. `SchemaError` on a row that does not fit."""
        if TABLES.get(table) is not record:
            raise TypeError(f"the table {table} does not hold {record.__name__}")
        for row in self.read_rows(run, table, step, shard):
            yield from_row(record, row)


def write_part(path: Path, table: str, records: Iterable[Row]) -> int:
    """Write a part file of a table (see `encode_part`); returns the number of its rows."""
    rows = [to_row(record) for record in records]
    write_atomic(path, encode_part(table, rows))
    return len(rows)


def _part_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise LakeError(f"{path} is damaged or cannot be read: {_one_line(error)}") from error
    with file:
        version = (file.schema_arrow.metadata or {}).get(b"gog.schema_version", b"")
        if not version.isdigit() or int(version) > SCHEMA_VERSION:
            raise LakeError(f"{path} is of schema version {version.decode()!r}, unknown here: upgrade glance-or-gaze")
        for batch in file.iter_batches(batch_size=1000):
            yield from batch.to_pylist()


class RunLock:
    """One writer a run: a lock on a file that the system gives back when the process ends, however it ends."""

    def __init__(self, folder: Path, shared: Iterable[Iterable[Path]] = ()) -> None:
        """`shared` are passing files and folders that other runs may be writing as well."""
        self._path = folder / "lock"
        self._shared = shared
        self._file: int | None = None

    def __enter__(self) -> "RunLock":
        """Take the lock, and clear away what a killed writer left half written. `LakeError` when it is taken."""
        import fcntl  # not on Windows, where only this fails

        with _disk(self._path, "lock"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            with _disk(self._path, "lock"):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(file, 0)
                os.pwrite(file, json.dumps({"pid": os.getpid(), "host": os.uname().nodename}).encode(), 0)
        except LakeError as error:
            holder = os.pread(file, 1000, 0).decode("utf-8", "replace")
            os.close(file)
            if isinstance(error.__cause__, BlockingIOError):
                raise LakeError(
                    f"the run {self._path.parent.name!r} is being written by another process ({_holder(holder)}): "
                    "wait for it to end, or give this run another name"
                ) from error
            raise
        except BaseException:
            os.close(file)
            raise
        self._file = file
        self._clear()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)  # the file stays: removing it would let two writers lock two files of one name
            self._file = None

    def _clear(self) -> None:
        for path in self._path.parent.rglob("*.tmp"):
            path.unlink(missing_ok=True)
        for path in chain.from_iterable(self._shared):
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - ABANDONED_S:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _locked(path: Path) -> bool:
    """Whether a process writes to the run."""
    import fcntl  # not on Windows, where only this fails

    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {int(holder['pid'])} on {str(holder['host'])[:100]}"
    except (ValueError, KeyError, TypeError):
        return "process unknown"


def write_atomic(path: Path, data: bytes, *, sync: bool = True, passing: Path | None = None) -> None:
    """Write a file under another name, in the folder `passing` where one is given, and rename it.

    With `sync` it outlives a power cut. Raises `LakeError`.
    """
    fresh = (passing or path.parent) / f".{path.name}.{secrets.token_hex(6)}.tmp"
    with _disk(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.parent.mkdir(exist_ok=True)
        try:
            with fresh.open("xb") as file:
                file.write(data)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        if sync:
            to_disk(path.parent)


@contextmanager
def _disk(path: Path, verb: str) -> Iterator[None]:
    """Errors of the disk as one line that says what to do."""
    try:
        yield
    except OSError as error:
        raise LakeError(f"cannot {verb} {path}: {disk_advice(error) or error.strerror or _one_line(error)}") from error


def disk_advice(error: OSError) -> str:
    """What to do about an error that is the disk's; empty for any other."""
    if error.errno in _FULL:
        return "the disk is full: make room and run again; what was finished is kept"
    if error.errno in _READ_ONLY:
        return "it is read-only or belongs to someone else: change that, or use another --lake"
    if error.errno in _NO_FOLDER:
        return "a file is in the place of a folder: use another --lake"
    return ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
