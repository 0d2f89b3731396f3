"""Pictures and texts of one's own as what goes into an index."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path

from gog.pipelines.sources.files import LocalImages
from gog.pipelines.tools.text_lines import PICTURES, Texts, title_of
from gog.pipelines.tools.texts import Skipped, Text
from gog.transforms.images import ImageError


def _ignored(number: int) -> None: ...


def _nothing(keys: Set[str]) -> Set[str]:
    return set()


class IndexSources:
    """Streams of pictures and pages, and what they say of themselves once they are read.

    `texts` are files and folders of them: JSONL, packed or not, and Parquet with `image` (a file below `images`),
    `title`, `text` and `url`, all optional, but one of the first three is there; dumps of CirrusSearch; tars of
    WebDataset, with pictures and what is said of them; ZIM files; and Markdown, plain text and HTML, each a page. Rows
    are read as they are needed, two or three times over.
    """

    def __init__(
        self,
        images: Path | None,
        texts: Sequence[Path],
        on_picture: Callable[[int], None] = _ignored,
        on_page: Callable[[int], None] = _ignored,
    ) -> None:
        """Raises `SourceError` when the texts cannot be opened at all, `NotADirectoryError` where there is no such
        folder of images.
        """
        if images is not None and not images.is_dir():
            raise NotADirectoryError(20, "no such folder", str(images))
        self.skipped: Skipped = []
        """What is left out: where it is, and why."""
        self.matched: set[str] = set()
        """Pictures that the texts name, and that are there and can be read."""
        self.alone: set[str] = set()
        """Addresses of pictures that are no more than where their file is."""
        self._on_picture, self._on_page, self._untitled = on_picture, on_page, 0
        self._images, self._texts = images, Texts(texts, self.skipped)
        self._named, self._bare = dict[str, Text](), set[str]()
        for line in self._texts.lines(self.skipped):
            if line.image:
                self._named.setdefault(_nfc(line.image), line)
            if line.title and not line.text:
                self._bare |= line.keys
        self._files = _pictures(images, self._named) if images is not None else []
        if self._named and images is None:
            self.skipped.append(
                ("--texts", f"{len(self._named)} lines name a picture: give their folder with --images")
            )

    @property
    def captions(self) -> int:
        """Pictures that the texts name."""
        return len(self._named)

    def untitled(self, skipped: Skipped) -> int:
        """Pictures that no text names, of those that were not left out: their file name is their title."""
        left = {where for where, _ in skipped}
        return self._untitled + len({file for file in self._files if _nfc(file) not in self._named} - left)

    def pictures(self) -> Iterator[tuple[str, str, str, bytes]]:
        """Address, title, snippet and file of each: those that a text names, all others by name, then packed ones."""
        load, number = LocalImages(self._images or Path()), 0
        for number, file in enumerate(self._files):
            self._on_picture(number)
            line = self._named.get(_nfc(file))
            try:
                data = load(file)
            except ImageError as error:
                self.skipped.append((line.where if line else file, error.detail))
                continue
            if line:
                self.matched.add(file)
            text = line or Text("", file, "", "", "")
            if not text.url:
                self.alone.add(file)
            yield text.url or file, text.title or title_of(file), text.text, data
        for text, data in (found for packed in self._texts.packed for found in packed.pictures()):
            self._on_picture(number := number + 1)
            self._untitled += not text.title
            yield text.address, text.title or title_of(text.image), text.text, data

    def pages(self, told_before: Callable[[Set[str]], Set[str]] = _nothing) -> Iterator[tuple[str, str, str]]:
        """Address, title and text of each. A title alone is a page only where no text has its address or title, here
        or in what `told_before` says of addresses and titles.
        """
        for number, line in enumerate(self._pages(set(told_before(self._bare)) if self._bare else set())):
            self._on_page(number)
            yield line.address, line.title or title_of(line.image), line.text

    def _pages(self, told: set[str]) -> Iterator[Text]:
        texts, bare = self._texts, self._bare
        told |= {key for line in texts.lines() if line.text for key in line.keys & bare} if bare else set()
        told |= {key for packed in texts.packed for key in packed.told(bare)} if bare else set()
        for line in texts.lines():
            if line.text:
                yield line
            elif line.title and not told & line.keys:
                told.add(line.address)
                yield line
        for packed in texts.packed:
            yield from (page for page in packed.pages(self.skipped) if page.text or page.title)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _pictures(folder: Path, named: dict[str, Text]) -> list[str]:
    """Paths below the folder: those that a text names, in its order, then all other pictures by name."""
    paths = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURES and path.is_file() and not path.name.startswith(".")
    )
    return [*named, *(path for path in paths if _nfc(path) not in named)]
