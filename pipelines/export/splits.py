"""The files of an export's splits, in whatever format: rows go in, and come to lie where the trainer looks for them."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from gog.pipelines.export.formats import FORMATS
from gog.pipelines.export.formats.export_format import DATA, Pictures, SplitPlace, Writer, own_parquet
from gog.pipelines.export.parquet import SplitWriter
from gog.pipelines.export.place import SPILL
from gog.schemas import Reject, Split
from gog.transforms.export.rows import RlRow, SftRow
from gog.transforms.export.target import Target
from gog.transforms.image_store import ImageStore
from gog.transforms.services.models.chat.settings import ModelSettings

REJECTS: Final = "rejects.jsonl"
IMAGES_FOLDER: Final = "images"


class FileFacts(NamedTuple):
    """A file of an export, as its manifest lists it: its name below the export, its size and its hash."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path, folder: Path) -> Self:
        """Of a file that lies below a folder."""
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(path.relative_to(folder).as_posix(), path.stat().st_size, found)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written of an export: its splits' files, and what stayed out by reason."""

    rows: Mapping[Split, int]
    levels: Mapping[Split, Mapping[str, int]]
    files: Mapping[Split, Sequence[FileFacts]]
    rejected: Mapping[str, int]
    table: Path
    """Where the columns of its rows stand in Parquet, for counting."""
    staged: Path | None = None
    """Where on an object store its files lie, if not in the folder in which it is made."""

    @property
    def passed(self) -> int:
        """Rows of all splits."""
        return sum(self.rows.values())

    @property
    def entered(self) -> int:
        """Those, and what stayed out."""
        return self.passed + sum(self.rejected.values())


@dataclass(slots=True)
class SplitFiles:
    """The splits of an export on their way, in one folder. `table` is as in `Written`."""

    folder: Path
    table: Path
    writers: Mapping[Split, Writer]
    index: Mapping[Split, SplitWriter]
    """Writes the columns without the images where the format's own files have others."""
    levels: dict[Split, Counter[str]] = field(default_factory=lambda: {split: Counter() for split in Split})
    rejects: list[str] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    keeps_rejects: bool = False

    @classmethod
    def open(cls, target: Target, row: type[SftRow] | type[RlRow], folder: Path, rows_per_file: int) -> Self:
        """Begin the files of an export in `folder`."""
        family = ModelSettings(family=target.backbone.name) if target.backbone else ModelSettings()
        pictures = Pictures(folder / IMAGES_FOLDER, family)
        place = SplitPlace(folder, Split.TRAIN, row, rows_per_file, pictures)
        form, rows, index = FORMATS[target.format], folder, {}
        if not form.own_columns:
            rows = folder / SPILL / "rows"
            index = {split: own_parquet(replace(place, folder=rows, split=split)) for split in Split}
        open_split = form.writers["sft" if row is SftRow else "rl"]
        writers = {split: open_split(replace(place, split=split)) for split in Split}
        return cls(folder, rows / DATA, writers, index, keeps_rejects=target.backbone is not None)

    def add(self, row: SftRow | RlRow, images: ImageStore) -> None:
        """Write a row to its split."""
        self.writers[row.split].add(row, images)
        if self.index:
            self.index[row.split].add(row, None)
        if isinstance(row, RlRow):
            self.levels[row.split][str(row.level)] += 1

    def reject(self, reject: Reject) -> None:
        """Count what stays out. A trainer's export keeps it; the engine's own has it in the run's tables."""
        self.rejected[reject.reason] += 1
        if self.keeps_rejects:
            self.rejects.append(json.dumps(_told(reject), ensure_ascii=False) + "\n")

    def close(self) -> Written:
        """End all files."""
        files = {split: writer.close() for split, writer in self.writers.items()}
        for writer in self.index.values():
            writer.close()
        if self.keeps_rejects:
            (self.folder / REJECTS).write_text("".join(self.rejects), "utf-8")
        return Written(
            {split: writer.rows for split, writer in self.writers.items()},
            self.levels,
            {split: [FileFacts.of(path, self.folder) for path in paths] for split, paths in files.items()},
            self.rejected,
            self.table,
        )


def _told(reject: Reject) -> dict[str, Any]:
    return reject.model_dump(mode="json", include={"id", "seed_id", "reason", "detail"})
