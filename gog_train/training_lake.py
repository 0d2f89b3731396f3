"""What a training can be watched by: a lake in `OUTPUT/rollouts`, whose run `training` has the rollouts of the last
steps and the curves of all.

    OUTPUT/rollouts/runs/training/trajectories/part-train-00012.parquet   of step 12; so too verdicts and evidence
    OUTPUT/rollouts/runs/training/seeds/part-train-00000.parquet          of all steps that are kept
    OUTPUT/rollouts/runs/training/curves.jsonl                            a line a log: {"step", "time", "values"}

The process that holds the run's lock writes rows and curves; each puts pictures. A disk that takes nothing more never
stops the training.
"""

import fcntl
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from gog.schemas import SCHEMA_VERSION, Row, Seed
from gog.schemas.rows import SchemaError, from_row, to_row
from gog.transforms.image_store import ImageStore
from gog.transforms.images import image_suffix
from gog.transforms.place import write_whole
from gog_train.checkpoints import versions

RUN: Final = "training"
STEP: Final = "train"
"""Name of the step of the run, as its parts have it; the shard is the number of the step of the training."""
TABLES: Final = ("evidence", "verdicts", "trajectories")
"""Tables with a part a step, in the order in which they are written."""

_NAMES: Final = {"trajectories": ("seed_id", "images"), "evidence": ("image_sha256", "hits", "pictures")}
"""Columns that name seeds and pictures."""
_SHA256: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(slots=True)
class _Step:
    """What the rows of a step name."""

    pictures: set[str] = field(default_factory=set)
    seeds: set[str] = field(default_factory=set)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            for name, value in row.items():
                if name == "seed_id":
                    self.seeds.add(value)
                elif value:
                    self.pictures.update(_SHA256.findall(value))


