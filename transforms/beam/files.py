"""Files on any of Beam's file systems (gs://, s3://, hdfs://, a folder), written whole; a store's place there."""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import UnsupportedOperation
from typing import Final

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from gog.transforms.services.store.places import PASSING, Files

_WHOLE: Final = {"gs", "s3", "azfs"}
"""Object stores: an object is there when its upload has ended well, and not before."""
_TYPE: Final = "application/octet-stream"


class BeamFiles(Files):
    """Files below an address."""

    def __init__(self, address: str) -> None:
        """Raises `ValueError` when Beam has no file system for it, which names the extra that brings it."""
        self._address = address.rstrip("/")
        FileSystems.get_filesystem(address)

    @property
    def place(self) -> str:
        return self._address

    def names(self, folder: str) -> list[str]:
        with _told(self._at(folder)):
            (found,) = FileSystems.match([self._at(folder, "*")])
        return sorted(FileSystems.split(metadata.path)[1] for metadata in found.metadata_list)

    def read(self, folder: str, name: str) -> bytes:
        with _told(self._at(folder, name)):
            if not FileSystems.exists(self._at(folder, name)):
                raise FileNotFoundError(self._at(folder, name))
            with FileSystems.open(self._at(folder, name), _TYPE, CompressionTypes.UNCOMPRESSED) as file:
                data: bytes = file.read()
        return data

    def publish(self, folder: str, name: str, data: bytes) -> None:
        path = self._at(folder, name)
        with _told(path):
            if path.partition("://")[0] in _WHOLE:
                _create(path, data)
                return
            for needed in (PASSING, folder):
                with suppress(OSError, BeamIOError):  # it is there already
                    FileSystems.mkdirs(self._at(needed))
            write_file(path, data, self._at(PASSING, secrets.token_hex(8)))

    def remove(self, folder: str, names: Iterable[str]) -> None:
        for name in names:
            path = self._at(folder, name)
            with _told(path):
                try:
                    FileSystems.delete([path])
                except (OSError, BeamIOError):
                    if FileSystems.exists(path):
                        raise

    def _at(self, *parts: str) -> str:
        path: str = FileSystems.join(self._address, *parts)
        return path


def write_file(path: str, data: bytes, passing: str = "") -> None:
    """Write a file under another name, then rename it: `path` is whole or not there, whatever happens."""
    passing = passing or f"{path}.{secrets.token_hex(16)}.tmp"
    try:
        _create(passing, data)
        FileSystems.rename([passing], [path])
    except BaseException:
        with suppress(Exception):
            FileSystems.delete([passing])
        raise


def _create(path: str, data: bytes) -> None:
    with FileSystems.create(path, _TYPE, CompressionTypes.UNCOMPRESSED) as file:
        file.write(data)
        with suppress(AttributeError, UnsupportedOperation):  # object stores have no file number
            number = file.fileno()
            file.flush()
            os.fsync(number)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Beam's own error as an `OSError`."""
    try:
        yield
    except BeamIOError as error:
        raise OSError(f"{path}: {error}") from error
