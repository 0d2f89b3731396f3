"""Where a lake lives: a folder of this machine, or a place on an object store (s3://, gs://, az://).

A folder is a `pathlib.Path`. A place on an object store is an `ObjectPath`, which answers to as much of a path's names
as a lake needs. What differs between the two is here, so that those who work with a lake need not ask.
"""

import os
import re
import shutil
import tempfile
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final

from gog.transforms.atomic import write_file
from gog.transforms.object_path import SCHEMES, AddressError, ObjectPath

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def place(address: str | Path) -> Path:
    """The place at an address; opens nothing. Raises `AddressError` on an address of another kind."""
    text = str(address)
    check_address(text)
    return ObjectPath(text) if "://" in text else Path(address)


def check_address(address: str) -> None:
    """Raise `AddressError` unless it is a folder, or an address of an object store with a bucket.

    Also on what a slash is missing of (`gs:/bucket/lake`), which would be made a folder.
    """
    scheme, colon, rest = address.partition(":")
    if "://" not in address and not _SCHEME.match(address) and not (colon and scheme in SCHEMES):
        return
    if scheme not in SCHEMES or not rest.startswith("//"):
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise AddressError(
            f"{address} is no place for a lake or an index: a folder (a mounted bucket too), "
            f"or an address that begins with {known}"
        )
    bucket, _, key = rest[2:].partition("/")
    if not bucket or any(part in ("", ".", "..") for part in key.rstrip("/").split("/")):
        raise AddressError(f"{address}: name the bucket and a folder in it, as {scheme}://BUCKET/lake")


def write_whole(path: Path, data: bytes, *, sync: bool = True, within: Path | None = None) -> None:
    """Write a file or an object: it is whole or not there. Of files, as `gog.transforms.atomic.write_file`."""
    if isinstance(path, ObjectPath):
        path.write(data)
    else:
        write_file(path, data, sync=sync, within=within)


def content_tag(path: Path) -> bytes:
    """What changes with the content of a file or an object, and with nothing else."""
    if isinstance(path, ObjectPath):
        return path.stat().e_tag.encode()
    with path.open("rb") as file:
        return file_digest(file, "sha256").digest()


def folders_in(path: Path) -> list[Path]:
    """What is in a folder as folders are; none where it is not there."""
    if isinstance(path, ObjectPath):
        return [*path.folders()]
    return sorted(below for below in path.glob("*") if below.is_dir())


def files_below(path: Path) -> list[Path]:
    """All files below a folder, however deep, in order."""
    return path.below() if isinstance(path, ObjectPath) else sorted(p for p in path.rglob("*") if p.is_file())


def name_below(path: Path, folder: Path) -> str:
    """The name of a file below a folder, with slashes."""
    return str(path)[len(str(folder)) + 1 :]


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it, where it is there."""
    if isinstance(path, ObjectPath):
        path.remove_all()
    elif path.exists():
        shutil.rmtree(path)


def is_remote(address: str) -> bool:
    """Whether the address is of an object store."""
    return "://" in address


def local_folder(lake: str) -> Path:
    """The folder for what has to be files of this machine (indexes, copies of sources, logs): the lake itself, or,
    for a lake on an object store, one of this user's cache.
    """
    return cache_folder() / sha256(lake.rstrip("/").encode()).hexdigest()[:16] if is_remote(lake) else Path(lake)


def cache_folder() -> Path:
    """This user's cache on this machine: `GOG_CACHE`, or where caches are."""
    cache = os.environ.get("GOG_CACHE") or os.environ.get("XDG_CACHE_HOME") or ""
    root = Path(cache) if cache else Path.home() / ".cache"
    if not cache and not os.access(Path.home(), os.W_OK):
        root = Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"
    return root / "glance-or-gaze"
