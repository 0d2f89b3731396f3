"""Files of a lake, on a disk or an object store: written whole, and what goes wrong told in one line."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gog.pipelines.lake.one_line import one_line
from gog.schemas.errors import UserError
from gog.transforms.object_path import ObjectPath
from gog.transforms.place import write_whole

LITTLE_ROOM: Final = 5 * 1 << 30
"""Bytes free on a disk below which care is taken."""
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY: Final = {errno.EROFS, errno.EACCES, errno.EPERM}
_TOO_LARGE: Final = {errno.EFBIG}
_NO_FOLDER: Final = {errno.ENOTDIR, errno.EEXIST}


class LakeError(UserError):
    """The lake cannot be used as asked; the message is one line that says what to do."""


def write_atomic(path: Path, data: bytes, *, sync: bool = True, passing: Path | None = None) -> None:
    """Write a file under another name, in the folder `passing` where one is given, and rename it; an object as it is.

    With `sync` it outlives a power cut. Raises `LakeError`.
    """
    with disk_errors(path, "write"):
        write_whole(path, data, sync=sync, within=passing)


class Room:
    """Stops a run between two shards, where its disk is not full yet and nothing that was bought is in the air."""

    def __init__(self, place: Path) -> None:
        """`place` is on the disk; nothing is known of an object store's room."""
        self._place = place
        self._free: int | None = None
        self._lost = 0

    def check(self) -> None:
        """Before each shard. Raises `LakeError` where little is left, and less than the disk lost twice during one."""
        if isinstance(self._place, ObjectPath):
            return
        free = shutil.disk_usage(self._place).free
        self._lost = max(self._lost, (self._free or free) - free)
        self._free = free
        if free < min(2 * self._lost, LITTLE_ROOM):
            left = f"{free / 1e6:,.0f} MB are left of its disk, and {self._lost / 1e6:,.0f} went during one shard"
            raise LakeError(f"{self._place}: {left}: make room and run again; what was finished is kept")


@contextmanager
def disk_errors(path: Path, verb: str) -> Iterator[None]:
    """Errors of the disk as one line that says what to do."""
    try:
        yield
    except OSError as error:
        why = disk_advice(error) or error.strerror or one_line(error, 300) or type(error).__name__
        why = why.removeprefix(f"{path}: ")  # an object store names it too
        raise LakeError(f"cannot {verb} {path}: {why}") from error


def disk_advice(error: Exception) -> str:
    """What to do about an error that is the disk's; empty for any other.

    Libraries (Arrow, DuckDB) say in the words of the system what it was, and no number.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        number = next((n for n in (*_FULL, *_READ_ONLY, *_TOO_LARGE) if os.strerror(n) in str(error)), None)
    if number in _FULL:
        return "the disk is full: make room and run again; what was finished is kept"
    if number in _READ_ONLY:
        return "it is read-only or belongs to someone else: change that, or use another --lake"
    if number in _NO_FOLDER:
        return "a file is in the place of a folder: use another --lake"
    if number in _TOO_LARGE:
        return "files may not become so large here (ulimit -f, or a limit of the disk): raise it and run again"
    return ""
