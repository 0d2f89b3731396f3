"""Local files and folders that are there as a whole or not at all: made under another name, then renamed."""

import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def in_place_of(path: Path, *, sync: bool = False, within: Path | None = None) -> Iterator[Path]:
    """Where the block makes a file or a folder, which takes the name `path` when it ends well and vanishes otherwise.

    It is a hidden name in the folder `within`, of the same file system, or beside `path`; a folder cannot take the
    place of one that holds something. With `sync` a file outlives a power cut. Raises `OSError`.
    """
    fresh = (within or path.parent) / f".{path.name}.{secrets.token_hex(6)}.tmp"
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
