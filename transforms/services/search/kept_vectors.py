"""Vectors by the hash of what they were made of, so that a build pays for what is new.

They are those of the index that is replaced, and those that a build had made when it was ended: each goes into a file
beside the index as soon as it is there (`.NAME.embedded`: a line of JSON, and then hash and vector by turns).
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gog.transforms.services.encoders.encoder import Vectors

_KEY: Final = 32
"""Bytes of a hash."""
_HEAD: Final = 4096
"""Of its line, at most."""


class KeptVectors:
    """What is known of one encoder's vectors for the index in a folder."""

    def __init__(self, folder: Path, encoder: str) -> None:
        """`encoder` is its id."""
        self._path, self._encoder = folder.parent / f".{folder.name}.embedded", encoder
        self._found: dict[bytes, tuple[Vectors, int]] = {}
        self._size = 0
        self._earlier: Vectors | None = None
        self._know(*self._read())

    def get(self, key: bytes) -> NDArray[np.float32] | None:
        """The vector; None where it is not known."""
        if key not in self._found:
            return None
        rows, number = self._found[key]
        row: NDArray[np.float32] = rows[number]
        return row

    def number(self, key: bytes) -> int:
        """Of the row in the index that is replaced, or -1."""
        rows, number = self._found.get(key, (None, -1))
        return number if rows is self._earlier else -1

    def take(self, keys: Iterable[bytes], rows: Vectors) -> None:
        """Know those of the index that is replaced, too; nothing is written."""
        self._earlier = rows
        self._know(keys, rows)

    def _know(self, keys: Iterable[bytes], rows: Vectors) -> None:
        for number, key in enumerate(keys):
            self._found[key] = (rows, number)

    def add(self, keys: Sequence[bytes], rows: Vectors) -> None:
        """Keep what was made, for a later build. Raises `OSError`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.truncate(self._size)
            if not self._size:
                head = {"encoder": self._encoder, "dimensions": rows.shape[1]}
                self._size += file.write(f"{json.dumps(head)}\n".encode())
            for key, row in zip(keys, rows, strict=True):
                self._size += file.write(key + row.astype("<f4").tobytes())

    def drop(self) -> None:
        """Once the index is there, it holds them."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[list[bytes], Vectors]:
        """What an ended build left, up to a record that it was in the middle of; nothing of another encoder."""
        nothing = list[bytes](), np.zeros((0, 1), np.float32)
        try:
            with self._path.open("rb") as file:
                head = json.loads(file.readline(_HEAD))
                if head["encoder"] != self._encoder:
                    return nothing
                start, length = file.tell(), _KEY + 4 * int(head["dimensions"])
        except (OSError, ValueError, KeyError, TypeError):
            return nothing
        count = (self._path.stat().st_size - start) // length
        if not count:
            return nothing
        self._size = start + count * length
        kind = np.dtype([("key", f"V{_KEY}"), ("row", "<f4", (int(head["dimensions"]),))])
        records = np.memmap(self._path, kind, "r", start, (count,))
        return [key.tobytes() for key in records["key"]], records["row"]
