"""The pictures of a source's row: their bytes, in the row, in a folder or at an address. Nothing is decoded here."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from gog.transforms.images import ImageError
from gog.transforms.sources.cells import MISSING, RowError, kind_of, lookup
from gog.transforms.sources.mapping import FieldMapping, SourceRow

_KEYS: Final = ("bytes", "path", "url", "image_url", "image", "base64", "b64_json", "data", "src", "file_name")
"""What the parts of a struct are called that hold a picture, or say where it is: the first that is not empty counts."""
_MAY_HOLD: Final = (str, bytes, bytearray, memoryview, Mapping, list, tuple, type(None))
"""What may be a picture in a list of several, or hold one; a list of anything else is no list of pictures."""
_DEEPEST: Final = 6
_BASE64_STARTS: Final = ("/9j/", "_9j_", "iVBORw0KGgo", "R0lGOD", "UklGR", "Qk", "SUkqA", "TU0AK", "AAAA")
"""How JPEG, PNG, GIF, WebP, BMP, TIFF, and AVIF or JPEG 2000 begin in base64."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\-\s]+=*")
_LONGEST_START: Final = 200
"""Characters that tell base64 from a path, which is shorter or has other signs."""
_SHORTEST_BASE64: Final = 60
_LONGEST_PATH: Final = 1000
_OTHER_ALPHABET: Final = str.maketrans("-_", "+/")

ReadImage = Callable[[str], bytes]
"""Bytes of a file below the source's image folder, or at an address. Raises `ImageError`."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a row holds of a picture, in the column of that name; out of lists of one and of structs."""

    column: str
    value: Any


def pictures_of(row: SourceRow, mapping: FieldMapping) -> list[Picture]:
    """The pictures of a row's question, in order: those of the image column, then those of the further ones.

    A further column that is empty, or that the row has not, holds none.
    """
    first = [Picture(mapping.image, value) for value in _values(lookup(row.data, mapping.image))]
    further = (
        Picture(column, value)
        for column in mapping.further_images
        for value in _values(lookup(row.data, column))
        if value is not MISSING and value not in (None, "", b"")
    )
    return [*first, *further]


def only_picture(row: SourceRow, mapping: FieldMapping) -> Picture:
    """The picture of a row whose question is about one. Raises `RowError` where there are several."""
    pictures = pictures_of(row, mapping)
    if len(pictures) != 1:
        raise RowError("ingest.bad_row", f"{mapping.image!r} holds {len(pictures)} pictures, and one is asked about")
    return pictures[0]


def image_url(picture: Picture, mapping: FieldMapping) -> str | None:
    """The address of a picture, where it has one that must be fetched."""
    value = picture.value
    if mapping.image_text != "url" or not isinstance(value, str) or not value.strip() or _inline(value) is not None:
        return None
    return value.strip()


def image_path(picture: Picture, mapping: FieldMapping) -> str | None:
    """The path of a picture as it stands there, where the row names a file."""
    value = picture.value
    named = mapping.image_text == "path" and isinstance(value, str) and value.strip() and _inline(value) is None
    return value.strip() if named else None


def _values(value: Any) -> list[Any]:
    """What a column holds of pictures, out of lists and structs, also where they are written as JSON text."""
    value = _out_of_one(value)
    several = isinstance(value, list | tuple) and len(value) > 1 and all(isinstance(one, _MAY_HOLD) for one in value)
    return [_out_of_one(one) for one in value] if several else [value]


def _out_of_one(value: Any) -> Any:
    """A value out of the structs and lists of one that it is in; a list of several stays one."""
    for _ in range(_DEEPEST):
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return value
        if isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
        elif isinstance(value, list | tuple) and len(value) > 8 and all(type(n) is int and 0 <= n < 256 for n in value):
            value = bytes(value)
        elif isinstance(value, Mapping):
            value = next((value[key] for key in _KEYS if value.get(key) not in (None, "", b"")), None)
        else:
            break
    return value


