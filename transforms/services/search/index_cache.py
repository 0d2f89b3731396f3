"""Indexes of object stores on this machine's disk: each is fetched once, by its content, and read as any other folder.

Safe in processes: one fetches at a time and the others wait. A folder is locked while a process has it open, and those
that nobody has open go, the longest unused first, where a new one needs their room.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from gog.transforms.object_path import ObjectPath
from gog.transforms.place import cache_folder
from gog.transforms.services.search.index_bucket import (
    IndexMissingError,
    Manifest,
    check_writable,
    fetch,
    publish,
    read_manifest,
)
from gog.transforms.services.search.index_folder import HEAD, IndexFolderError, IndexUnwrittenError, read_head

BOUND_GB: Final = "GOG_INDEX_CACHE_GB"
"""Environment variable: the bound of what is kept."""
_GB: Final = 20.0
_NEW: Final = ".new"
_CHANGES: Final = 3
"""Times that an index may be replaced while it is fetched."""
_log = logging.getLogger(__name__)
_open: dict[str, int] = {}
"""Folders that this process has open, and the files that lock them until it ends."""


def cached(place: ObjectPath, kind: str) -> Path:
    """A folder of this machine with the index that is now at a place; it stays while this process lives.

    Raises `IndexMissingError`, `IndexFolderError` where it cannot be reached, is damaged or finds no room.
    """
    for _ in range(_CHANGES):
        manifest = read_manifest(place, kind)
        folder = cache_folder() / "indexes" / manifest.content[:32]
        try:
            while not _held(folder):
                with _alone(folder.parent):
                    if not (folder / HEAD).exists():
                        _make_room(folder.parent, manifest, place)
                        _log.info("index fetched from=%s/%s bytes=%d", place, kind, manifest.size)
                        fetch(place, kind, manifest, folder.parent / _NEW)
                        (folder.parent / _NEW).rename(folder)
        except FileNotFoundError:
            continue  # another has taken its place
        except OSError as error:
            raise IndexFolderError(f"cannot keep {place} in {folder.parent}: {error.strerror or error}") from error
        return folder
    raise IndexFolderError(f"{place} is being replaced time and again: wait until that has ended")


def _held(folder: Path) -> bool:
    """Whether the folder is there; it is then locked for this process."""
    import fcntl  # not on Windows, where only this fails

    path = folder / HEAD
    if str(folder) in _open:
        return True
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    fcntl.flock(file, fcntl.LOCK_SH)
    try:
        same = os.path.samestat(os.fstat(file), path.stat())
        os.utime(path)
    except FileNotFoundError:
        same = False
    if not same:  # it went while we waited
        os.close(file)
        return False
    _open[str(folder)] = file
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other process changes what is in a folder."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _make_room(folder: Path, manifest: Manifest, place: ObjectPath) -> None:
    """Remove what nobody has open until a new index fits. Raises `IndexFolderError` where it does not."""
    shutil.rmtree(folder / _NEW, ignore_errors=True)  # of one that was killed
    bound = int(float(os.environ.get(BOUND_GB) or _GB) * 1e9)
    heads = sorted(folder.glob(f"*/{HEAD}"), key=lambda head: head.stat().st_mtime)
    sizes = {head.parent: sum(path.stat().st_size for path in head.parent.iterdir()) for head in heads}
    for old in list(sizes):
        if manifest.size + sum(sizes.values()) > bound or manifest.size > shutil.disk_usage(folder).free:
            sizes[old] -= _removed(old)
    size, used = manifest.size, sum(sizes.values())
    if size + used > bound:
        raise IndexFolderError(
            f"{place} has {size / 1e9:.1f} GB, and indexes on this machine may have {bound / 1e9:.1f} GB, of which "
            f"{used / 1e9:.1f} GB are in use: set {BOUND_GB}"
        )
    if size > (free := shutil.disk_usage(folder).free):
        raise IndexFolderError(f"{place} has {size / 1e9:.1f} GB, and {folder} has room for {free / 1e9:.1f} GB")


def _removed(folder: Path) -> int:
    """Remove a folder unless it is open somewhere; the bytes that went."""
    import fcntl

    with (folder / HEAD).open("rb") as head:
        try:
            fcntl.flock(head, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        size = sum(path.stat().st_size for path in folder.iterdir())
        shutil.rmtree(folder)
    return size


def drop_cached(content: str) -> None:
    """Remove an index from this machine by its manifest's `content`, in use or not: it shows what is forgotten."""
    folder = cache_folder() / "indexes" / content[:32]
    with _alone(folder.parent):
        shutil.rmtree(folder, ignore_errors=True)
        if (file := _open.pop(str(folder), None)) is not None:
            os.close(file)


@contextmanager
def changed(place: ObjectPath, needed: tuple[str, ...], written: tuple[str, ...]) -> Iterator[Path]:
    """A folder of this machine where the indexes of a place are worked on: those `needed` are there as they are, where
    there are any, and those `written` are put in their place when the block ends well; not where they are the same.

    What else a block that failed leaves there is found again by the next. Raises `IndexFolderError`,
    `IndexUnwrittenError`.
    """
    import fcntl

    folder = cache_folder() / "indexes-at-work" / sha256(str(place).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IndexUnwrittenError(f"another process writes the index {place}: wait for it to end") from None
        check_writable(place)
        earlier = {kind: _manifest_at(place, kind) for kind in {*needed, *written}}
        for kind, manifest in earlier.items():
            shutil.rmtree(folder / kind, ignore_errors=True)
            if manifest and kind in needed:
                _fetched(place, kind, manifest, folder / kind)
        yield folder
        for kind in written:
            if not _is_same(folder / kind, kind, earlier[kind]):
                publish(folder / kind, place, kind, earlier[kind])
        shutil.rmtree(folder)
    finally:
        os.close(lock)


def _is_same(folder: Path, kind: str, manifest: Manifest | None) -> bool:
    """Whether an index is that of a manifest: its version is a hash of what it holds."""
    files = {path.name for path in folder.iterdir()} - {HEAD}
    return manifest is not None and read_head(folder, kind) == manifest.head and files == manifest.files.keys()


def _fetched(place: ObjectPath, kind: str, manifest: Manifest, folder: Path) -> None:
    try:
        fetch(place, kind, manifest, folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise IndexFolderError(f"cannot fetch {place}: {error.strerror or error}") from error


def _manifest_at(place: ObjectPath, kind: str) -> Manifest | None:
    try:
        return read_manifest(place, kind)
    except IndexMissingError:
        return None
