"""The files of an export's splits, in whatever format: rows go in, and come to lie where the trainer looks for them."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

import pyarrow as pa

from gog.pipelines.export.parquet import IMAGES, SplitWriter, export_schema, read_image, suffix_of, with_features
from gog.schemas import Reject, Split
from gog.transforms.episode.tools import BUILT_IN
from gog.transforms.export import llama_factory, ms_swift, verl
from gog.transforms.export.rows import RlRow, SftRow
from gog.transforms.export.target import Format, Target
from gog.transforms.export.text import in_json
from gog.transforms.images import ImageStore
from gog.transforms.services.models.chat.pictures import encode_picture
from gog.transforms.services.models.chat.settings import ModelSettings

REJECTS: Final = "rejects.jsonl"
IMAGES_FOLDER: Final = "images"


class Writer(Protocol):
    """Writes one split."""

    @property
    def rows(self) -> int:
        """Rows written so far."""

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
    def open(
        cls, target: Target, row: type[SftRow] | type[RlRow], folder: Path, rows_per_file: int, tools: Sequence[str]
    ) -> Self:
        """Begin the files of an export in `folder`; `tools` are the names of those of its episode."""
        schema = export_schema(row)
        if target.backbone is None or target.format is Format.TRL:
            made = {split: SplitWriter(folder, split.value, schema, rows_per_file) for split in Split}
            return cls(folder, folder, made, {}, keeps_rejects=target.backbone is not None)
        table = folder / ".spill" / "rows"
        table.mkdir(parents=True)
        index = {split: SplitWriter(table, split.value, schema, rows_per_file) for split in Split}
        pictures = Pictures(folder / IMAGES_FOLDER, ModelSettings(family=target.backbone.name))
        writers = {split: _writer(target, row, folder, split, rows_per_file, pictures, tools) for split in Split}
        return cls(folder, table, writers, index, keeps_rejects=True)

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


class Pictures:
    """Images as files of a folder, each written once, as the backbone's processor will have them.

    Only those beyond its budget are resized: whatever limits of its own a trainer has, it comes to the size that the
    boxes were reckoned with.
    """

    def __init__(self, folder: Path, settings: ModelSettings) -> None:
        self._folder, self._settings = folder, settings
        self._names: dict[str, str] = {}

    def fit(self, data: bytes) -> bytes:
        """The bytes that a trainer gets for an original's."""
        return encode_picture(data, self._settings)[0]

    def name(self, images: ImageStore, sha256: str, row_id: str, *, whole: bool = False) -> str:
        """Write the image, `whole` as the original is, unless it is there; returns its path below the export."""
        if sha256 not in self._names:
            data = read_image(images, sha256, row_id)
            data = data if whole else self.fit(data)
            self._folder.mkdir(exist_ok=True)
            path = self._folder / f"{sha256}.{suffix_of(data)}"
            path.write_bytes(data)
            self._names[sha256] = f"{self._folder.name}/{path.name}"
        return self._names[sha256]


class JsonLines:
    """Writes one split as one JSONL file; images are files beside it."""

    def __init__(self, path: Path, pictures: Pictures, columns: Callable[[Any, Sequence[str]], dict[str, Any]]) -> None:
        self._path, self._pictures, self._columns = path, pictures, columns
        self.rows = 0

    def add(self, row: SftRow | RlRow, images: ImageStore) -> None:
        """Write a row with its images."""
        names = [self._pictures.name(images, sha256, row.id) for sha256 in row.image_sha256]
        with self._path.open("a", encoding="utf-8") as file:
            file.write(in_json(self._columns(row, names)) + "\n")
        self.rows += 1

    def close(self) -> list[Path]:
        """The file, if there is one: a split without rows has none."""
        return [self._path] if self.rows else []


class VerlSplit:
    """Writes one split of verl's Parquet; the originals, from which the tools cut, are files beside it."""

    def __init__(self, folder: Path, split: str, rows_per_file: int, pictures: Pictures, tools: Sequence[str]) -> None:
        self._pictures = pictures
        self._originals: dict[str, str] = {}
        self._writer = SplitWriter(folder, split, verl_schema(tools), rows_per_file, self._columns, pictures.fit)

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return self._writer.rows

    def add(self, row: SftRow | RlRow, images: ImageStore) -> None:
        """Write a row with its image."""
        self._originals[row.id] = self._pictures.name(images, row.image_sha256[0], row.id, whole=True)
        self._writer.add(row, images)

    def close(self) -> list[Path]:
        """End the last file; returns the files."""
        return self._writer.close()

    def _columns(self, row: RlRow) -> dict[str, Any]:
        return verl.rl(row, self._writer.rows, self._originals.pop(row.id))


def _writer(
    target: Target,
    row: type[SftRow] | type[RlRow],
    folder: Path,
    split: Split,
    rows_per_file: int,
    pictures: Pictures,
    tools: Sequence[str],
) -> Writer:
    if target.format is Format.VERL:
        return VerlSplit(folder, split.value, rows_per_file, pictures, tools)
    columns: Callable[[Any, Sequence[str]], dict[str, Any]]
    if target.format is Format.LLAMA_FACTORY:
        columns = llama_factory.sft
    else:
        columns = ms_swift.sft if row is SftRow else ms_swift.rl
    return JsonLines(folder / f"{split}.jsonl", pictures, columns)


_TEXT: Final = pa.string()
_BEGIN: Final = pa.struct([("create_kwargs", pa.struct([("question", _TEXT), ("image", _TEXT)]))])


def verl_schema(tools: Sequence[str]) -> pa.Schema:
    """Columns of verl's rows, for an episode with these tools.

    `datasets` finds out by itself what they hold: the images stay bytes with a path.
    """
    fields = [
        pa.field("data_source", _TEXT),
        pa.field("prompt", pa.list_(pa.struct([("role", _TEXT), ("content", _TEXT)]))),
        pa.field("ability", _TEXT),
        pa.field("reward_model", pa.struct([("style", _TEXT), ("ground_truth", _TEXT)])),
        pa.field("agent_name", _TEXT),
        pa.field(
            "extra_info",
            pa.struct(
                [
                    ("index", pa.int64()),
                    ("split", _TEXT),
                    ("seed_id", _TEXT),
                    ("level", pa.int64()),
                    ("pass_rate", pa.float64()),
                    ("need_tools_kwargs", pa.bool_()),
                    ("tools_kwargs", pa.struct([(name, _BEGIN) for name in dict.fromkeys((*BUILT_IN, *tools))])),
                    ("tool_selection", pa.list_(_TEXT)),
                ]
            ),
        ),
        pa.field("images", IMAGES),
    ]
    return with_features(fields)


def _told(reject: Reject) -> dict[str, Any]:
    return reject.model_dump(mode="json", include={"id", "seed_id", "reason", "detail"})
