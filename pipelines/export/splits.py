"""The files of an export's splits, in whatever format: rows go in, and come to lie where the trainer looks for them."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from gog.pipelines.export.formats import FORMATS
from gog.pipelines.export.formats.export_format import DATA, Pictures, SplitPlace, Writer, own_parquet
from gog.pipelines.export.parquet import SplitWriter
from gog.schemas import Reject, Split
from gog.transforms.export.rows import RlRow, SftRow
from gog.transforms.export.target import Target
from gog.transforms.image_store import ImageStore
from gog.transforms.services.models.chat.settings import ModelSettings

REJECTS: Final = "rejects.jsonl"
IMAGES_FOLDER: Final = "images"


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
        family = ModelSettings(family=target.backbone.name) if target.backbone else ModelSettings()
        pictures = Pictures(folder / IMAGES_FOLDER, family)
        place = SplitPlace(folder, Split.TRAIN, row, rows_per_file, pictures)
        form, rows, index = FORMATS[target.format], folder, {}
        if not form.own_columns:
            rows = folder / ".spill" / "rows"
            index = {split: own_parquet(replace(place, folder=rows, split=split)) for split in Split}
        open_split = form.writers["sft" if row is SftRow else "rl"]
        writers = {split: open_split(replace(place, split=split)) for split in Split}
        return cls(folder, rows / DATA, writers, index, keeps_rejects=target.backbone is not None)

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
