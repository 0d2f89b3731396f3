"""A folder takes another's place: a new export is made beside the old one and comes in whole."""

import ctypes
import errno
import os
import shutil
import sys
from pathlib import Path


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
    if not final.exists():
        passing.rename(final)
    elif _exchange(passing, final):
        shutil.rmtree(passing)
    else:
        final.rename(_aside(final))
        passing.rename(final)
        shutil.rmtree(_aside(final))
    to_disk(final.parent)


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
