"""Claims of the processes of one machine: which of them makes a request that several want.

A claim is a lock on one byte of a file, the byte that the request's key names. The system gives it back when its
process ends, however that happens, so nothing has to be kept, renewed or cleared up.
"""

import contextlib
import errno
import fcntl
import os
import struct
import sys
from pathlib import Path
from typing import Final

FILE: Final = "claims.lock"
_SET: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" else None
"""Locks of an open file, not of a process: two stores of one process hold each other off, too."""
_DIGITS: Final = 15
"""Hex digits of a key that name its byte; where two keys should ever meet in one, the second waits for the first."""


class Claims:
    """The claims of one store that is open. Where the system has no such locks, every claim is granted."""

    def __init__(self, folder: Path | None) -> None:
        """None: every claim is granted."""
        self._file = -1
        if folder is not None and _SET is not None:
            with contextlib.suppress(OSError):  # what the store cannot write it says itself
                self._file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._mine: set[str] = set()

    def take(self, key: str) -> bool:
        """Claim a request; False where another has claimed it."""
        if key in self._mine:
            return False
        if not self._lock(fcntl.F_WRLCK, key):
            return False
        self._mine.add(key)
        return True

    def give_up(self, key: str) -> None:
        """Let others have it."""
        if key in self._mine:
            self._mine.discard(key)
            self._lock(fcntl.F_UNLCK, key)

    def close(self) -> None:
        """Let others have all of them."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _lock(self, kind: int, key: str) -> bool:
        if self._file < 0 or _SET is None:
            return True
        try:
            # struct flock of Linux: type, whence, start, length, pid.
            fcntl.fcntl(self._file, _SET, struct.pack("hhqqi4x", kind, os.SEEK_SET, int(key[:_DIGITS], 16), 1, 0))
        except OSError as error:
            return error.errno not in (errno.EAGAIN, errno.EACCES)  # a file system without locks grants all
        return True
