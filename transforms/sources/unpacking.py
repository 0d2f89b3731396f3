"""Compressed files of rows: told by their first bytes, and unpacked once, since rows are read from the middle."""

import bz2
import gzip
import hashlib
import lzma
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from gog.transforms.atomic import in_place_of
from gog.transforms.sources.formats import SourceError, readable, unreadable


def _zstd(path: Path) -> Any:
    import pyarrow as pa

    return pa.input_stream(str(path), compression="zstd")


_PACKINGS: Final[dict[bytes, tuple[str, Callable[[Path], Any]]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\0": ("xz", lzma.open),
}
"""By the first bytes: the name, and what opens a file of it to be read unpacked."""
_ARCHIVES: Final = {
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x04\x22\x4d\x18": "packed with lz4",
}
_SUFFIXES: Final = (".gz", ".zst", ".zstd", ".bz2", ".xz")


DAMAGED: Final = (EOFError, zlib.error, lzma.LZMAError, OSError)
"""What reading a packed file raises where it is cut off or damaged."""


def _packing(path: Path) -> tuple[str, Callable[[Path], Any]] | None:
    with readable(path), path.open("rb") as file:
        start = file.read(10)
    for magic, what in _ARCHIVES.items():
        if start.startswith(magic):
            raise SourceError(f"{path} is {what}: unpack it, and name what is in it")
    packing = next((packing for magic, packing in _PACKINGS.items() if start.startswith(magic)), None)
    return None if packing and packing[0] == "bzip2" and start[4:10] != b"1AY&SY" else packing


def unpacked_stream(path: Path) -> BinaryIO:
    """The content of a file, to be read once from its beginning; nothing is written. `SourceError` on an archive."""
    packing = _packing(path)
    with readable(path):
        stream: BinaryIO = packing[1](path) if packing else path.open("rb", buffering=0)
        return stream


def plain_file(path: Path, folder: Path | None) -> Path:
    """The file itself, or where it is compressed its content, unpacked into `folder` unless it is there already.

    `SourceError` on an archive, on a damaged file, and on a compressed one where there is no folder.
    """
    packing = _packing(path)
    if packing is None:
        return path
    if folder is None:
        raise SourceError(f"{path} is compressed with {packing[0]}: unpack it first")
    status = path.stat()
    identity = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}".encode("utf-8", "surrogateescape")
    name = path.stem if path.suffix.lower() in _SUFFIXES else path.name
    if name.lower().endswith(".tgz"):
        name = name[:-4] + ".tar"
    # A folder for each, so that the name, which may say what the file is, stays as it is.
    plain = folder / f"unpacked-{hashlib.sha256(identity).hexdigest()[:16]}" / name
    if not plain.exists():
        with readable(plain):
            plain.parent.mkdir(parents=True, exist_ok=True)
            with in_place_of(plain) as fresh, fresh.open("wb") as out:
                try:
                    with packing[1](path) as unpacked:
                        shutil.copyfileobj(unpacked, out, 1 << 20)
                except DAMAGED as error:
                    raise unreadable(path, error) from error
    return plain
