"""Tar files as a format of rows (see `gog.transforms.sources.formats`): WebDataset shards, and the members of any tar.

A row is a run of members with one key: the path up to the first dot of the file name. Its columns are the extensions
in lower case: `json` is parsed, text (`txt`, `cls`, `text`) decoded, anything else bytes. `__key__` is the key, and
`image` the member `KEY.jpg` or of another picture's extension; `KEY.mask.png` is a column of its own. Hidden files
(`._1.png`, which macOS adds) are passed over. Compressed tars cannot be read from the middle.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from gog.transforms.sources.formats import LINE_LIMIT, Rows, SourceError, Span, unreadable

IMAGES: Final = (
    *("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"),
    *("avif", "jp2", "j2k", "ppm", "pgm", "pbm", "pnm", "ico"),
)
_TEXTS: Final = ("txt", "text", "cls", "caption")
_BLOCK: Final = 512
_LONGEST_HEADER: Final = 1 << 20


class Member(NamedTuple):
    """A plain file in a tar: its path, where its headers begin, and where its bytes lie."""

    name: str
    start: int
    offset: int
    size: int


def tar_members(file: BinaryIO, path: Path, start: int = 0, stop: int | None = None) -> Iterator[Member]:
    """The plain files in a tar, from the header at `start` to the one at `stop`. `SourceError` where it is damaged."""
    size = path.stat().st_size
    file.seek(start)
    try:
        with tarfile.open(fileobj=_Headers(file), mode="r:") as tar:
            while (stop is None or tar.offset < stop) and (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined, misc, unused-ignore]  # they would be kept: a kilobyte each
                if info.offset_data + info.size > size:
                    raise SourceError(f"{path} is cut off in {info.name[:200]!r}: copy or download it again")
                if info.isreg():
                    yield Member(info.name, info.offset, info.offset_data, info.size)
            end = tar.offset
    except (tarfile.TarError, RecursionError) as error:  # a header behind each header
        with path.open("rb") as first:
            packed = first.read(2) == b"\x1f\x8b" or path.suffix in {".gz", ".bz2", ".xz", ".zst"}
        if packed:
            raise SourceError(f"{path} is compressed: unpack it to a plain .tar first") from error
        raise unreadable(path, error) from error
    # tarfile takes a damaged header for the end.
    file.seek(end)
    if end < size and stop is None and file.read(_BLOCK).strip(b"\0"):
        raise SourceError(f"{path} is damaged at byte {end}: copy or download it again")


class _Headers(io.RawIOBase):
    """A tar's file as `tarfile` reads headers from it: one that wants much read is made to use up memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)

    def seek(self, at: int, whence: int = 0, /) -> int:
        return self._file.seek(at, whence)

    def tell(self) -> int:
        return self._file.tell()


def key_of(name: str) -> tuple[str, str]:
    """Key and extension of a member; the extension of a hidden file is empty, as that of a file without one."""
    folder, slash, file = name.rpartition("/")
    if file.startswith("."):
        return name, ""
    stem, _, extension = file.partition(".")
    return f"{folder}{slash}{stem}", extension.lower()


def webdataset_spans(path: Path, rows: int) -> Iterator[Span]:
    """Spans of bytes. `SourceError` when it is no plain tar, or a damaged one."""
    with path.open("rb") as file:
        key: str | None = None
        start, number, count = 0, 1, 0
        for member in tar_members(file, path):
            found, extension = key_of(member.name)
            if not extension or found == key:
                continue
            key = found
            if count == rows:
                yield Span(start, member.start, number, count)
                start, number, count = member.start, number + count, 0
            elif not count:
                start = member.start
            count += 1
        if count:
            yield Span(start, path.stat().st_size, number, count)


def webdataset_rows(path: Path, span: Span) -> Rows:
    """The rows of a span."""
    with path.open("rb") as file, path.open("rb") as data:
        number, key, row, error = span.first, "", dict[str, Any](), ""
        for member in tar_members(file, path, span.start, span.stop):
            found, extension = key_of(member.name)
            if not extension:
                continue
            if row and found != key:
                yield number, row, error
                number, row, error = number + 1, {}, ""
            key = found
            row["__key__"] = key
            if member.size > LINE_LIMIT:
                error = f"{extension!r} is longer than {LINE_LIMIT} bytes"
                continue
            data.seek(member.offset)
            value, wrong = _value(extension, data.read(member.size))
            row[extension] = value
            error = error or wrong
            if extension in IMAGES:
                row.setdefault("image", value)
        if row:
            yield number, row, error


def _value(extension: str, raw: bytes) -> tuple[Any, str]:
    kind = extension.rpartition(".")[2]
    if kind not in {"json", *_TEXTS}:
        return raw, ""
    try:
        text = raw.decode("utf-8-sig")
        return (json.loads(text), "") if kind == "json" else (text.strip(), "")
    except UnicodeDecodeError as error:
        return raw[:1000].decode("utf-8", "backslashreplace"), f"{extension!r} is not UTF-8 at byte {error.start}"
    except (ValueError, RecursionError):
        return raw[:1000].decode("utf-8", "backslashreplace"), f"{extension!r} is not JSON"
