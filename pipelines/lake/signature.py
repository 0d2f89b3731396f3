"""Whether files were written since somebody last looked."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def signature_of(paths: Iterable[Path]) -> int:
    """A number that changes when one of the files is written, comes or goes; what cannot be looked at is not there."""
    seen = []
    for path in paths:
        with suppress(OSError):
            stat = path.stat()
            # Two writes within one tick of the clock leave another file: each takes the place of the one before.
            seen.append((str(path), getattr(stat, "st_ino", 0), stat.st_mtime_ns, stat.st_size))
    return hash(tuple(seen))
