"""A cassette: answers of a store, and the pictures that they name, in one file that travels.

A zip file of `cassette.json` (what it is), `entries.jsonl` (an entry a line, in order of keys) and `images/`. Equal
entries make equal files. Requests lie beside their answers, so every key is checked when it is read again.
"""

import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from pydantic import ValidationError

from gog.transforms.atomic import in_place_of
from gog.transforms.image_store import ImageStore
from gog.transforms.images import image_suffix
from gog.transforms.services.store.forms import HITS, TOOL_ANSWER
from gog.transforms.services.store.jsonl import LineError, digest, entry_line, read_entry
from gog.transforms.services.store.records import Dated
from gog.transforms.services.store.schema import StoreError
from gog.transforms.services.store.upkeep import form_problem

FORMAT: Final = "gog-cassette"
VERSION: Final = 1
LONGEST_LINE: Final = 1 << 26
LONGEST_IMAGE: Final = 1 << 26
_HEAD: Final = "cassette.json"
_ENTRIES: Final = "entries.jsonl"
_WITH_IMAGES: Final = frozenset({"text_search", "image_search", "tool"})
_SUFFIXES: Final = ("jpg", "png", "webp")
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
_DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error, UnicodeDecodeError),
    *(EOFError, KeyError, NotImplementedError, OverflowError, RuntimeError),
)
"""What `zipfile` raises on files that are none, or that were made to be odd."""


@dataclass(frozen=True, slots=True)
class Written:
    """What went into a cassette."""

    entries: int
    images: int
    missing: int
    """Pictures that answers name and the lake has not."""


def write_cassette(path: Path, entries: Iterable[Dated], images: ImageStore) -> Written:
    """Write the entries, and the pictures that they name. The file is there as a whole or not at all."""
    count, wanted = 0, set[str]()
    try:
        with in_place_of(path) as fresh, zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as cassette:
            with cassette.open(_info(_ENTRIES), "w", force_zip64=True) as file:
                for dated in entries:
                    file.write(entry_line(dated).encode() + b"\n")
                    wanted |= thumbnails(dated)
                    count += 1
            there = [sha256 for sha256 in sorted(wanted) if images.has(sha256)]
            for sha256 in there:
                data = images.read(sha256)
                cassette.writestr(_info(f"images/{sha256}.{image_suffix(data)}", zipfile.ZIP_STORED), data)
            head = {"format": FORMAT, "version": VERSION, "entries": count, "images": len(there)}
            cassette.writestr(_info(_HEAD), json.dumps(head) + "\n")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
    return Written(count, len(there), len(wanted) - len(there))


def thumbnails(dated: Dated) -> set[str]:
    """Sha256 of the pictures that an answer names."""
    kind, answer = dated.entry.kind, dated.entry.kept.answer
    if answer is None or kind not in _WITH_IMAGES:
        return set()
    try:
        if kind == "tool":
            return {part.image for part in TOOL_ANSWER.validate_json(answer).parts if part.image}
        return {hit.thumbnail_sha256 for hit in HITS.validate_json(answer) if hit.thumbnail_sha256}
    except ValidationError:
        return set()


class Cassette:
    """A cassette that is read. Whatever in it is wrong is left out, and `refused` says why."""

    def __init__(self, path: Path) -> None:
        """Raises `StoreError` where it is none."""
        self.path = path
        self.refused: list[str] = []
        self.images = 0
        """Pictures taken."""
        with self._opened() as cassette:
            try:
                head = json.loads(_limited(cassette.open(_HEAD), 10_000))
            except (KeyError, ValueError, RecursionError):
                head = None
            if not isinstance(head, dict) or head.get("format") != FORMAT:
                raise StoreError(f"{path} is no cassette; `gog store export FILE` writes one")
            if head.get("version") != VERSION:
                raise StoreError(f"{path}: written by another version of this engine ({head.get('version')!r})")

    def entries(self) -> Iterator[Dated]:
        """The sound entries, in the order of the file."""
        with self._opened() as cassette, cassette.open(_ENTRIES) as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                try:
                    if not line.endswith(b"\n"):
                        raise LineError("longer than any entry, or cut off")
                    dated = read_entry(line)
                    wrong = (
                        form_problem(dated.entry.kind, dated.entry.kept.answer or "")
                        if not dated.entry.kept.failure
                        else ""
                    )
                    if wrong:
                        raise LineError(wrong)
                except LineError as error:
                    self.refused.append(f"line {number}: {error}")
                    if not line.endswith(b"\n"):
                        return
                    continue
                yield Dated(dated.entry, dated.created)

    def take_images(self, images: ImageStore) -> None:
        """Put its pictures into the lake, those that are what their name says."""
        with self._opened() as cassette:
            for info in cassette.infolist():
                folder, _, name = info.filename.partition("/")
                sha256, _, suffix = name.partition(".")
                if folder != "images":
                    continue
                data = _limited(cassette.open(info), LONGEST_IMAGE) if suffix in _SUFFIXES else b""
                if digest(data) != sha256:
                    self.refused.append(f"{info.filename[:100]}: not the picture of that name")
                    continue
                images.put(data, suffix)
                self.images += 1

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self.path) as cassette:
                yield cassette
        except FileNotFoundError:
            raise StoreError(f"{self.path}: no such file") from None
        except _DAMAGED as error:
            raise StoreError(f"{self.path}: damaged, or no cassette: {error}; get another copy") from None
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error.strerror or error}") from error


def _limited(file: IO[bytes], most: int) -> bytes:
    """What is in the file, cut after `most` bytes: what is longer is not what it says it is."""
    with file:
        return file.read(most)


def _info(name: str, how: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _FIRST_DAY)
    info.compress_type, info.external_attr = how, 0o644 << 16
    return info
