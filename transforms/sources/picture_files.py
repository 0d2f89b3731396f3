"""Pictures in files: below a folder by their paths, or by OVEN ids in a folder or in tars."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gog.transforms.images import ImageError, ImageLimits
from gog.transforms.services.loop import shared
from gog.transforms.sources.formats import find_files
from gog.transforms.sources.offsets import Offsets, Place
from gog.transforms.sources.tar_format import IMAGES, tar_members


class LocalImages:
    """Files below a folder, by the relative paths that rows name (see `safe_path`)."""

    def __init__(self, folder: Path, limits: ImageLimits | None = None) -> None:
        self._folder = folder
        self._limits = limits or ImageLimits()

    def __call__(self, path: str) -> bytes:
        """The bytes. `ImageError` when no plain file is there, a link leads out of the folder, or it is too large."""
        try:
            root = self._folder.resolve()
            real = (root / path).resolve(strict=True)
            if not real.is_relative_to(root):
                raise ImageError("ingest.image_unreadable", f"{path!r} leads out of the image folder")
            status = real.stat()
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("ingest.image_unreadable", f"{path!r} is not a file")
            if status.st_size > self._limits.max_bytes:
                raise ImageError(
                    "ingest.image_bomb", f"the file has {status.st_size} bytes, limit {self._limits.max_bytes}"
                )
            return real.read_bytes()
        except ImageError:
            raise
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ImageError("ingest.image_unreadable", f"no file {path!r} in the image folder") from error
        except (OSError, RuntimeError, ValueError) as error:  # loops of links, names that no disk takes
            raise ImageError("ingest.image_unreadable", f"{path!r} cannot be read: {type(error).__name__}") from error


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
