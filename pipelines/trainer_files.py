"""The files of an export's splits, in whatever format: rows go in, and come to lie where the trainer looks for them."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

from gog.pipelines.split_files import SplitWriter, export_schema
from gog.schemas import Reject, Split
from gog.transforms.export import RlRow, SftRow
from gog.transforms.exports.target import Format, Target
from gog.transforms.services.protocols import ImageStore

REJECTS: Final = "rejects.jsonl"


class Writer(Protocol):
    """Writes one split."""

    rows: int

    def add(self, row: SftRow | RlRow, images: ImageStore) -> None:
        """Write a row with its images."""

    def close(self) -> list[Path]:
        """End; returns the files."""


@dataclass(slots=True)
class SplitFiles:
    """The splits of an export on their way. `table` is where their columns stand in Parquet, for counting."""

    folder: Path
    table: Path
    writers: Mapping[Split, Writer]
    index: Mapping[Split, SplitWriter]
    """Writes the columns without the images where the format's own files have others."""
    files: dict[Split, list[Path]] = field(default_factory=dict)
    levels: dict[Split, Counter[str]] = field(default_factory=lambda: {split: Counter() for split in Split})
    rejects: list[str] = field(default_factory=list)
    keeps_rejects: bool = False

    @classmethod
    def open(cls, target: Target, row: type[SftRow] | type[RlRow], folder: Path, rows_per_file: int) -> Self:
        """Begin the files of an export in `folder`."""
        schema = export_schema(row)
        if target.format in (Format.PARQUET, Format.TRL):
            made = {split: SplitWriter(folder, split.value, schema, rows_per_file) for split in Split}
            return cls(folder, folder, made, {}, keeps_rejects=target.backbone is not None)
        raise NotImplementedError

    @property
    def rows(self) -> dict[Split, int]:
        """Rows written so far."""
        return {split: writer.rows for split, writer in self.writers.items()}

    def add(self, row: SftRow | RlRow, images: ImageStore) -> None:
        """Write a row to its split."""
        self.writers[row.split].add(row, images)
        if self.index:
            self.index[row.split].add(row, None)
        if isinstance(row, RlRow):
            self.levels[row.split][str(row.level)] += 1

    def reject(self, reject: Reject) -> None:
        """Note what cannot go into a trainer's export; the engine's own has its rejects in the run's tables."""
        if self.keeps_rejects:
            self.rejects.append(json.dumps(_told(reject), ensure_ascii=False) + "\n")

    def close(self) -> None:
        """End all files."""
        self.files = {split: writer.close() for split, writer in self.writers.items()}
        for writer in self.index.values():
            writer.close()
        if self.keeps_rejects:
            (self.folder / REJECTS).write_text("".join(self.rejects), "utf-8")


def _told(reject: Reject) -> dict[str, Any]:
    return reject.model_dump(mode="json", include={"id", "seed_id", "reason", "detail"})
