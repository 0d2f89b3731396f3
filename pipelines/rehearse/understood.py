"""The first rows of a source as they are understood: what becomes of them, before anything is run or paid for."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from PIL import Image

from gog.pipelines.config.config import Config
from gog.pipelines.config.sources import FileSource, HubSource
from gog.pipelines.sources.files import first_rows
from gog.pipelines.steps.ingest import Seeds
from gog.schemas import Reject, Seed
from gog.transforms.images import ImageError
from gog.transforms.ingest.seeds import filter_seed
from gog.transforms.services.search.fetched_images import FetchedImages
from gog.transforms.sources.cells import RowError, column_names, listed_answers, looks_like_list, lookup
from gog.transforms.sources.mapping import FieldMapping, SourceRow
from gog.transforms.sources.picture_files import LocalImages
from gog.transforms.sources.row_images import Picture, image_bytes, image_path, image_url, pictures_of, plain_path

LOOKED_AT: Final = 100
"""Rows that are read, at most."""
OPENED: Final = 20
"""Rows whose pictures are opened, at least, unless they have to be fetched."""
_SEARCHED: Final = 20_000
"""Files that are looked at for one that a row names."""


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A picture of a row: where it is, in which format it came, and the pixels."""

    place: str
    kind: str
    pixels: Image.Image

    def __str__(self) -> str:
        return f"{self.place} ({self.kind}, {self.pixels.width} x {self.pixels.height})"


@dataclass(frozen=True, slots=True)
class ShownSeed:
    """A row that becomes a seed, with the pictures of its question."""

    row_id: str
    seed: Seed
    pictures: tuple[ShownPicture, ...]


@dataclass(frozen=True, slots=True)
class Understood:
    """What was found in the first rows: `opened` of them were looked at whole."""

    seeds: tuple[ShownSeed, ...]
    rejects: tuple[Reject, ...]
    opened: int
    ignored: tuple[str, ...]
    """Columns that the mapping does not name."""
    lists: tuple[str, ...]
    """Answers that look like several, and are taken as one."""
    missing: str
    """The first path of a picture at which there is no file below the image folder; empty where there is none."""
    image_root: str
    """The folder below which that path lies, found near the rows or by itself; empty where nowhere."""
    found_by_path: bool
    """Whether the picture of another row was found by its path."""


def understood(config: Config, count: int) -> Understood:
    """The first rows, until there are `count` seeds. Raises `SourceError` and `MappingError`.

    Pictures at addresses are fetched, and not kept.
    """
    seeds = Seeds.of(config)
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(seeds.read_image, FetchedImages):
            seeds = replace(seeds, read_image=replace(seeds.read_image, folder=Path(folder)))
        rows = list(islice(first_rows(seeds.rows), LOOKED_AT))
        shown: list[ShownSeed] = []
        rejects: list[Reject] = []
        missing: list[str] = []
        by_path = False
        least = 0 if isinstance(seeds.read_image, FetchedImages) else OPENED
        for row in rows:
            if len(shown) >= count and len(shown) + len(rejects) >= least:
                break
            found = _outcome(row, seeds, config)
            paths = _paths_of(row, seeds)
            if isinstance(found, ShownSeed):
                shown.append(found)
                by_path = by_path or bool(paths)
                continue
            rejects.append(found)
            if found.reason == "ingest.image_unreadable":
                missing += [path for path, picture in paths.items() if not _is_there(picture, seeds)]
    own = isinstance(config.source, FileSource | HubSource)
    return Understood(
        tuple(shown[:count]),
        tuple(rejects),
        len(shown) + len(rejects),
        _ignored(rows, seeds.mapping) if own else (),
        _lists(rows, seeds.mapping) if own else (),
        missing[0] if missing and own else "",
        _root_of(missing, config) if missing and own else "",
        by_path,
    )


def _outcome(row: SourceRow, seeds: Seeds, config: Config) -> ShownSeed | Reject:
    found = seeds.read(row, config)
    if not isinstance(found, Reject):
        found = filter_seed(row, found, config.filters)
    if isinstance(found, Reject):
        return found
    pictures = zip(pictures_of(row, seeds.mapping), found.pictures, strict=True)
    shown = (ShownPicture(_place(picture, seeds), loaded.kind, loaded.image) for picture, loaded in pictures)
    return ShownSeed(row.row_id, found.seed, tuple(shown))


def _paths_of(row: SourceRow, seeds: Seeds) -> dict[str, Picture]:
    """The pictures of a row that it names by paths, by these; not those that are elsewhere than on this machine."""
    pictures = [] if row.error else pictures_of(row, seeds.mapping)
    return {path: picture for picture in pictures if (path := _path_of(picture, seeds))}


