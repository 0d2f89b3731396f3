"""Images by content on an object store, with those that were read or written last on this machine's disk."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from gog.pipelines.lake.disk import LakeError, disk_errors
from gog.pipelines.lake.image_files import SUFFIXES, is_sha256
from gog.transforms.atomic import write_file
from gog.transforms.images import sha256_hex
from gog.transforms.object_path import ABSENT, ObjectPath
from gog.transforms.recent import Recent

CACHE_GB: Final = "GOG_CACHE_GB"
"""Environment variable: the bound of the cache."""
PASSING: Final = ".passing"
_GB: Final = 4.0
_REMEMBERED: Final = 100_000
_SWEEP: Final = 0.1
"""The oldest go when so much of the bound was written since they went last, down to so much below it."""


class ImageObjects:
    """Images by content below a place: `ab/abcd....jpg`. An `ImageStore`; safe in threads and processes."""

    def __init__(self, place: ObjectPath, cache: Path) -> None:
        self._place = place
        self._cache = ImageCache(cache, int(float(os.environ.get(CACHE_GB) or _GB) * 1e9))
        self.passing = cache / PASSING
        """Where files of the cache are written before they get their names."""
        self._put: Recent[str, bool] = Recent(_REMEMBERED)
        """Those that this process has put last: they are there."""

    def path(self, sha256: str) -> ObjectPath:
        """The image's object; `KeyError` when there is none."""
        for path in self._places(sha256):
            with disk_errors(path, "read"):
                if path.exists():
                    return path
        raise KeyError(sha256)

    def read(self, sha256: str) -> bytes:
        """The bytes; `KeyError` when there are none, `LakeError` when they are not those that were put."""
        if is_sha256(sha256) and (data := self._cache.read(sha256)) is not None:
            return data
        for path in self._places(sha256):
            try:
                with disk_errors(path, "read"):
                    data = path.read_bytes()
            except LakeError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    continue
                raise
            if sha256_hex(data) != sha256:
                raise LakeError(f"{path} is damaged: its content has another sha256; remove it and run again")
            self._cache.keep(sha256, data)
            return data
        raise KeyError(sha256)

    def has(self, sha256: str) -> bool:
        """Whether the image is there, or was when this machine last had it."""
        if self._put.get(sha256) or (is_sha256(sha256) and self._cache.has(sha256)):
            return True
        try:
            self.path(sha256)
        except KeyError:
            return False
        return True

    def put(self, data: bytes, suffix: str) -> str:
        """Keep the bytes, once; returns their sha256."""
        if suffix not in SUFFIXES:
            raise ValueError(f"an image is one of {', '.join(SUFFIXES)}, not {suffix!r}")
        sha256 = sha256_hex(data)
        if not self._put.get(sha256):
            path = self._place / sha256[:2] / f"{sha256}.{suffix}"
            with disk_errors(path, "write"), suppress(FileExistsError):
                path.write(data, ABSENT)
            self._put.put(sha256, True)
            self._cache.keep(sha256, data)
        return sha256

    def remove(self, sha256: str) -> None:
        """Remove the image, where it is there, here and from this machine's disk."""
        with suppress(KeyError):
            path = self.path(sha256)
            with disk_errors(path, "remove"):
                path.unlink()
        self._cache.drop(sha256)
        self._put.drop(sha256)

    def _places(self, sha256: str) -> Iterator[ObjectPath]:
        if is_sha256(sha256):
            for suffix in SUFFIXES:
                yield self._place / sha256[:2] / f"{sha256}.{suffix}"


class ImageCache:
    """Files by hash in a folder, of at most so many bytes in sum: the ones that were used last. Safe in processes.

    A disk that is full or read-only keeps none, and that is no error.
    """

    def __init__(self, folder: Path, bound: int) -> None:
        self._folder, self._bound = folder, bound
        self._written = bound
        """Bytes since the oldest went; at first, whatever another process has left."""

    def read(self, sha256: str) -> bytes | None:
        """The bytes, where they are there and whole."""
        path = self._file(sha256)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return data if sha256_hex(data) == sha256 else None

    def has(self, sha256: str) -> bool:
        """Whether something of this name is there."""
        return self._file(sha256).is_file()

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep the bytes; the oldest go where they are too many."""
        if len(data) > self._bound:
            return
        with suppress(OSError):
            write_file(self._file(sha256), data, sync=False, within=self._folder / PASSING)
            self._written += len(data)
            if self._written > _SWEEP * self._bound:
                self._sweep()
                self._written = 0

    def drop(self, sha256: str) -> None:
        """Remove the bytes."""
        self._file(sha256).unlink(missing_ok=True)

    def _sweep(self) -> None:
        found = []
        for folder in os.scandir(self._folder):
            for entry in os.scandir(folder.path) if folder.name != PASSING else ():
                with suppress(FileNotFoundError):  # another process has just removed it
                    stat = entry.stat()
                    found.append((stat.st_mtime, stat.st_size, entry.path))
        over = sum(size for _, size, _ in found) - (1 - _SWEEP) * self._bound
        for _, size, path in sorted(found):
            if over <= 0:
                break
            Path(path).unlink(missing_ok=True)
            over -= size

    def _file(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256
