"""Pictures in files: below a folder by their paths, or by OVEN ids in a folder or in tars."""

import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from gog.transforms.images import ImageError, ImageLimits
from gog.transforms.services.loop import shared
from gog.transforms.sources.formats import find_files
from gog.transforms.sources.offsets import Offsets, Place
from gog.transforms.sources.tar_format import IMAGES, tar_members


class LocalImages:
    """Files below a folder, by the paths that rows name: relative to it, or absolute and below it."""

    def __init__(self, folder: Path, limits: ImageLimits | None = None) -> None:
        self.folder = folder
        self._limits = limits or ImageLimits()

    def __call__(self, path: str) -> bytes:
        """The bytes. `ImageError` when no plain file is there, a link leads out of the folder, or it is too large."""
        try:
            root = self.folder.resolve()
            real = _existing(root, path).resolve(strict=True)
            if not real.is_relative_to(root):
                raise ImageError("ingest.image_unreadable", f"{path[:200]!r} is not below the image folder {root}")
            status = real.stat()
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("ingest.image_unreadable", f"{path[:200]!r} is not a file")
            if status.st_size > self._limits.max_bytes:
                raise ImageError(
                    "ingest.image_bomb", f"the file has {status.st_size} bytes, limit {self._limits.max_bytes}"
                )
            return real.read_bytes()
        except ImageError:
            raise
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ImageError("ingest.image_unreadable", f"no file {path[:200]!r} in the image folder") from error
        except (OSError, RuntimeError, ValueError) as error:  # loops of links, names that no disk takes
            raise ImageError(
                "ingest.image_unreadable", f"{path[:200]!r} cannot be read: {type(error).__name__}"
            ) from error


def _existing(root: Path, path: str) -> Path:
    """The path below the root, in the form of Unicode in which the disk has it: a letter with an accent is one sign in
    rows and two in names that a Mac wrote, or the other way round.
    """
    whole = root / path
    if path.isascii() or whole.exists():
        return whole
    place = Path("/") if whole.is_absolute() and path.startswith("/") else root
    for part in PurePosixPath(path).parts:
        forms = [place / part, *(place / unicodedata.normalize(form, part) for form in ("NFC", "NFD"))]
        place = next((form for form in forms if form.exists()), place / part)
    return place


class OvenImages:
    """Pictures by OVEN id (`oven_01963180`), which InfoSeek's rows name instead of a file.

    They lie in a folder, flat or below the first two digits of the id, as OVEN's own archive has them, or in one tar
    or several (a pattern with `*`). Tars are gone over once a process, header by header.
    """

    def __init__(self, path: str, limits: ImageLimits | None = None) -> None:
        """`SourceError` when there is no such folder or tar."""
        self._folder: LocalImages | None = None
        self._tars: tuple[Path, ...] = ()
        self._limits = limits or ImageLimits()
        if Path(path).is_dir():
            self._folder = LocalImages(Path(path), self._limits)
        else:
            folder, names = find_files(path)
            self._tars = tuple(folder / name for name in names)

    def __call__(self, image_id: str) -> bytes:
        """The bytes. `ImageError` when there is no picture of that id."""
        if self._folder is not None:
            return self._in_folder(self._folder, image_id)
        place = self._index().find(image_id)
        if place is None:
            raise ImageError("ingest.image_unreadable", f"no picture {image_id[:100]!r} in the tar")
        if place.size > self._limits.max_bytes:
            raise ImageError("ingest.image_bomb", f"the file has {place.size} bytes, limit {self._limits.max_bytes}")
        try:
            with self._tars[place.file].open("rb") as file:
                file.seek(place.offset)
                return file.read(place.size)
        except OSError as error:
            raise ImageError("ingest.image_unreadable", f"the tar cannot be read: {type(error).__name__}") from error

    def _in_folder(self, folder: LocalImages, image_id: str) -> bytes:
        below = f"{image_id.rpartition('_')[2][:2]}/{image_id}"
        for name in (image_id, below):
            for suffix in _SUFFIXES:
                try:
                    return folder(f"{name}.{suffix}")
                except ImageError as error:
                    if not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                        raise
        raise ImageError("ingest.image_unreadable", f"no picture {image_id[:100]!r} in the image folder")

    def _index(self) -> Offsets:
        return shared(("oven", *map(str, self._tars)), lambda: Offsets(self._entries()))

    def _entries(self) -> Iterator[tuple[str, Place]]:
        for number, path in enumerate(self._tars):
            with path.open("rb") as file:
                for member in tar_members(file, path):
                    stem, _, suffix = member.name.rpartition("/")[2].rpartition(".")
                    if suffix.lower() in IMAGES:
                        yield stem, Place(number, member.offset, member.size)


_SUFFIXES: Final = ("jpg", "JPEG", "jpeg", "JPG", "png", "webp")
