"""A place of one of Beam's file systems (gs://, s3://, hdfs://, a folder) as `store_places.Files`."""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from gog.transforms.services.store.places import PASSING

_WHOLE: Final = {"gs", "s3", "azfs"}
"""Object stores: an object is there when its upload has ended well, and not before."""
_TYPE: Final = "application/octet-stream"


class BeamFiles:
    """Files below an address."""

    def __init__(self, address: str) -> None:
        """Raises `ValueError` when Beam has no file system for it, which names the extra that brings it."""
        self._address = address.rstrip("/")
        FileSystems.get_filesystem(address)

    @property
    def place(self) -> str:
        """See `Files`."""
        return self._address

    def names(self, folder: str) -> list[str]:
        """See `Files`."""
        with _told(self._at(folder)):
            (found,) = FileSystems.match([self._at(folder, "*")])
        return sorted(FileSystems.split(metadata.path)[1] for metadata in found.metadata_list)

    def read(self, folder: str, name: str) -> bytes:
        """See `Files`."""
        with _told(self._at(folder, name)):
            if not FileSystems.exists(self._at(folder, name)):
                raise FileNotFoundError(self._at(folder, name))
            with FileSystems.open(self._at(folder, name), _TYPE, CompressionTypes.UNCOMPRESSED) as file:
                data: bytes = file.read()
        return data

    def publish(self, folder: str, name: str, data: bytes) -> None:
        """See `Files`."""
        path = self._at(folder, name)
        whole = path.partition("://")[0] in _WHOLE
        place = path if whole else self._at(PASSING, secrets.token_hex(8))
        with _told(path):
            if not whole:
                for needed in (PASSING, folder):
                    with suppress(OSError, BeamIOError):  # it is there already
                        FileSystems.mkdirs(self._at(needed))
            with FileSystems.create(place, _TYPE, CompressionTypes.UNCOMPRESSED) as file:
                file.write(data)
            if not whole:
                FileSystems.rename([place], [path])

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """See `Files`."""
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


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Beam's own error as an `OSError`."""
    try:
        yield
    except BeamIOError as error:
        raise OSError(f"{path}: {error}") from error
