"""Where a store of many workers lies: files that are written whole or not at all, never changed, and listed truly.

`LocalFiles` is a folder; `gog.transforms.beam.files.BeamFiles` is a place of any of Beam's file systems (gs://, s3://).
Both promise what segments and leases rest on: a file that `publish` has returned from is in every later `names`, of
any process. Google Cloud Storage, S3 and local disks list so; a file system that lists late does not do.
"""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

PASSING: Final = ".passing"


class Files(Protocol):
    """Files by name (`FOLDER/NAME`) below a place. Trouble with the file system is an `OSError`."""

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, in order; none where there is no folder."""
        ...

    def read(self, folder: str, name: str) -> bytes:
        """What is in a file. Raises `FileNotFoundError`."""
        ...

    def publish(self, folder: str, name: str, data: bytes) -> None:
        """Write a file: it is there as a whole, or not at all."""
        ...

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """Remove files; those that are gone already are fine."""
        ...


class LocalFiles:
    """A folder of this machine, or one that several mount."""

    def __init__(self, root: Path) -> None:
        """The folder is made by the first `publish`."""
        self._root = root

    @property
    def place(self) -> str:
        """See `Files`."""
        return str(self._root)

    def names(self, folder: str) -> list[str]:
        """See `Files`."""
        try:
            with os.scandir(self._root / folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_file())
        except FileNotFoundError:
            return []

    def read(self, folder: str, name: str) -> bytes:
        """See `Files`."""
        return (self._root / folder / name).read_bytes()

    def publish(self, folder: str, name: str, data: bytes) -> None:
        """See `Files`."""
        path = self._root / folder / name
        passing = self._root / PASSING / secrets.token_hex(8)
        path.parent.mkdir(parents=True, exist_ok=True)
        passing.parent.mkdir(exist_ok=True)
        try:
            with passing.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            passing.replace(path)
        except BaseException:
            with suppress(OSError):
                passing.unlink(missing_ok=True)
            raise

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """See `Files`."""
        for name in names:
            (self._root / folder / name).unlink(missing_ok=True)
