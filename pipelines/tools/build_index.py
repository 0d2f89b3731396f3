"""A local search world out of one's own pictures and pages: a gallery and a corpus under one folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gog.pipelines.sources.files import FileRows, LocalImages
from gog.transforms.images import ImageError
from gog.transforms.services.search.corpus import build_corpus
from gog.transforms.services.search.gallery import build_gallery
from gog.transforms.sources.row_images import safe_path

SUFFIXES: Final = frozenset(
    {".avif", ".bmp", ".gif", ".ico", ".j2k", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Endings of files that are taken for pictures where no text names them."""
COLUMNS: Final = ("image", "title", "text", "url")


@dataclass(frozen=True, slots=True)
class Text:
    """A line of the texts."""

    where: str
    image: str
    title: str
    text: str
    url: str

    @property
    def page(self) -> bool:
        """Whether there is something to read."""
        return bool(self.title or self.text)


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What went into the index, and what stayed out: where it was, and why."""

    pictures: int
    untitled: int
    """Pictures that no text names: their file name is their title."""
    pages: int
    passages: int
    skipped: tuple[tuple[str, str], ...]


def build_index(
    images: Path | None, texts: Path | None, out: Path, *, on_picture: Callable[[int], None] = lambda number: None
) -> IndexReport:
    """Write `out/gallery` and `out/corpus`; earlier ones are replaced.

    `texts` is JSONL with `image` (a file below `images`), `title`, `text` and `url`, all optional, but one of the
    first three is there. A text with an image makes an entry of the gallery and, like any text, a page of the corpus.
    Pictures that no text names go in under their file names. What cannot be read is left out and reported. Raises
    `SourceError` when the texts cannot be opened at all, and `NotADirectoryError` when there is no such folder.
    """
    if images is not None and not images.is_dir():
        raise NotADirectoryError(20, "no such folder", str(images))
    lines, skipped = _read_texts(texts) if texts is not None else ([], [])
    named: dict[str, Text] = {}
    for line in lines:
        if line.image:
            named.setdefault(line.image, line)
    files = _pictures(images, named) if images is not None else []
    if named and images is None:
        skipped.append((str(texts), f"{len(named)} lines name a picture: give their folder with --images"))
    name = out.resolve().name

    def pictures() -> Iterator[tuple[str, str, str, bytes]]:
        load = LocalImages(images or Path())
        for number, file in enumerate(files):
            on_picture(number)
            line = named.get(file)
            try:
                data = load(file)
            except ImageError as error:
                skipped.append((line.where if line else file, error.detail))
                continue
            text = line or Text("", file, "", "", "")
            yield text.url or file, text.title or _title(file), text.text, data

    gallery = build_gallery(pictures(), out / "gallery", name=name)
    pages = ((_address(line), line.title or _title(line.image), line.text) for line in lines if line.page)
    corpus = build_corpus(pages, out / "corpus", name=name)
    skipped += [*gallery.skipped, *corpus.skipped]
    untitled = len({file for file in files if file not in named} - {where for where, _ in skipped})
    return IndexReport(gallery.pictures, untitled, corpus.pages, corpus.passages, tuple(skipped))


def _read_texts(path: Path) -> tuple[list[Text], list[tuple[str, str]]]:
    """The lines, read once, and those that are none: where, and why."""
    lines: list[Text] = []
    skipped: list[tuple[str, str]] = []
    rows = FileRows(str(path), "jsonl", 1 << 40)
    for spec in rows.shards():
        for row in rows.read_shard(spec):
            try:
                lines.append(_text(row.row_id, row.data, row.error))
            except (ValueError, ImageError) as error:
                skipped.append((row.row_id, error.detail if isinstance(error, ImageError) else str(error)))
    return lines, skipped


def _text(where: str, data: Any, error: str) -> Text:
    """The line; `ValueError` or `ImageError` says what is wrong with it."""
    if error:
        raise ValueError(error)
    values = {name: data.get(name) for name in COLUMNS}
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{name!r} holds {type(value).__name__}, not text")
    image, title, text, url = ((values[name] or "").strip() for name in COLUMNS)
    if not (image or title or text):
        raise ValueError(
            f"a line has at least one of image, title and text; this one has {', '.join(data) or 'nothing'}"
        )
    return Text(where, safe_path(image) if image else "", title, text, url)


def _pictures(folder: Path, named: dict[str, Text]) -> list[str]:
    """Paths below the folder: those that a text names, in its order, then all other pictures by name."""
    paths = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    return [*named, *(path for path in paths if path not in named)]


def _address(line: Text) -> str:
    return line.url or line.image or line.where


def _title(file: str) -> str:
    """A file name as people read it."""
    return " ".join(Path(file).stem.replace("_", " ").replace("-", " ").split())
