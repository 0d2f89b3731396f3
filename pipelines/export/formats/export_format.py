"""What a format is, and what most formats share: images as files beside JSONL, and recipes from templates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from gog.pipelines.export.card_data import CardFacts
from gog.pipelines.export.parquet import SplitWriter, export_schema, read_image
from gog.pipelines.templates import templates
from gog.schemas import Split
from gog.transforms.dialect.backbones import Backbone
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.rows import RlRow, SftRow
from gog.transforms.export.text import in_json
from gog.transforms.image_store import ImageStore
from gog.transforms.images import image_suffix
from gog.transforms.services.models.chat.pictures import encode_picture
from gog.transforms.services.models.chat.settings import ModelSettings

CUTOFF: Final = 16384
"""Tokens of the longest row that is trained on; estimates of the export are rough."""

DATA: Final = "data"
"""Folder of an export's Parquet files: apart from card and manifest, so that whatever reads Parquet opens it."""

Columns = Callable[[Any, Sequence[str]], dict[str, Any]]
"""A row for JSON, of an `SftRow` or `RlRow` and the paths of its images below the export."""


class Writer(Protocol):
    """Writes one split."""

    @property
    def rows(self) -> int:
        """Rows written so far."""

    def add(self, row: SftRow | RlRow, images: ImageStore) -> None:
        """Write a row with its images."""

    def close(self) -> list[Path]:
        """End; returns the files."""


@dataclass(frozen=True, slots=True)
class SplitPlace:
    """Where a split goes."""

    folder: Path
    split: Split
    row: type[SftRow] | type[RlRow]
    rows_per_file: int
    pictures: "Pictures"


@dataclass(frozen=True)
class ExportFormat:
    """Who reads an export, and how it is written for them.

    `writers` opens a split by kind (sft, rl): a kind without one cannot be exported. `card` is what the dataset card
    says of the format, as a Jinja template that gets `facts`; `files` is the pattern of a split's files. `learnable`
    is whether an SFT row can be said in the format, and `recipe` writes what a trainer needs beside the data into the
    folder. `own_columns` is of formats whose files are Parquet with the engine's own columns.
    """

    name: str
    writers: Mapping[str, Callable[[SplitPlace], Writer]]
    card: str = ""
    files: str = "{}.jsonl"
    own_columns: bool = False
    learnable: Callable[[SftRow], bool] = lambda row: True
    recipe: Callable[[Path, Backbone, CardFacts, EpisodeSettings], None] = lambda *_: None

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it can train here."""
        return tuple(self.writers)


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
            path = self._folder / f"{sha256}.{image_suffix(data)}"
            path.write_bytes(data)
            self._names[sha256] = f"{self._folder.name}/{path.name}"
        return self._names[sha256]


class JsonLines:
    """Writes one split as one JSONL file; images are files beside it."""

    def __init__(self, path: Path, pictures: Pictures, columns: Columns) -> None:
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


def json_lines(columns: Columns) -> Callable[[SplitPlace], Writer]:
    """Opens splits as JSONL files with these columns."""
    return lambda place: JsonLines(place.folder / f"{place.split}.jsonl", place.pictures, columns)


def own_parquet(place: SplitPlace) -> SplitWriter:
    """Opens a split as Parquet with the engine's own columns."""
    return SplitWriter(place.folder / DATA, place.split.value, export_schema(place.row), place.rows_per_file)


def write_script(path: Path, text: str) -> None:
    """Write a script that may be run."""
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def rendered(name: str, values: dict[str, Any]) -> str:
    """A recipe of `pipelines/templates` with these values."""
    # YAML and shell, of our own values alone.
    return templates(autoescape=False, keep_trailing_newline=True).get_template(name).render(values)
