"""Where a store of many workers lies: files that are written whole or not at all, never changed, and listed truly.

`LocalFiles` is a folder; `gog.transforms.beam.files.BeamFiles` is a place of any of Beam's file systems (gs://, s3://).
Both promise what segments and leases rest on: a file that `publish` has returned from is in every later `names`, of
any process. Google Cloud Storage, S3 and local disks list so; a file system that lists late does not do.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from gog.transforms.atomic import write_file

PASSING: Final = ".passing"


class Files(Protocol):
    """Files by name (`FOLDER/NAME`) below a place. Trouble with the file system is an `OSError`."""

    @property
    def place(self) -> str:
        """Where it is, for messages."""

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, in order; none where there is no folder."""

    def read(self, folder: str, name: str) -> bytes:
        """What is in a file. Raises `FileNotFoundError`."""

    def publish(self, folder: str, name: str, data: bytes) -> None:
        """Write a file: it is there as a whole, or not at all."""

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """Remove files; those that are gone already are fine."""


class LocalFiles(Files):
    """A folder of this machine, or one that several mount."""

    def __init__(self, root: Path) -> None:
        """The folder is made by the first `publish`."""
        self._root = root

    @property
    def place(self) -> str:
        return str(self._root)

    def names(self, folder: str) -> list[str]:
        try:
            with os.scandir(self._root / folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_file())
        except FileNotFoundError:
            return []

    def read(self, folder: str, name: str) -> bytes:
        return (self._root / folder / name).read_bytes()

    def publish(self, folder: str, name: str, data: bytes) -> None:
        write_file(self._root / folder / name, data, within=self._root / PASSING)

    def remove(self, folder: str, names: Iterable[str]) -> None:
        for name in names:
            (self._root / folder / name).unlink(missing_ok=True)
