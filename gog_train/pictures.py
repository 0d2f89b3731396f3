"""Pictures of rollouts: those of a batch in memory, and beside a store those that its answers brought along.

A search that a store answers brings no pictures of its results along; the lake of the store has them.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from gog.transforms.atomic import write_file
from gog.transforms.images import sha256_hex
from gog.transforms.passing_images import PassingImages

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class KeptPictures(PassingImages):
    """Pictures in memory, and behind them those in the folder `images` of a lake, which `clear` leaves alone."""

    def __init__(self, folder: Path) -> None:
        """Reads `folder/ab/abcd....jpg`, whatever the suffix."""
        super().__init__()
        self._folder = folder

    def read(self, sha256: str) -> bytes:
        """The bytes; `KeyError` when there are none, or when they are others."""
        with suppress(KeyError):
            return super().read(sha256)
        path = self._path(sha256)
        if path is not None and sha256_hex(data := path.read_bytes()) == sha256:
            return data
        raise KeyError(sha256)

    def has(self, sha256: str) -> bool:
        """Whether the bytes are there."""
        return super().has(sha256) or self._path(sha256) is not None

    def keep(self, data: bytes, suffix: str) -> None:
        """Put the bytes into the folder."""
        sha256 = sha256_hex(data)
        if self._path(sha256) is None:
            path = self._folder / sha256[:2] / f"{sha256}.{suffix}"
            write_file(path, data, sync=False, within=self._folder / ".passing")

    def _path(self, sha256: str) -> Path | None:
        if not _SHA256.fullmatch(sha256):
            return None
        return next((self._folder / sha256[:2]).glob(f"{sha256}.*"), None)


class FoundPictures:
    """The pictures as searches have them that a store records: what they bring along stays. An `ImageStore`."""

    def __init__(self, pictures: KeptPictures) -> None:
        """Keep into the folder of `pictures`."""
        self._pictures = pictures

    def read(self, sha256: str) -> bytes:
        """The bytes; `KeyError` when there are none."""
        return self._pictures.read(sha256)

    def has(self, sha256: str) -> bool:
        """Whether the bytes are there."""
        return self._pictures.has(sha256)

    def put(self, data: bytes, suffix: str) -> str:
        """Keep the bytes; returns their sha256."""
        self._pictures.keep(data, suffix)
        return self._pictures.put(data, suffix)
