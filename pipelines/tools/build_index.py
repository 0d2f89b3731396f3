"""A local search world out of one's own pictures and pages: a gallery and a corpus under one folder."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gog.pipelines.sources.files import FileRows, LocalImages
from gog.pipelines.tools.documents import DOCUMENTS, document
from gog.transforms.images import ImageError
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.search.corpus import build_corpus
from gog.transforms.services.search.encoders_of import NamedEncoder
from gog.transforms.services.search.gallery import build_gallery
from gog.transforms.services.search.vector_cells import Cells
from gog.transforms.sources.row_images import safe_path

SUFFIXES: Final = frozenset(
    {".avif", ".bmp", ".gif", ".ico", ".j2k", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Endings of files that are taken for pictures where no text names them."""
LINES: Final = re.compile(r"\.(?:jsonl|ndjson)(?:\.(?:gz|zst|bz2|xz))?$", re.IGNORECASE)
COLUMNS: Final = ("image", "title", "text", "url")


@dataclass(frozen=True, slots=True)
class Text:
    """A line of the texts."""

    where: str
    image: str
    title: str
    text: str
    url: str


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What went into the index, and what stayed out: where it was, and why."""

    pictures: int
    untitled: int
    """Pictures that no text names: their file name is their title."""
    captions: int
    """Pictures that the texts name."""
    matched: int
    """Of these, how many are there and can be read."""
    pages: int
    passages: int
    cells: dict[str, Cells]
    """Of the pictures and of the passages (`gallery`, `corpus`), where they are too many to be searched exactly."""
    skipped: tuple[tuple[str, str], ...]


def build_index(
    images: Path | None,
    texts: Sequence[Path],
    out: Path,
    *,
    image_encoder: NamedEncoder | None = None,
    text_encoder: NamedEncoder | None = None,
    on_picture: Callable[[int], None] = lambda number: None,
) -> IndexReport:
    """Write `out/gallery` and `out/corpus`; earlier ones are replaced.

    `texts` are files and folders of them: JSONL with `image` (a file below `images`), `title`, `text` and `url`, all
    optional, but one of the first three is there; and Markdown, plain text and HTML, each a page. A text with an image
    makes an entry of the gallery and, like any text, a page of the corpus; a title alone is a page only where no text
    has its address or title. Pictures that no text names go in under their file names. What cannot be read is left out
    and reported. Encoders make vectors of what an earlier index does not have. Raises `ServiceError` where one fails,
    `SourceError` when the texts cannot be opened at all, and `NotADirectoryError` when there is no such folder.
    """
    if images is not None and not images.is_dir():
        raise NotADirectoryError(20, "no such folder", str(images))
    lines, skipped = _read_texts(texts)
    named: dict[str, Text] = {}
    for line in lines:
        if line.image:
            named.setdefault(unicodedata.normalize("NFC", line.image), line)
    files = _pictures(images, named) if images is not None else []
    if named and images is None:
        skipped.append(("--texts", f"{len(named)} lines name a picture: give their folder with --images"))
    name = out.resolve().name
    matched: set[str] = set()

    def pictures() -> Iterator[tuple[str, str, str, bytes]]:
        load = LocalImages(images or Path())
        for number, file in enumerate(files):
            on_picture(number)
            line = named.get(unicodedata.normalize("NFC", file))
            try:
                data = load(file)
            except ImageError as error:
                skipped.append((line.where if line else file, error.detail))
                continue
            if line:
                matched.add(file)
            text = line or Text("", file, "", "", "")
            yield text.url or file, text.title or _title(file), text.text, data

    gallery = build_gallery(pictures(), out / "gallery", name=name, encoder=image_encoder)
    pages = ((_address(line), line.title or _title(line.image), line.text) for line in _pages(lines))
    corpus = build_corpus(pages, out / "corpus", name=name, encoder=text_encoder)
    skipped += [*gallery.skipped, *corpus.skipped]
    left = {where for where, _ in skipped}
    untitled = len({file for file in files if unicodedata.normalize("NFC", file) not in named} - left)
    return IndexReport(
        pictures=gallery.pictures,
        untitled=untitled,
        captions=len(named),
        matched=len(matched),
        pages=corpus.pages,
        passages=corpus.passages,
        cells={name: found for name, found in (("gallery", gallery.cells), ("corpus", corpus.cells)) if found},
        skipped=tuple(skipped),
    )


def _pages(lines: Sequence[Text]) -> Iterator[Text]:
    """The lines that are pages: a title alone says less than the text that it would stand before."""
    told = {key for line in lines if line.text for key in (_address(line), line.title.casefold()) if key}
    for line in lines:
        if line.text:
            yield line
        elif line.title and not told & {_address(line), line.title.casefold()}:
            told.add(_address(line))
            yield line


def _read_texts(paths: Sequence[Path]) -> tuple[list[Text], list[tuple[str, str]]]:
    """What is to be read, and what cannot be: where, and why."""
    lines: list[Text] = []
    skipped: list[tuple[str, str]] = []
    for path in paths:
        if not path.is_dir():
            read = _read_document if path.suffix.lower() in DOCUMENTS else _read_lines
            read(path, path.name, lines, skipped)
            continue
        others = Counter[str]()
        for file in sorted(path.rglob("*")):
            where = file.relative_to(path).as_posix()
            if not file.is_file() or any(part.startswith(".") for part in Path(where).parts):
                continue
            ending = file.suffix.lower()
            if ending in DOCUMENTS:
                _read_document(file, where, lines, skipped)
            elif LINES.search(file.name):
                _read_lines(file, where, lines, skipped)
            elif ending not in SUFFIXES:
                others[ending or "no ending"] += 1
        for ending, count in sorted(others.items()):
            skipped.append((str(path), f"{count:,} files with {ending}: JSONL, .md, .txt and .html are read"))
    return lines, skipped


def _read_lines(path: Path, where: str, lines: list[Text], skipped: list[tuple[str, str]]) -> None:
    rows = FileRows(str(path), "jsonl", 1 << 40)
    for spec in rows.shards():
        for row in rows.read_shard(spec):
            at = f"{where.removesuffix(path.name)}{row.row_id}"
            try:
                lines.append(_text(at, row.data, row.error))
            except (ValueError, ImageError) as error:
                skipped.append((at, error.detail if isinstance(error, ImageError) else str(error)))


def _read_document(path: Path, where: str, lines: list[Text], skipped: list[tuple[str, str]]) -> None:
    try:
        title, text, cut = document(path)
    except (OSError, ServiceError) as error:
        skipped.append((where, error.detail if isinstance(error, ServiceError) else error.strerror or str(error)))
        return
    if text:
        lines.append(Text(where, "", title or _title(where), text, where))
        if cut:
            skipped.append((where, f"the rest of it: {cut}"))
    else:
        skipped.append((where, "it has no text"))


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
    return [*named, *(path for path in paths if unicodedata.normalize("NFC", path) not in named)]


def _address(line: Text) -> str:
    return line.url or line.image or line.where


def _title(file: str) -> str:
    """A file name as people read it."""
    return " ".join(Path(file).stem.replace("_", " ").replace("-", " ").split())
