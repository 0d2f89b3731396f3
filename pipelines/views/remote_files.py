"""The objects of a lake as files for DuckDB, which asks for name, size, time and content of each several times a query.

A listing serves for some seconds, and small objects are read whole and kept for a while: parts are never changed, only
replaced, which their tags tell.
"""

import io
import threading
import time
from collections.abc import Collection
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from glob import has_magic
from typing import Any, BinaryIO, Final

from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

from gog.transforms.object_path import ObjectPath, ObjectStat
from gog.transforms.recent import Recent

LISTED_S: Final = 5.0
"""Seconds for which a listing serves."""
WHOLE: Final = 4 << 20
"""Largest object that is read whole, in bytes; of larger ones DuckDB gets the ranges that it asks for."""
_BLOCK: Final = 1 << 20
_contents: Recent[tuple[str, str], bytes] = Recent(32 << 20, len)
"""Small objects by address and tag, those that were read last in this process."""


class RemoteFiles(AbstractFileSystem):  # type: ignore[misc, unused-ignore]  # fsspec has no types
    """Objects by address, to be registered with a connection of DuckDB. Nothing can be written through it."""

    cachable = False

    def __init__(self, scheme: str) -> None:
        super().__init__()
        self.protocol = scheme
        self._listings: dict[str, tuple[float, dict[str, ObjectStat]]] = {}
        self._lock = threading.Lock()

    def list_ahead(self, place: ObjectPath, folders: Collection[str]) -> None:
        """List several folders of a place at once."""
        found: dict[str, dict[str, ObjectStat]] = {str(place / name): {} for name in folders}
        for path in place.below():
            if isinstance(path, ObjectPath) and str(path.parent) in found:
                found[str(path.parent)][str(path)] = path.stat()
        now = time.monotonic()
        self._listings |= {folder: (now, listing) for folder, listing in found.items()}

    def glob(self, path: str, maxdepth: int | None = None, **_: Any) -> list[str]:
        """Addresses that fit a pattern, in order."""
        folder, name = path.replace("[[]", "[").rsplit("/", 1)
        if has_magic(folder) or not name:
            return sorted(super().glob(path, maxdepth=maxdepth))
        return sorted(found for found in self._listing(folder) if fnmatchcase(found.rpartition("/")[2], name))

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What is in a folder."""
        here = ObjectPath(path)
        found = [self._told(name, stat) for name, stat in self._listing(str(here)).items()]
        found += [{"name": str(below), "size": 0, "type": "directory"} for below in here.folders()]
        return found if detail else [told["name"] for told in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """What is known of an object, or of what names begin with."""
        try:
            return self._told(path, self._stat(path))
        except FileNotFoundError:
            if self.ls(path):
                return {"name": path, "size": 0, "type": "directory"}
            raise

    def size(self, path: str) -> int:
        """Bytes of an object."""
        return self._stat(path).st_size

    def modified(self, path: str) -> datetime:
        """When it was written, by the store's clock."""
        return datetime.fromtimestamp(self._stat(path).st_mtime, UTC)

    def open(self, path: str, mode: str = "rb", **_: Any) -> BinaryIO:
        """The content, for reading. Raises `OSError`."""
        if mode not in ("r", "rb"):
            raise PermissionError(f"{path}: a lake on an object store is only read here")
        stat = self._stat(path)
        if stat.st_size > WHOLE:
            ranges: BinaryIO = _Ranges(self, path, size=stat.st_size, block_size=_BLOCK)
            return ranges
        data = _contents.get((path, stat.e_tag))
        if data is None:
            data, stat = ObjectPath(path).read_tagged()
            _contents.put((path, stat.e_tag), data)
            self._listing(path.rpartition("/")[0])[path] = stat  # where it was replaced since it was listed
        return io.BytesIO(data)

    def _stat(self, path: str) -> ObjectStat:
        listed = self._listing(path.rpartition("/")[0]).get(path)
        if listed is None:
            raise FileNotFoundError(f"{path}: no such object")
        return listed

    def _listing(self, folder: str) -> dict[str, ObjectStat]:
        """The objects in a folder by address."""
        with self._lock:
            at, listing = self._listings.get(folder, (0.0, {}))
            if folder not in self._listings or time.monotonic() - at > LISTED_S:
                listing = {str(path): path.stat() for path in ObjectPath(folder).glob("*")}
                self._listings[folder] = time.monotonic(), listing
            return listing

    def _told(self, name: str, stat: ObjectStat) -> dict[str, Any]:
        return {"name": name, "size": stat.st_size, "type": "file"}


class _Ranges(AbstractBufferedFile):  # type: ignore[misc, unused-ignore]
    """A large object, read in ranges."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return ObjectPath(self.path).read_range(start, end)
