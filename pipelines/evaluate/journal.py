"""The journal of an evaluation: an answer a line, in the order that they came; the last line of an item counts."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from pydantic import ValidationError

from gog.transforms.evaluate.answered import Answered


class Journal:
    """Answers of one benchmark and paradigm. A context: its file is closed at the end."""

    def __init__(self, path: Path) -> None:
        """Nothing is written before the first answer."""
        self._path = path
        self._file: BinaryIO | None = None

    def rows(self) -> Iterator[Answered]:
        """What is kept. A line that a kill cut off, or that another version wrote, is none: its item is asked again."""
        if not self._path.exists():
            return
        with self._path.open("rb") as lines:
            for line in lines:
                with suppress(ValidationError):
                    yield Answered.model_validate_json(line)

    def add(self, row: Answered) -> None:
        """Keep one: when this returns, a killed process no longer loses it."""
        if self._file is None:
            self._file = self._open()
        self._file.write(row.model_dump_json().encode() + b"\n")
        self._file.flush()

    def _open(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("ab+")
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")  # a kill cut off the last line
        return file

    def __enter__(self) -> Self:
        """The journal."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
