"""The image of a source's row: its bytes, out of the row, of a folder or of an address. Nothing is decoded here."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from gog.transforms.images import ImageError
from gog.transforms.sources.cells import RowError, kind_of, lookup
from gog.transforms.sources.mapping import FieldMapping, SourceRow

ReadImage = Callable[[str], bytes]
"""Bytes of a file below the source's image folder, or at an address. Raises `ImageError`."""


def image_url(row: SourceRow, mapping: FieldMapping) -> str | None:
    """The address of a row's image, where it has one that must be fetched."""
    value = _image(row, mapping)
    fetched = mapping.image_text == "url" and isinstance(value, str) and value.strip() and not value.startswith("data:")
    return str(value).strip() if fetched else None


def _image(row: SourceRow, mapping: FieldMapping) -> Any:
    """What the image column holds, out of a list of one and of a struct."""
    value = lookup(row.data, mapping.image)
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, Mapping):
        data = value.get("bytes")
        value = data if data is not None else value.get("path")
    return value


def image_bytes(row: SourceRow, mapping: FieldMapping, read_image: ReadImage | None) -> bytes:
    """The file of the image as it is in the row, in the image folder, or at its address; not decoded.

    `read_image` gets a path below the image folder, or the address. Raises `ImageError`, and `RowError` where the
    column holds no image.
    """
    value = _image(row, mapping)
    match value:
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case str() if value.startswith("data:"):
            return _base64(value.partition(",")[2])
        case str() if value.strip() and mapping.image_text == "base64":
            return _base64(value)
        case str() if value.strip() and mapping.image_text == "url":
            if read_image is None:
                raise ImageError("ingest.image_unavailable", "the row names an address, and nothing fetches it here")
            return read_image(checked_url(value))
        case str() if value.strip():
            if read_image is None:
                raise ImageError("ingest.image_unreadable", "the row names a file, and no image folder is set")
            return read_image(safe_path(value))
        case None | "":
            raise ImageError("ingest.image_unreadable", f"{mapping.image!r} is empty")
        case _:
            raise RowError("ingest.bad_row", f"{mapping.image!r} holds {kind_of(value)}, not an image")


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError("ingest.image_unreadable", f"not base64: {error}") from error


def checked_url(text: str) -> str:
    """An address that may be asked for; `ImageError` for anything else."""
    url = text.strip()
    if not url.lower().startswith(("http://", "https://")) or len(url) > 4000 or not url.isprintable():
        raise ImageError("ingest.image_unreadable", f"{url[:200]!r} is no address that begins with http:// or https://")
    return url


def safe_path(text: str) -> str:
    """A relative path with forward slashes that does not leave its folder; `ImageError` for anything else."""
    if "://" in text:
        raise ImageError("ingest.image_unreadable", "the image is a URL: set image_text: url in the mapping")
    path = PurePosixPath(text.strip().replace("\\", "/"))
    if (
        path.is_absolute()
        or ".." in path.parts
        or not path.name
        or len(text) > 1000
        or re.match(r"[A-Za-z]:", str(path))
        or not str(path).isprintable()
    ):
        raise ImageError("ingest.image_unreadable", f"the path {text[:200]!r} leaves the image folder")
    return str(path)
