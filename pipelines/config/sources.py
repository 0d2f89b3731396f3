"""The `source` section of a config: where rows come from, which of them, and what their columns hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gog.transforms.atlas.scenes import Kind
from gog.transforms.sources.mapping import FieldMapping


class Selection(BaseModel):
    """Which rows of a source are wanted; all unless it says otherwise. Rows that cannot be read are never left out by
    `where`: they become rejects.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int | None = Field(default=None, ge=1)
    """The first so many rows, of those that the rest wants."""
    sample: float | None = Field(default=None, gt=0, le=1)
    """A share of the rows, by a hash of each row's place and the run's seed: always the same ones."""
    where: tuple[str, ...] = ()
    """Conditions that all hold: `column=value`, `column!=value`, `column~regex` or `column!~regex`."""

    @property
    def all_rows(self) -> bool:
        """Whether every row is wanted."""
        return self.limit is None and self.sample is None and not self.where


class AtlasSource(Selection):
    """The bundled world."""

    kind: Literal["atlas"] = "atlas"
    count: int = Field(default=600, ge=1)
    held_out: bool = False
    kinds: dict[Kind, float] | None = None
    """Weights of the kinds of question; the world's own mix by default."""


class FileSource(Selection):
    """Rows in files: JSONL, a JSON list, CSV, Parquet, or WebDataset tars."""

    kind: Literal["jsonl", "json", "csv", "parquet", "webdataset"]
    path: str
    """A file, or a pattern with `*`."""
    dataset: str
    version: str = ""
    image_root: str | None = None
    """Folder that image paths are relative to; the file's own folder by default."""
    mapping: FieldMapping


class HubSource(Selection):
    """A repository that `datasets.load_dataset` opens, streamed once and kept in the lake."""

    kind: Literal["hf"]
    name: str
    """`owner/name`, or a folder."""
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    """Commit, tag or branch; a commit pins the rows."""
    dataset: str = ""
    """Name in the seeds; the repository's unless given."""
    image_root: str | None = None
    mapping: FieldMapping


class PublishedSource(Selection):
    """A set as it is published, whose columns the engine knows (see `gog.pipelines.sources.published`)."""

    kind: Literal["fvqa", "infoseek", "livevqa", "dynvqa", "simplevqa", "mmsearch"]
    path: str
    """A file, or a pattern with `*`; for `livevqa` the folder that holds News, Paper and Video."""
    dataset: str = ""
    """Name in the seeds; the kind unless given."""
    version: str = ""
    images: str | None = None
    """`infoseek`: folder, tar, or pattern of tars with the pictures by OVEN id."""
    with_kb: str | None = None
    """`infoseek`: the file `infoseek_*_withkb.jsonl`, which names the entity of each question."""


SourceSettings = Annotated[AtlasSource | FileSource | HubSource | PublishedSource, Field(discriminator="kind")]

SOURCE_KINDS = frozenset(
    {"atlas", "jsonl", "json", "csv", "parquet", "webdataset", "hf"}
    | {"fvqa", "infoseek", "livevqa", "dynvqa", "simplevqa", "mmsearch"}
)
"""Kinds by name, as an error of the config leaves them out of the key."""
