"""A local search world out of one's own pictures and pages: a gallery and a corpus under one folder."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from gog.pipelines.sources.files import LocalImages
from gog.pipelines.tools.text_lines import PICTURES, Texts, title_of
from gog.pipelines.tools.texts import Skipped, Text
from gog.transforms.images import ImageError
from gog.transforms.object_path import ObjectPath
from gog.transforms.services.search.corpus import build_corpus
from gog.transforms.services.search.encoders_of import NamedEncoder
from gog.transforms.services.search.gallery import build_gallery
from gog.transforms.services.search.index_cache import changed
from gog.transforms.services.search.vector_cells import Cells


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
    on_page: Callable[[int], None] = lambda number: None,
) -> IndexReport:
    """Write `out/gallery` and `out/corpus`, in a folder or on an object store; earlier ones are replaced.

    `texts` are files and folders of them: JSONL, packed or not, and Parquet with `image` (a file below `images`),
    `title`, `text` and `url`, all optional, but one of the first three is there; dumps of CirrusSearch; tars of
    WebDataset, with pictures and what is said of them; ZIM files; and Markdown, plain text and HTML, each a page. Rows
    are read as they are needed, two or three times over. A text with an image makes an entry of the gallery and, like
    any text, a page of the corpus; a title alone is a page only where no text has its address or title. Pictures that
    no text names go in under their file names. What cannot be read is left out and reported. Encoders make vectors of
    what an earlier index does not have. Raises `ServiceError` where one fails, `SourceError` when the texts cannot be
    opened at all, and `NotADirectoryError` when there is no such folder.
    """
    if images is not None and not images.is_dir():
        raise NotADirectoryError(20, "no such folder", str(images))
    if isinstance(out, ObjectPath):
        needed = [kind for kind, encoder in (("gallery", image_encoder), ("corpus", text_encoder)) if encoder]
        with changed(out, (*needed,), ("gallery", "corpus")) as folder:
            return _build(images, texts, folder, out.name, image_encoder, text_encoder, on_picture, on_page)
    return _build(images, texts, out, out.resolve().name, image_encoder, text_encoder, on_picture, on_page)


def _build(
    images: Path | None,
    texts: Sequence[Path],
    out: Path,
    name: str,
    image_encoder: NamedEncoder | None,
    text_encoder: NamedEncoder | None,
    on_picture: Callable[[int], None],
    on_page: Callable[[int], None],
) -> IndexReport:
    skipped: list[tuple[str, str]] = []
    read, named, bare = Texts(texts, skipped), dict[str, Text](), set[str]()
    for line in read.lines(skipped):
        if line.image:
            named.setdefault(unicodedata.normalize("NFC", line.image), line)
        if line.title and not line.text:
            bare |= line.keys
    files = _pictures(images, named) if images is not None else []
    if named and images is None:
        skipped.append(("--texts", f"{len(named)} lines name a picture: give their folder with --images"))
    matched: set[str] = set()
    untitled = 0

    def pictures() -> Iterator[tuple[str, str, str, bytes]]:
        nonlocal untitled
        load, number = LocalImages(images or Path()), 0
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
            yield text.url or file, text.title or title_of(file), text.text, data
        for text, data in (found for packed in read.packed for found in packed.pictures()):
            on_picture(number := number + 1)
            untitled += not text.title
            yield text.address, text.title or title_of(text.image), text.text, data

    gallery = build_gallery(pictures(), out / "gallery", name=name, encoder=image_encoder)

    def pages() -> Iterator[tuple[str, str, str]]:
        for number, line in enumerate(_pages(read, bare, skipped)):
            on_page(number)
            yield line.address, line.title or title_of(line.image), line.text

    corpus = build_corpus(pages(), out / "corpus", name=name, encoder=text_encoder)
    skipped += [*gallery.skipped, *corpus.skipped]
    left = {where for where, _ in skipped}
    untitled += len({file for file in files if unicodedata.normalize("NFC", file) not in named} - left)
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


def _pages(texts: Texts, bare: Set[str], skipped: Skipped) -> Iterator[Text]:
    """The lines that are pages: a title alone says less than the text that it would stand before.

    `bare` has the addresses and titles of the lines that are a title alone. What packed files leave out goes into
    `skipped`.
    """
    told = {key for line in texts.lines() if line.text for key in line.keys & bare} if bare else set[str]()
    told |= {key for packed in texts.packed for key in packed.told(bare)} if bare else set()
    for line in texts.lines():
        if line.text:
            yield line
        elif line.title and not told & line.keys:
            told.add(line.address)
            yield line
    for packed in texts.packed:
        yield from (page for page in packed.pages(skipped) if page.text or page.title)


def _pictures(folder: Path, named: dict[str, Text]) -> list[str]:
    """Paths below the folder: those that a text names, in its order, then all other pictures by name."""
    paths = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURES and path.is_file() and not path.name.startswith(".")
    )
    return [*named, *(path for path in paths if unicodedata.normalize("NFC", path) not in named)]