def _path_of(picture: Picture, seeds: Seeds) -> str:
    path = image_path(picture, seeds.mapping)
    try:
        return plain_path(path) if path else ""
    except ImageError:
        return path or ""


def _is_there(picture: Picture, seeds: Seeds) -> bool:
    """Whether a picture that a row names can be read at all, whatever is in it."""
    try:
        image_bytes(picture, seeds.mapping, seeds.read_image)
    except ImageError:
        return False
    return True


def _place(picture: Picture, seeds: Seeds) -> str:
    """Where a picture is."""
    if url := image_url(picture, seeds.mapping):
        return url
    path = image_path(picture, seeds.mapping)
    if not path:
        return "in the row"
    return str(seeds.read_image.folder / path) if isinstance(seeds.read_image, LocalImages) else path


def _ignored(rows: Sequence[SourceRow], mapping: FieldMapping) -> tuple[str, ...]:
    names = dict.fromkeys(name for row in rows if not row.error for name in column_names(row.data))
    mapped = mapping.all_columns

    def used(name: str) -> bool:
        return any(f"{name}.".startswith(f"{one}.") or f"{one}.".startswith(f"{name}.") for one in mapped)

    return tuple(name for name in names if not used(name))


def _lists(rows: Sequence[SourceRow], mapping: FieldMapping) -> tuple[str, ...]:
    """Texts of answers that look like several and are one."""
    if mapping.answer_separator:
        return ()
    values = (lookup(row.data, column) for row in rows if not row.error for column in mapping.answers)
    texts = dict.fromkeys(value for value in values if isinstance(value, str))
    return tuple(text for text in texts if looks_like_list(text) and not _is_list(text))


def _is_list(text: str) -> bool:
    try:
        return listed_answers(text) is not None
    except RowError:
        return True


def _root_of(paths: Sequence[str], config: Config) -> str:
    """The folder below which the pictures lie that rows name: all that have absolute paths, else the first; empty where
    it is not found near the rows.
    """
    source = config.source
    absolute = [Path(path) for path in paths if Path(path).is_absolute()]
    if absolute:
        there = [str(path.parent) for path in absolute if path.is_file()]
        return os.path.commonpath(there) if there else ""
    parts = Path(paths[0].replace("\\", "/")).parts
    near = Path(source.path).parent if isinstance(source, FileSource) else Path(getattr(source, "name", ""))
    for file in islice(_files(near), _SEARCHED):
        if file.name == parts[-1] and file.parts[-len(parts) :] == parts:
            return str(Path(*file.parts[: -len(parts)]))
    return ""


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place) / name for name in sorted(names))


def told(found: Understood) -> list[str]:
    """What stands below the seeds: columns that are ignored, and answers that look like lists."""
    ignored = [f"Not in the mapping, so ignored: {', '.join(found.ignored[:30])}"] if found.ignored else []
    return ignored + about_lists(found.lists)


def about_lists(texts: Sequence[str]) -> list[str]:
    """What to say of answers that look like several, if there are any: one line."""
    if not texts:
        return []
    examples = ", ".join(repr(text[:60]) for text in texts[:3])
    advice = "set source.mapping.answer_separator, or write lists as JSON"
    return [f"Answers that look like several and are taken as one, as {examples}: {advice}"]


def answers_like_lists(config: Config) -> tuple[str, ...]:
    """Texts of answers in the first rows that look like several and are one. Raises `SourceError`, `MappingError`."""
    if not isinstance(config.source, FileSource | HubSource):
        return ()
    seeds = Seeds.of(config)
    return _lists(list(islice(first_rows(seeds.rows), LOOKED_AT)), seeds.mapping)


def advice_on_pictures(found: Understood, config: Config) -> str:
    """What to do about pictures that are missing; empty where none are."""
    if not found.missing:
        return ""
    if found.found_by_path:
        lies = f"lies below {found.image_root}" if found.image_root else "was not found near the rows"
        here = "those of other rows are below source.image_root: put it there, too, or let both be below one folder"
        return f"{found.missing[:200]!r} {lies}, {here}"
    if found.image_root:
        return f"set source.image_root: {found.image_root}"
    root = getattr(config.source, "image_root", None)
    if root and not Path(root).is_dir():
        return f"there is no folder {root}: set source.image_root to the folder that the paths in the rows start from"
    return "set source.image_root to the folder that the paths in the rows start from, or see mapping.image_text"