class TrainingLake:
    """The lake of a training."""

    def __init__(self, output: Path, keep: int | None, say: Callable[[str], None]) -> None:
        """`keep` steps keep their rollouts, None: all. Nothing is opened."""
        self.root = output / "rollouts"
        self.run = self.root / "runs" / RUN
        self.keep, self._say = keep, say
        self._steps: dict[int, _Step] = {}
        self._seeds: dict[str, Seed] = {}
        self._curve: tuple[int, int, dict[str, float]] = (-1, 0, {})
        """Step, place in the file and values of the last line."""
        self._fingerprint, self._lock = "", -1
        self._told = False

    def begin(self, step: int, fingerprint: str) -> None:
        """Go on behind a step, 0 at the start: what later steps and a kill have left is gone. Holds the run's lock.

        No process of the training has put a picture yet.
        """
        self._fingerprint = fingerprint
        with self._on_disk():
            self.run.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.run / "lock")
            write_whole(self.root / "lake.json", json.dumps({"schema_version": SCHEMA_VERSION}).encode() + b"\n")
            self._state("running")
            self._cut_curves(step)
            self._load()
            self._forget([later for later in self._steps if later > step])
            self._clear()
            self._write_seeds()

    def end(self, state: Literal["done", "stopped", "failed"], detail: str = "") -> None:
        """Say how the training ended, and give the lock back."""
        with self._on_disk():
            if self._lock >= 0:
                self._state(state, detail)
                os.close(self._lock)
                self._lock = -1

    def put(self, images: ImageStore, names: Iterable[str]) -> None:
        """Keep those pictures that the store has."""
        folder = self.root / "images"
        with self._on_disk():
            for name in sorted(set(names)):
                if images.has(name) and not any((folder / name[:2]).glob(f"{name}.*")):
                    data = images.read(name)
                    path = folder / name[:2] / f"{name}.{image_suffix(data)}"
                    write_whole(path, data, sync=False, within=folder / ".passing")

    def write(self, step: int, seeds: Iterable[Seed], tables: Mapping[str, Sequence[Row]]) -> None:
        """Write the rows of a step by table, with their seeds, and remove those of steps that are too old."""
        from gog.transforms.part_file import encode_part

        if self._lock < 0:
            return
        rows = {table: [to_row(record) for record in tables[table]] for table in TABLES}
        named = _Step()
        for table, columns in _NAMES.items():
            named.add({name: row[name] for name in columns} for row in rows[table])
        with self._on_disk():
            self._steps[step] = named
            self._seeds |= {seed.seed_id: seed for seed in seeds}
            self._forget([old for old in self._steps if self.keep is not None and old <= step - self.keep])
            self._write_seeds()
            for table in TABLES:
                write_whole(self._part(table, step), encode_part(table, rows[table]))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add to the curves; what is said of the step of the last line joins it."""
        if self._lock < 0:
            return
        last, place, said = self._curve
        path = self.run / "curves.jsonl"
        with self._on_disk(), path.open("ab") as file:
            start = place if step == last else file.tell()
            merged = {**(said if step == last else {}), **{k: v for k, v in values.items() if math.isfinite(v)}}
            time = datetime.now(UTC).isoformat(timespec="seconds")
            line = json.dumps({"step": step, "time": time, "values": merged}).encode() + b"\n"
            file.truncate(start)
            try:
                file.write(line)
                file.flush()
            except OSError:
                file.truncate(start)
                raise
            self._curve = (step, start, merged)

    def _state(self, state: str, detail: str = "") -> None:
        """The manifest, as `gog.pipelines.lake` reads it."""
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "run": RUN,
            "fingerprint": self._fingerprint,
            "versions": versions(),
            "state": state,
            "detail": detail,
            "counts": {"steps": max(self._curve[0], max(self._steps, default=0), 0)},
        }
        text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        write_whole(self.run / "manifest.json", text.encode())

    def _cut_curves(self, step: int) -> None:
        """Leave the lines up to a step; one that a kill has cut off is none."""
        path, kept = self.run / "curves.jsonl", b""
        for line in path.read_bytes().splitlines() if path.exists() else ():
            try:
                said = json.loads(line)
                if said["step"] <= step:
                    self._curve = (said["step"], len(kept), said["values"])
                    kept += line + b"\n"
            except (ValueError, KeyError, TypeError):
                continue
        write_whole(path, kept)

    def _load(self) -> None:
        """What is kept of earlier processes; a damaged part is none."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._steps.clear()
        self._seeds.clear()
        for path in sorted(self.run.glob("*/part-*.parquet")):
            table, step = path.parent.name, int(path.stem.rpartition("-")[2])
            try:
                rows = pq.read_table(path, columns=list(_NAMES.get(table, ())) or None).to_pylist()
                if table == "seeds":
                    self._seeds = {row["seed_id"]: from_row(Seed, row) for row in rows}
                    continue
            except (pa.ArrowInvalid, SchemaError):
                path.unlink()
                continue
            self._steps.setdefault(step, _Step())
            if table in _NAMES:
                self._steps[step].add(rows)

    def _forget(self, steps: Sequence[int]) -> None:
        """Remove the rows of steps, and what they alone name."""
        gone = {step: self._steps.pop(step) for step in steps}
        for step in gone:
            for table in TABLES:
                self._part(table, step).unlink(missing_ok=True)
        named = {name for step in self._steps.values() for name in step.seeds}
        for seed_id in {name for step in gone.values() for name in step.seeds} - named:
            self._seeds.pop(seed_id, None)
        for name in {name for step in gone.values() for name in step.pictures} - self._shown():
            for path in (self.root / "images" / name[:2]).glob(f"{name}.*"):
                path.unlink(missing_ok=True)

    def _clear(self) -> None:
        """Remove what is half written, and pictures of a step that was never told. A review's passing files stay."""
        images, shown = self.root / "images", self._shown()
        passing = (path for path in (images / ".passing").glob("*.tmp") if _SHA256.match(path.name, 1))
        untold = (path for path in images.glob("[0-9a-f][0-9a-f]/*") if path.stem not in shown)
        for path in (*self.run.rglob("*.tmp"), *passing, *untold):
            path.unlink(missing_ok=True)

    def _shown(self) -> set[str]:
        return {name for step in self._steps.values() for name in step.pictures}

    def _write_seeds(self) -> None:
        from gog.transforms.part_file import encode_part

        if self._seeds:
            write_whole(self._part("seeds", 0), encode_part("seeds", map(to_row, self._seeds.values())))
        else:
            self._part("seeds", 0).unlink(missing_ok=True)

    def _part(self, table: str, step: int) -> Path:
        from gog.transforms.part_file import part_name

        return self.run / table / part_name(STEP, step)

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """What the disk refuses is said once."""
        try:
            yield
        except OSError as error:
            if not self._told:
                self._told = True
                why = error.strerror or type(error).__name__
                self._say(f"rollouts and curves cannot be written to {self.root} ({why}); the training goes on")


def _locked(path: Path) -> int:
    """The open file of the run's lock, which the system gives back when the process ends."""
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        raise
    with suppress(OSError):  # a full disk: it is held, and no more than its holder's name is missing
        os.ftruncate(number, 0)
        os.pwrite(number, json.dumps({"pid": os.getpid(), "host": os.uname().nodename}).encode(), 0)
    return number
