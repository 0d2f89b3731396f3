"""What a build has done, so that one that is killed goes on: files that only grow, and a line for each block that says
how far they were when it was done.
"""

import json
import os
import shutil
import zlib
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import Any, Final, NamedTuple

from gog.transforms.services.search.index_folder import IndexUnwrittenError

_JOURNAL: Final = "journal.jsonl"
_LONGEST: Final = 16 << 20
"""Bytes of a line."""


class Done(NamedTuple):
    """A block that is done: what it added to each file, and what is noted of it."""

    pieces: dict[str, bytes]
    said: dict[str, Any]


class Begun:
    """A folder beside an index that is being built, for one process at a time."""

    def __init__(self, index: Path, of: str, names: tuple[str, ...]) -> None:
        """`names` are the files. Of blocks that were made otherwise than `of` says none is known.

        Raises `IndexUnwrittenError` where another process is at it, `OSError`.
        """
        self.folder = index.parent / f".{index.name}.begun"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ends = dict.fromkeys(names, 0)
        head = json.dumps({"of": of, "files": names}).encode() + b"\n"
        with ExitStack() as opened:
            opened.callback(os.close, _locked(self.folder, index))
            self._files = {name: opened.enter_context(_growing(self.folder / name)) for name in names}
            self._journal = opened.enter_context(_growing(self.folder / _JOURNAL))
            self._journal.seek(0)
            self._known, self._at = self._journal.readline(_LONGEST) == head, len(head)
            """Whether there may be more that is done, and where it stands in the journal."""
            if not self._known:
                self._forget(0)
                _write(self._journal, head)
            self.close = opened.pop_all().close
            """Leave it as it is."""

    def next(self, key: bytes) -> Done | None:
        """What the next block came to, if it has this key; else all behind the last is forgotten, and None."""
        if not self._known:
            return None
        self._journal.seek(self._at)
        line = self._journal.readline(_LONGEST)
        try:
            told = json.loads(line)
            ends, sums = told["ends"], told["sums"]
            pieces = {name: self._piece(name, ends[name]) for name in self._ends}
            whole = line.endswith(b"\n") and told["key"] == key.hex()
            if whole and all(zlib.crc32(piece) == sums[name] for name, piece in pieces.items()):
                self._ends, self._at = {name: ends[name] for name in self._ends}, self._at + len(line)
                return Done(pieces, told["said"])
        except (ValueError, KeyError, TypeError):
            pass  # a kill in the middle of a line, or in its files
        self.ended()
        return None

    def ended(self) -> None:
        """No block that is known comes any more: all behind the last is forgotten."""
        if self._known:
            self._known = False
            self._forget(self._at)

    def add(self, key: bytes, done: Done) -> None:
        """A block is done: what it adds to the files is written, and then its line. Raises `OSError`."""
        for name, piece in done.pieces.items():
            _write(self._files[name], piece)
            self._ends[name] += len(piece)
        sums = {name: zlib.crc32(piece) for name, piece in done.pieces.items()}
        line = {"key": key.hex(), "ends": self._ends, "sums": sums, "said": done.said}
        _write(self._journal, json.dumps(line).encode() + b"\n")

    def drop(self) -> None:
        """Once the index is there, it holds all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _piece(self, name: str, end: int) -> bytes:
        start, file = self._ends[name], self._files[name]
        if not start <= end <= file.seek(0, os.SEEK_END):
            raise ValueError("the file is shorter")
        file.seek(start)
        data = bytearray()
        while len(data) < end - start and (part := file.read(end - start - len(data))):
            data += part
        return bytes(data)

    def _forget(self, at: int) -> None:
        for name, end in self._ends.items():
            self._files[name].truncate(end)
        self._journal.truncate(at)


def _growing(path: Path) -> FileIO:
    return FileIO(path, "a+")


def _write(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _locked(folder: Path, index: Path) -> int:
    import fcntl  # not on Windows, where only this fails

    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise IndexUnwrittenError(f"another process writes the index {index}: wait for it to end") from None
    return lock
