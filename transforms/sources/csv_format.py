"""CSV and TSV as a format of rows (see `gog.transforms.sources.formats`), with strict quotes.

A row is a record; its number is that of the record, without the header. A cell is quoted where its first character
opens a quote and the one that closes it is followed by a delimiter or the end of the line, which may be a later line.
A cell that only begins like one (`"Stop" is on the sign`) is text, quotes and all. A quote that stays open costs its
line alone: the next row begins on the next line.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from gog.transforms.sources import formats
from gog.transforms.sources.formats import Rows, SourceError, Span, after_bom, grouped

_DELIMITERS: Final = ",;\t|"
_WIDEST: Final = 20_000
"""Characters of a broken line that are kept."""


class Dialect(NamedTuple):
    """How cells are parted and quoted."""

    delimiter: str = ""
    """One character. Empty: a tab in files named .tsv or .tab, else a comma, or what parts a header without one."""
    quote: str = '"'
    """One character, or empty where quotes are text."""


AS_USUAL: Final = Dialect()


class _Broken(NamedTuple):
    """What is wrong with a line, which is `lines` behind the first of the record."""

    why: str


def csv_spans(path: Path, rows: int, dialect: Dialect = AS_USUAL) -> Iterator[Span]:
    """Spans of bytes. `SourceError` without a header."""
    with path.open("rb", buffering=1 << 20) as file:
        reader = _Reader(file, path, dialect)
        yield from grouped(((a, b, n) for n, (a, b, _) in enumerate(reader.records(None), start=1)), rows)


def csv_rows(path: Path, span: Span, dialect: Dialect = AS_USUAL) -> Rows:
    """The rows of a span; all values are text."""
    with path.open("rb", buffering=1 << 20) as file:
        reader = _Reader(file, path, dialect)
        reader.offset = span.start
        counted, lines = 0, 0  # the bytes and the line breaks before them: only a span with a broken row counts any
        for number, (start, _, cells) in enumerate(reader.records(span.stop), start=span.first):
            row, error = _named(reader.names, cells)
            if error:
                counted, lines = start, lines + _line_breaks(path, counted, start)
                error = f"line {lines + 1}: {error}"
            yield number, row, error


def _line_breaks(path: Path, start: int, stop: int) -> int:
    """Line breaks between two bytes of a file."""
    count = 0
    with path.open("rb") as file:
        file.seek(start)
        while start < stop and (block := file.read(min(1 << 20, stop - start))):
            count += block.count(b"\n")
            start += len(block)
    return count


def _named(names: list[str], cells: list[str] | _Broken) -> tuple[dict[str, Any], str]:
    if isinstance(cells, _Broken):
        return {}, cells.why
    error = ""
    if len(cells) != len(names):
        error = f"{len(cells)} cells where the header names {len(names)} columns"
    elif any("\udc80" <= char <= "\udcff" for cell in cells if not cell.isascii() for char in cell):
        cells = [cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for cell in cells]
        error = "not UTF-8"
    return dict(zip(names, cells, strict=False)), error


class _Reader:
    """The records of an open file; `offset` is where the next one begins, behind the header at first."""

    def __init__(self, file: BinaryIO, path: Path, dialect: Dialect) -> None:
        """`SourceError` where the file does not begin with the names of the columns."""
        self._file = file
        self.offset = after_bom(file, path)
        self.names: list[str] = []
        first = file.readline(formats.LINE_LIMIT).decode("utf-8", "surrogateescape")
        self._delimiter = dialect.delimiter or _delimiter(first, path)
        self._quote = dialect.quote
        self._body = (
            re.compile(f"(?:[^{re.escape(dialect.quote)}]|{re.escape(dialect.quote) * 2})*+") if dialect.quote else None
        )
        header = next(self.records(None), None)
        if header is None or isinstance(header[2], _Broken):
            why = f": {header[2].why}" if header and isinstance(header[2], _Broken) else ""
            raise SourceError(f"{path}: expected a line with the names of the columns{why}")
        self.names = [name.strip() or f"Unnamed: {number}" for number, name in enumerate(header[2])]
        if len(set(self.names)) < len(self.names) or not any(name.strip() for name in header[2]):
            raise SourceError(f"{path}: the names of the columns are not each once: {', '.join(self.names)[:300]}")
        if "\r" in "".join(header[2]):
            raise SourceError(f"{path}: its lines end with a carriage return alone: save it with LF or CRLF")

    def records(self, stop: int | None) -> Iterator[tuple[int, int, list[str] | _Broken]]:
        """(first byte, byte behind, cells or what is wrong) of the records that are not blank."""
        while stop is None or self.offset < stop:
            start = self.offset
            self._file.seek(start)
            line, whole = self._line()
            after_first = self.offset
            if not line:
                return
            if not line.strip("\r\n"):
                continue
            cells = self._cells(line) if whole else _Broken(f"the line is longer than {formats.LINE_LIMIT} bytes")
            if isinstance(cells, _Broken):
                self.offset = after_first
            yield start, self.offset, cells

    def _line(self) -> tuple[str, bool]:
        """The next line, and whether it is whole; of one above the limit the start. Bytes that are not UTF-8 become
        surrogates.
        """
        line = self._file.readline(formats.LINE_LIMIT + 1)
        self.offset += len(line)
        whole = len(line) <= formats.LINE_LIMIT
        if not whole and not line.endswith(b"\n"):
            while rest := self._file.readline(1 << 20):
                self.offset += len(rest)
                if rest.endswith(b"\n"):
                    break
        return (line if whole else line[:_WIDEST]).decode("utf-8", "surrogateescape"), whole

    def _cells(self, line: str) -> list[str] | _Broken:
        """The cells of the record that begins with a line; reads further lines where a quote is open at its end."""
        if self._body is None or self._quote not in line:
            return line.rstrip("\r\n").split(self._delimiter)
        cells: list[str] = []
        lines, at, size = [line], 0, len(line)
        while True:
            if line.startswith(self._quote, at):
                before, parts = len(lines), list[str]()
                begin = at + 1
                while (end := self._end(line, begin)) == len(line):
                    parts.append(line[begin:])
                    line, whole = self._line()
                    begin, size = 0, size + len(line)
                    if not line or not whole or size > formats.LINE_LIMIT:
                        return _Broken("a quote opens here and is never closed")
                    lines.append(line)
                if line.startswith((self._delimiter, "\n", "\r\n"), end + 1) or end + 1 == len(line):
                    if len(lines) > before and self._swallowed(lines):
                        return _Broken(f"a quote opens here and swallows whole rows, down to {line.strip()[:60]!r}")
                    parts.append(line[begin:end])
                    cells.append("".join(parts).replace(self._quote * 2, self._quote))
                    at = end + 1
                    if line.startswith(self._delimiter, at):
                        at += 1
                        continue
                    break
                if len(lines) > before:
                    return _Broken("a quote opens here and is not closed before another one")
            stop = line.find(self._delimiter, at)
            if stop < 0:
                cells.append(line[at:].rstrip("\r\n"))
                break
            cells.append(line[at:stop])
            at = stop + 1
        if len(lines) > 1 and self.names and len(cells) != len(self.names):
            return _Broken(f"a quote opens here, and down to where it closes there are {len(cells)} cells, "
                           f"not {len(self.names)}")  # fmt: skip
        return cells

    def _end(self, line: str, begin: int) -> int:
        """Where the quote that opened before `begin` closes in the line; its length where it does not."""
        assert self._body is not None
        match = self._body.match(line, begin)
        return match.end() if match else begin

    def _swallowed(self, lines: list[str]) -> bool:
        """Whether a cell over several lines is a quote left open that met a stray one in a later row (`a 24" screen`):
        every line is a whole row by itself, and no delimiter is followed by a space, as those in prose are.
        """
        text = "".join(lines)
        return (
            len(self.names) > 1
            and text.count(self._quote) == 2
            and all(line.count(self._delimiter) == len(self.names) - 1 for line in lines)
            and not re.search(f"{re.escape(self._delimiter)}\\s", text)
        )


def _delimiter(header: str, path: Path) -> str:
    """What parts the cells where no setting says so."""
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    there = [char for char in _DELIMITERS if char in header]
    return there[0] if len(there) == 1 else ","
