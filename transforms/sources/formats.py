"""File formats of rows: where the shards of a file are, and the rows of one. JSONL and JSON are here; `kinds` has all.

Each format is two functions. `*_spans(path, rows)` goes over the file once and yields spans of at most so many rows;
`*_rows(path, span)` yields (number, data, error) of a span's rows. A broken row has an error; `data` is then the
start of what was there.
"""

import glob
import io
import json
import mmap
import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from gog.schemas.errors import UsageError
from gog.transforms.nearby import beside

LINE_LIMIT: Final = 128 << 20
"""Bytes of a line or a CSV field; longer ones are broken rows."""

_SAMPLE: Final = 1000
_BOM: Final = b"\xef\xbb\xbf"
_BRACES: Final = re.compile(r"(.*?)(?:\{(\d{1,18}\.\.\d{1,18}|[^{}]*,[^{}]*)\}|$)", re.DOTALL)
_MOST_FILES: Final = 100_000
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)

Rows = Iterator[tuple[int, dict[str, Any], str]]


class SourceError(UsageError, ValueError):
    """The source cannot be read at all; the message is one line."""


class Span(NamedTuple):
    """A range of bytes or rows, the number of its first row as people count it, and how many rows it has."""

    start: int
    stop: int
    first: int
    rows: int


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Errors of the disk as `SourceError`."""
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> SourceError:
    """The error of a file that the disk or a decoder refuses, in one line."""
    return SourceError(f"{path} cannot be read: {' '.join(str(error).split())[:300]}")


def find_files(path: str) -> tuple[Path, tuple[str, ...]]:
    """Folder of a file or pattern, and the names of the files below it, sorted. `SourceError` when there is none."""
    if Path(path).is_file():
        return Path(path).parent, (Path(path).name,)
    if len(several := _without_braces(path)) > 1:
        found = [folder / name for one in several for folder, names in (find_files(one),) for name in names]
        shared = Path(os.path.commonpath([file.parent for file in found]))
        return shared, tuple(dict.fromkeys(file.relative_to(shared).as_posix() for file in found))
    if Path(path).is_dir():
        if any((Path(path) / name).is_file() for name in ("dataset_dict.json", "state.json")):
            raise SourceError(f"{path} is a folder that `datasets` saved: its source is `kind: hf` with `name: {path}`")
        raise SourceError(f"{path} is a folder: name a file in it, or a pattern such as {path.rstrip('/')}/*.jsonl")
    if not glob.has_magic(path):
        raise SourceError(f"{path}: no such file{beside(path)}")
    parts = Path(path).parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    folder = Path(*parts[:fixed])
    files = sorted(file for file in folder.glob("/".join(parts[fixed:])) if file.is_file())
    if not files:
        raise SourceError(f"{path}: no file matches{beside(path)}")
    return folder, tuple(name.relative_to(folder).as_posix() for name in files)


def after_bom(file: BinaryIO, path: Path) -> int:
    """Where the text of a file begins: behind its byte order mark, where it has one. Leaves the file there.

    `SourceError` on a text of two bytes a character.
    """
    start = _bom(file.read(3), path)
    file.seek(start)
    return start


def _bom(begin: bytes, path: Path) -> int:
    """Bytes of the mark that a text begins with. `SourceError` on one of two bytes a character."""
    if begin[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SourceError(f"{path} is UTF-16 text: save it as UTF-8")
    return len(_BOM) if begin == _BOM else 0


def _without_braces(path: str) -> list[str]:
    """The paths that a pattern with braces means, as shells write them: `part-{000..012}.tar`, `{train,extra}.csv`.

    `SourceError` where they are more than 100,000.
    """
    paths = [""]
    for text, choice in _BRACES.findall(path):
        if choice and ".." in choice:
            first, _, last = choice.partition("..")
            width = len(first) if first.startswith("0") or len(first) == len(last) else 0
            numbers = range(int(first), int(last) + 1)
            choices = [f"{number:0{width}d}" for number in numbers[: _MOST_FILES + 1]]
        else:
            choices = choice.split(",") if choice else [""]
        if len(paths) * len(choices) > _MOST_FILES:
            raise SourceError(f"{path} means more than {_MOST_FILES:,} files")
        paths = [before + text + each for before in paths for each in choices]
    return paths


def grouped(rows: Iterator[tuple[int, int, int]], size: int) -> Iterator[Span]:
    """Spans of `size` rows out of (first byte, byte behind the last, number) of each row."""
    span: Span | None = None
    for start, stop, number in rows:
        span = Span(start, stop, number, 1) if span is None else span._replace(stop=stop, rows=span.rows + 1)
        if span.rows == size:
            yield span
            span = None
    if span is not None:
        yield span


# JSONL: a row is a line that is not blank; its number is that of the line.


def _lines(file: BinaryIO, start: int, stop: int | None, number: int) -> Iterator[tuple[int, int, int, bytes | None]]:
    """(first byte, byte behind, number, line) of lines that are not blank; None for a line above the limit. The file
    is at `start`.
    """
    while (stop is None or start < stop) and (line := file.readline(LINE_LIMIT + 1)):
        size = len(line)
        if size > LINE_LIMIT and not line.endswith(b"\n"):
            while rest := file.readline(1 << 20):
                size += len(rest)
                if rest.endswith(b"\n"):
                    break
            yield start, start + size, number, None
        elif line.strip():
            yield start, start + size, number, line
        start += size
        number += 1


def jsonl_spans(path: Path, rows: int) -> Iterator[Span]:
    """Spans of bytes."""
    with path.open("rb", buffering=1 << 20) as file:
        start = after_bom(file, path)
        yield from grouped(((a, b, number) for a, b, number, _ in _lines(file, start, None, 1)), rows)


def jsonl_stream(file: BinaryIO, path: Path) -> Rows:
    """The rows of a file that is read once, from where it is; `path` is its name. Raises as reading it does, and
    `SourceError` on a text of two bytes a character.
    """
    with io.BufferedReader(file, 1 << 16) as lines:  # type: ignore[type-var]
        lines.read(_bom(lines.peek(3)[:3], path))
        yield from _rows(lines, 0, None, 1)


def jsonl_rows(path: Path, span: Span) -> Rows:
    """The rows of a span."""
    with path.open("rb", buffering=1 << 20) as file:
        file.seek(span.start)
        yield from _rows(file, span.start, span.stop, span.first)


def _rows(file: BinaryIO, start: int, stop: int | None, first: int) -> Rows:
    for _, _, number, line in _lines(file, start, stop, first):
        if line is None:
            yield number, {}, f"the line is longer than {LINE_LIMIT} bytes"
        else:
            yield number, *_object(line)


def _object(raw: bytes) -> tuple[dict[str, Any], str]:
    """A JSON object, or what there was and why it is none."""
    try:
        value = json.loads(raw.decode())
    except UnicodeDecodeError as error:
        return _start(raw), f"not UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        return _start(raw), f"not JSON: {error.msg} at character {error.pos}"
    except (ValueError, RecursionError):  # numbers of thousands of digits, brackets without end
        return _start(raw), "not JSON that can be read: a number too long, or nested too deep"
    if not isinstance(value, dict):
        return _start(raw), f"a row is an object with columns, this is a {type(value).__name__}"
    return value, ""


def _start(raw: bytes) -> dict[str, Any]:
    return {"raw": raw[:_SAMPLE].decode("utf-8", "backslashreplace")}


# JSON: a list of objects. The file is mapped into memory, and only the places of brackets and commas are looked for,
# so that its size does not matter, and one broken element costs itself.


def json_spans(path: Path, rows: int) -> Iterator[Span]:
    """Spans of bytes. `SourceError` when the file does not begin a list."""
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty: expected a JSON list of objects")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = after_bom(file, path)
        while data[start : start + 1].isspace():
            start += 1
        if data[start : start + 1] != b"[":
            raise SourceError(f"{path}: expected a JSON list of objects; a file with one object a line is jsonl")
        stop = len(data)
        while data[stop - 1 : stop].isspace():
            stop -= 1
        if data[stop - 1 : stop] == b"]" and stop - 1 > start:
            stop -= 1
        # Closed before the file is: the search holds it, and whoever reads may stop anywhere.
        with closing(_elements(data, start + 1, stop)) as elements:
            for span in grouped(((a, b, n) for n, (a, b) in enumerate(elements, start=1)), rows):
                if hasattr(mmap, "MADV_DONTNEED"):  # what was gone over need not stay in memory
                    data.madvise(mmap.MADV_DONTNEED, 0, span.stop)
                yield span


def json_rows(path: Path, span: Span) -> Rows:
    """The rows of a span."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        closing(_elements(data, span.start, span.stop)) as elements,
    ):
        for number, (start, stop) in enumerate(elements, start=span.first):
            if stop - start > LINE_LIMIT:
                yield number, _start(data[start : start + _SAMPLE]), f"the element is longer than {LINE_LIMIT} bytes"
            else:
                yield number, *_object(data[start:stop])


def _elements(data: mmap.mmap, start: int, stop: int) -> Generator[tuple[int, int], None, None]:
    """Places of the elements of a list between `start` and `stop`: what lies between commas outside of brackets."""
    depth = 0
    for token in _TOKEN.finditer(data, start, stop):
        match data[token.start()]:
            case 0x5B | 0x7B:
                depth += 1
            case 0x5D | 0x7D:
                depth = max(0, depth - 1)
            case 0x2C if depth == 0:
                yield start, token.start()
                start = token.end()
    if data[start:stop].strip():
        yield start, stop


Format = tuple[Callable[[Path, int], Iterator[Span]], Callable[[Path, Span], Rows]]
"""Where the spans of a file are, and the rows of one."""
