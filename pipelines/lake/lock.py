"""One writer a run, and the clearing up behind one that was killed."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from gog.pipelines.lake.disk import LakeError, disk_errors
from gog.transforms.atomic import sweep


@contextmanager
def run_lock(folder: Path, shared: Iterable[Iterable[Path]] = ()) -> Iterator[None]:
    """One writer a run: a lock on a file that the system gives back when the process ends, however it ends.

    What a killed writer left half written is cleared away; `shared` are passing files and folders that other runs may
    be writing as well. `LakeError` when the lock is taken.
    """
    import fcntl  # not on Windows, where only this fails

    path = folder / "lock"
    with disk_errors(path, "lock"):
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            with disk_errors(path, "lock"):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(file, 0)
                os.pwrite(file, json.dumps({"pid": os.getpid(), "host": os.uname().nodename}).encode(), 0)
        except LakeError as error:
            if not isinstance(error.__cause__, BlockingIOError):
                raise
            holder = _holder(os.pread(file, 1000, 0).decode("utf-8", "replace"))
            raise LakeError(
                f"the run {folder.name!r} is being written by another process ({holder}): "
                "wait for it to end, or give this run another name"
            ) from error
        _clear(folder, shared)
        yield
    finally:
        os.close(file)  # the file stays: removing it would let two writers lock two files of one name


def _clear(folder: Path, shared: Iterable[Iterable[Path]]) -> None:
    for path in folder.rglob("*.tmp"):
        path.unlink(missing_ok=True)
    sweep(chain.from_iterable(shared))


def is_locked(path: Path) -> bool:
    """Whether a process writes to the run."""
    import fcntl  # not on Windows, where only this fails

    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {int(holder['pid'])} on {str(holder['host'])[:100]}"
    except (ValueError, KeyError, TypeError):
        return "process unknown"