def image_bytes(picture: Picture, mapping: FieldMapping, read_image: ReadImage | None) -> bytes:
    """The file of a picture as it is in the row, in the image folder, or at its address; not decoded.

    `read_image` gets a path as the row has it (without `file://`), or the address. Raises `ImageError`, and `RowError`
    where the column holds no image.
    """
    value = picture.value
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        text = raw[:_LONGEST_START].decode("ascii", "replace")
        return inline if (inline := _inline(text, lambda: raw.decode("ascii", "replace"))) is not None else raw
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ImageError("ingest.image_unreadable", f"{picture.column!r} is empty")
    if not isinstance(value, str):
        raise RowError("ingest.bad_row", f"{picture.column!r} holds {kind_of(value)}, not an image")
    if (inline := _inline(value)) is not None:
        return inline
    if mapping.image_text == "base64":
        return _base64(value)
    if read_image is None:
        what = (
            "an address, and nothing fetches it here"
            if mapping.image_text == "url"
            else "a file, and no image folder is set"
        )
        reason = "ingest.image_unavailable" if mapping.image_text == "url" else "ingest.image_unreadable"
        raise ImageError(reason, f"the row names {what}")
    return read_image(checked_url(value) if mapping.image_text == "url" else plain_path(value))


def _inline(text: str, whole: Callable[[], str] | None = None) -> bytes | None:
    """The file that a text holds: as a data URL, or as base64 that begins as pictures do. None where it names one.

    `whole` gives the text where `text` is no more than its start.
    """
    start = text[:_LONGEST_START].lstrip()
    if start[:5].lower() == "data:":
        head, _, body = (whole() if whole else text).partition(",")
        if not head.lower().rstrip().endswith(";base64"):
            raise ImageError("ingest.image_unreadable", f"a data URL that is not base64: {head.strip()[:80]!r}")
        return _base64(unquote(body) if "%" in body else body)
    if start.startswith(_BASE64_STARTS) and _BASE64.fullmatch(start.rstrip()) and len(start) >= _SHORTEST_BASE64:
        return _base64(whole() if whole else text)
    return None


def _base64(text: str) -> bytes:
    """Base64 of either alphabet, with white space and without padding as well."""
    plain = "".join(text.split()).translate(_OTHER_ALPHABET).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError("ingest.image_unreadable", f"not base64: {error}") from error


def checked_url(text: str) -> str:
    """An address that may be asked for; `ImageError` for anything else."""
    url = text.strip()
    if not url.lower().startswith(("http://", "https://")) or len(url) > 4000 or not url.isprintable():
        raise ImageError("ingest.image_unreadable", f"{url[:200]!r} is no address that begins with http:// or https://")
    return url


def plain_path(text: str) -> str:
    """A path as a row names it, absolute or relative, without `file://`; whether it leaves the folder is for who reads
    it. `ImageError` for anything that names no file of this machine.
    """
    path = text.strip()
    if path[:5].lower() == "file:":
        parts = urlsplit(path)
        if parts.netloc not in ("", "localhost"):
            raise ImageError("ingest.image_unreadable", f"{text[:200]!r} is on another machine")
        path = unquote(parts.path)
    if path.startswith("/") and "\0" not in path and len(path) <= _LONGEST_PATH and path.isprintable():
        return path
    return safe_path(path)


def safe_path(text: str) -> str:
    """A relative path with forward slashes that does not leave its folder; `ImageError` for anything else."""
    if "://" in text:
        raise ImageError("ingest.image_unreadable", "the image is a URL: set image_text: url in the mapping")
    path = PurePosixPath(text.strip().replace("\\", "/"))
    if (
        path.is_absolute()
        or ".." in path.parts
        or not path.name
        or len(text) > _LONGEST_PATH
        or re.match(r"[A-Za-z]:", str(path))
        or not str(path).isprintable()
    ):
        raise ImageError("ingest.image_unreadable", f"the path {text[:200]!r} leaves the image folder")
    return str(path)
