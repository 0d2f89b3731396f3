"""The `source` section of a config: where rows come from, which of them, and what their columns hold."""

from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

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


FileKind = Literal["jsonl", "json", "csv", "tsv", "parquet", "webdataset"]


class AtlasSource(Selection):
    """The bundled world."""

    kind: Literal["atlas"] = "atlas"
    count: int = Field(default=600, ge=1)
    """Questions to draw."""
    held_out: bool = False
    """Draw from the scenes that are kept for evaluation."""
    kinds: dict[Kind, float] | None = None
    """Weights of the kinds of question; the world's own mix by default."""


class FileSource(Selection):
    """Rows in files: JSONL, a JSON list, CSV, TSV, Parquet, or WebDataset tars; as they are, or compressed with gzip,
    zstd, bzip2 or xz.
    """

    kind: FileKind
    """Form of the files."""
    path: str
    """A file, or a pattern with `*` or braces: `part-{000..012}.tar`."""
    delimiter: str = ""
    """What parts the cells of a CSV: one character, or `tab`. Empty: a tab in files named .tsv, else a comma, or what
    else parts a header without one.
    """
    quote: str = '"'
    """What quotes the cells of a CSV; empty where quotes are text."""
    dataset: str
    """Name of the set, in the seeds."""
    version: str = ""
    """Of the set, in the seeds."""
    image_root: str | None = None
    """Folder that image paths are relative to; the file's own folder by default."""
    mapping: FieldMapping
    """Which column holds what."""

    @field_validator("delimiter", "quote", mode="before")
    @classmethod
    def _one_character(cls, value: Any) -> Any:
        value = {"tab": "\t", "\\t": "\t"}.get(value, value) if isinstance(value, str) else value
        if isinstance(value, str) and (len(value) > 1 or value in ("\n", "\r")):
            raise ValueError(f"{value!r} is not one character")
        return value

    @model_validator(mode="after")
    def _of_csv(self) -> Self:
        if self.delimiter and self.delimiter == self.quote:
            raise ValueError("delimiter and quote are the same character")
        if self.kind not in ("csv", "tsv") and (self.delimiter or self.quote != '"'):
            raise ValueError(f"delimiter and quote are of csv and tsv, not of {self.kind}")
        return self


class HubSource(Selection):
    """A repository that `datasets.load_dataset` opens, streamed once and kept in the lake."""

    kind: Literal["hf"]
    name: str
    """`owner/name`, or a folder: one of files, or one that `save_to_disk` wrote."""
    config: str | None = None
    """Name of a configuration, where the repository has several."""
    split: str = "train"
    """Split to read."""
    revision: str | None = None
    """Commit, tag or branch; a commit pins the rows."""
    dataset: str = ""
    """Name in the seeds; the repository's unless given."""
    image_root: str | None = None
    """Folder that image paths are relative to."""
    mapping: FieldMapping
    """Which column holds what."""


class PublishedSource(Selection):
    """A set as it is published, whose columns the engine knows (see `gog.pipelines.sources.published`)."""

    kind: str
    """Name of a benchmark that has files."""
    path: str
    """A file, or a pattern with `*`; for `livevqa` the folder that holds News, Paper and Video."""
    dataset: str = ""
    """Name in the seeds; the kind unless given."""
    version: str = ""
    """Of the set, in the seeds."""
    images: str | None = None
    """`infoseek`: folder, tar, or pattern of tars with the pictures by OVEN id."""
    with_kb: str | None = None
    """`infoseek`: the file `infoseek_*_withkb.jsonl`, which names the entity of each question."""

    @field_validator("kind")
    @classmethod
    def _published(cls, kind: str) -> str:
        from gog.transforms.evaluate.benchmark import BENCHMARKS  # only a config that names one loads them

        if kind not in BENCHMARKS or BENCHMARKS[kind].bundled:
            known = [*_FORMS, *BENCHMARKS]
            close = get_close_matches(kind, known, 1)
            meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            raise ValueError(f"{kind!r} is no kind of source; {meant}")
        return kind


_FORMS: dict[str, str] = {"atlas": "atlas", "hf": "hub"} | dict.fromkeys(get_args(FileKind), "file")


def _form_of(data: Any) -> str:
    """Which settings a source has: those of its kind, else those of a published set."""
    kind = data.get("kind") if isinstance(data, dict) else getattr(data, "kind", None)
    return _FORMS.get(str(kind), "published")


SourceSettings = Annotated[
    Annotated[AtlasSource, Tag("atlas")]
    | Annotated[FileSource, Tag("file")]
    | Annotated[HubSource, Tag("hub")]
    | Annotated[PublishedSource, Tag("published")],
    Discriminator(_form_of),
]

SOURCE_FORMS = frozenset({*_FORMS.values(), "published"})
"""Names of the settings, as an error of the config leaves them out of the key."""
