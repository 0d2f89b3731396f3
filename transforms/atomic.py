"""Local files and folders that are there as a whole or not at all: made under another name, then renamed."""

import ctypes
import errno
import glob
import os
import re
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

ABANDONED_S: Final = 3600.0
"""What was last written to longer ago, and has no writer that lives, was left by a process that was killed."""
_ELSEWHERE_S: Final = 86_400.0
"""The same where the writer was on another machine, of which nobody here knows whether it lives."""
_HOST: Final = re.sub(r"[^a-z0-9]", "", socket.gethostname().lower())[:20] or "host"
_PASSING: Final = re.compile(r"\.(?:tmp|[0-9a-f]{12})$")
"""How names of what is passing end, and ended."""
_WRITER: Final = re.compile(r"\.([a-z0-9]{1,20})-(\d{1,10})-[0-9a-f]{12}\.tmp$")


def passing_beside(final: Path) -> Path:
    """A name beside a file or folder for what will take its place; it says who writes, for `sweep`."""
    return final.with_name(f".{final.name}.{_HOST}-{os.getpid()}-{secrets.token_hex(6)}.tmp")


def sweep(paths: Iterable[Path]) -> None:
    """Remove those passing files and folders whose writer was killed: old, and of no process that lives."""
    for path in list(paths):
        with suppress(OSError):
            writer = _WRITER.search(path.name)
            here = writer is None or writer[1] == _HOST
            if _age_s(path) > (ABANDONED_S if here else _ELSEWHERE_S) and not (
                writer and here and _is_alive(int(writer[2]))
            ):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def sweep_beside(final: Path) -> None:
    """`sweep` what earlier writers of a file or folder left beside it, but not what they kept there for the next."""
    beside = final.parent.glob(f".{glob.escape(final.name)}.*")
    sweep(path for path in beside if _PASSING.search(path.name))


def _age_s(path: Path) -> float:
    """Seconds since anything of it was written."""
    return time.time() - max(part.lstat().st_mtime for part in (path, *path.rglob("*")))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


@contextmanager
def in_place_of(path: Path, *, sync: bool = False, within: Path | None = None) -> Iterator[Path]:
    """Where the block makes a file or a folder, which takes the name `path` when it ends well and vanishes otherwise.

    It is a hidden name in the folder `within`, of the same file system, or beside `path`; a folder cannot take the
    place of one that holds something. With `sync` a file outlives a power cut. Raises `OSError`.
    """
    fresh = passing_beside((within or path.parent) / path.name)
    try:
        yield fresh
        if sync:
            to_disk(fresh)
        fresh.replace(path)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(fresh) if fresh.is_dir() else fresh.unlink(missing_ok=True)
        raise
    if sync:
        to_disk(path.parent)


def write_file(path: Path, data: bytes, *, sync: bool = True, within: Path | None = None) -> None:
    """Write a file as `in_place_of` does; folders that are missing are made. Raises `OSError`."""
    for folder in (path.parent, within or path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with in_place_of(path, sync=sync, within=within) as fresh:
        fresh.write_bytes(data)


def passing_folder(final: Path) -> Path:
    """Where the new content of a folder is made."""
    return final.with_name(f".{final.name}.new")


def _aside(final: Path) -> Path:
    return final.with_name(f".{final.name}.old")


def recover(final: Path) -> None:
    """Clear away what a killed writer left behind, and put back an old folder that it had moved aside."""
    if _aside(final).exists() and not final.exists():
        _aside(final).rename(final)
    for folder in (passing_folder(final), _aside(final)):
        if folder.exists():
            shutil.rmtree(folder)


def swap_in(final: Path) -> None:
    """Put the passing folder, which is whole, in the place of `final`; the old one goes when the new one is there.

    Where the system can, in one step. Elsewhere there are two, and `recover` mends what a kill between them left.
    """
    passing = passing_folder(final)
    for path in passing.rglob("*"):
        to_disk(path)
    to_disk(passing)
    take_place(passing, final)
    to_disk(final.parent)


def take_place(fresh: Path, final: Path) -> None:
    """Rename a folder; one that has the name already goes when the new one is there."""
    if not final.exists():
        fresh.rename(final)
    elif _exchange(fresh, final):
        shutil.rmtree(fresh)
    else:
        final.rename(_aside(final))
        fresh.rename(final)
        shutil.rmtree(_aside(final))


def to_disk(path: Path) -> None:
    """Have the system write a file or folder out: it then outlives a power cut."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where the system or its file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    at_cwd, exchange = -100, 2
    if rename(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), exchange) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), str(other))
