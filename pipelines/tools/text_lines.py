"""Texts of one's own, line by line: rows of JSONL, Parquet and dumps of CirrusSearch as they stand in their files,
which are read as often as they are asked for, and documents.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from gog.pipelines.sources.files import FileRows
from gog.pipelines.tools.documents import DOCUMENTS, document
from gog.pipelines.tools.tar_samples import TarSamples
from gog.pipelines.tools.texts import Packed, Skipped, Text
from gog.pipelines.tools.zim_pages import ZimPages
from gog.transforms.images import ImageError
from gog.transforms.services.protocols import ServiceError
from gog.transforms.sources.formats import Rows, jsonl_stream
from gog.transforms.sources.row_images import safe_path
from gog.transforms.sources.unpacking import DAMAGED, unpacked_stream

PICTURES: Final = frozenset(
    {".avif", ".bmp", ".gif", ".ico", ".j2k", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Endings of files that are taken for pictures where no text names them."""
_ROWS: Final = re.compile(
    r"\.(?:jsonl|ndjson)(?:\.(?:gz|zst|bz2|xz))?$|cirrussearch[^/]*\.json(?:\.(?:gz|zst|bz2|xz))?$|\.parquet$",
    re.IGNORECASE,
)
_COLUMNS: Final = ("image", "title", "text", "url")
_PACKED: Final[dict[str, Callable[[Path, str], Packed]]] = {".tar": TarSamples, ".zim": ZimPages}


class Texts:
    """Files and folders of them; documents are read at once, rows whenever `lines` is called, and `packed` files when
    they are asked.
    """

    def __init__(self, paths: Sequence[Path], skipped: Skipped) -> None:
        """What is no text, or cannot be read, goes into `skipped`: where it is, and why."""
        self._parts: list[Text | tuple[Path, str]] = []
        self.packed: list[Packed] = []
        for path in paths:
            if path.is_dir():
                self._take_folder(path, skipped)
            else:
                self._take(path, path.name, skipped)

    def lines(self, skipped: Skipped | None = None) -> Iterator[Text]:
        """All that are not packed, in order; those that say nothing go into `skipped`. Raises `SourceError`."""
        left: Skipped = [] if skipped is None else skipped
        for part in self._parts:
            if isinstance(part, Text):
                yield part
            else:
                yield from _lines(*part, left)

    def _take_folder(self, folder: Path, skipped: Skipped) -> None:
        others = Counter[str]()
        for file in sorted(folder.rglob("*")):
            where = file.relative_to(folder).as_posix()
            if not file.is_file() or any(part.startswith(".") for part in Path(where).parts):
                continue
            ending = file.suffix.lower()
            if ending in DOCUMENTS or ending in _PACKED or _ROWS.search(file.name):
                self._take(file, where, skipped)
            elif ending not in PICTURES:
                others[ending or "no ending"] += 1
        for ending, count in sorted(others.items()):
            skipped.append(
                (
                    str(folder),
                    f"{count:,} files with {ending}: JSONL, Parquet, .md, .txt, .html, .tar and .zim are read",
                )
            )

    def _take(self, path: Path, where: str, skipped: Skipped) -> None:
        """Raises `SourceError` where a library is missing."""
        if packed := _PACKED.get(path.suffix.lower()):
            self.packed.append(packed(path, where))
            return
        if path.suffix.lower() not in DOCUMENTS:
            self._parts.append((path, where))
            return
        try:
            title, text, cut = document(path)
        except (OSError, ServiceError) as error:
            skipped.append((where, error.detail if isinstance(error, ServiceError) else error.strerror or str(error)))
            return
        if text:
            self._parts.append(Text(where, "", title or title_of(where), text, where))
            if cut:
                skipped.append((where, f"the rest of it: {cut}"))
        else:
            skipped.append((where, "it has no text"))


def title_of(file: str) -> str:
    """A file name as people read it."""
    return " ".join(Path(file).stem.replace("_", " ").replace("-", " ").split())


def _lines(path: Path, where: str, skipped: Skipped) -> Iterator[Text]:
    """The rows of a file."""
    try:
        for number, data, error in _rows(path):
            if data.keys() == {"index"} and not error:
                continue  # what stands before each page of a dump for Elasticsearch
            at = f"{where}#{number}"
            try:
                yield _text(at, data, error)
            except (ValueError, ImageError) as wrong:
                skipped.append((at, wrong.detail if isinstance(wrong, ImageError) else str(wrong)))
    except DAMAGED as error:
        skipped.append((where, f"the rest of it cannot be read: {error}"))


def _rows(path: Path) -> Rows:
    if path.suffix.lower() != ".parquet":
        yield from jsonl_stream(unpacked_stream(path), path)
        return
    rows = FileRows(str(path), "parquet", 1 << 40)
    for spec in rows.shards():
        for number, row in enumerate(rows.read_shard(spec), spec.first):
            yield number, dict(row.data), row.error


def _text(where: str, data: dict[str, Any], error: str) -> Text:
    """The line; `ValueError` or `ImageError` says what is wrong with it."""
    if error:
        raise ValueError(error)
    values = _page(data) if isinstance(data.get("wiki"), str) else {name: data.get(name) for name in _COLUMNS}
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{name!r} holds {type(value).__name__}, not text")
    image, title, text, url = ((values[name] or "").strip() for name in _COLUMNS)
    if not (image or title or text):
        raise ValueError(
            f"a line has at least one of image, title and text; this one has {', '.join(data) or 'nothing'}"
        )
    return Text(where, safe_path(image) if image else "", title, text, url)


def _page(data: dict[str, Any]) -> dict[str, Any]:
    """A page of a wiki, as CirrusSearch has it. `ValueError` where it is no article."""
    if data.get("namespace") != 0:
        raise ValueError(f"a page of the namespace {data.get('namespace')!r} is no article")
    title, wiki, language = data.get("title"), data["wiki"], data.get("language")
    known = isinstance(title, str) and isinstance(language, str) and wiki == f"{language.replace('-', '_')}wiki"
    path = quote(str(title).replace(" ", "_"), safe="/:,()'!*@")
    url = f"https://{language}.wikipedia.org/wiki/{path}" if known else title
    return {"image": None, "title": title, "text": data.get("text"), "url": url}
