"""Images by content in a folder of the lake."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from gog.pipelines.lake.disk import LakeError, disk_errors, write_atomic
from gog.transforms.images import sha256_hex

SUFFIXES: Final = ("jpg", "png", "webp")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    """Whether it is a sha256 as it names an image."""
    return _SHA256.fullmatch(text) is not None


class ImageFiles:
    """Images by content in a folder: `ab/abcd....jpg`. An `ImageStore`; safe in threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.passing = folder / ".passing"
        """Where files are written before they get their names: one place to look for what a kill left behind."""

    def path(self, sha256: str) -> Path:
        """The image's file; `KeyError` when there is none."""
        if is_sha256(sha256):
            for suffix in SUFFIXES:
                path = self._place(sha256, suffix)
                if path.is_file():
                    return path
        raise KeyError(sha256)

    def read(self, sha256: str) -> bytes:
        """The bytes; `KeyError` when there are none, `LakeError` when they are not those that were put."""
        path = self.path(sha256)
        with disk_errors(path, "read"):
            data = path.read_bytes()
        if sha256_hex(data) != sha256:
            raise LakeError(f"{path} is damaged: its content has another sha256; remove the file and run again")
        return data

    def has(self, sha256: str) -> bool:
        """Whether the image is there."""
        try:
            self.path(sha256)
        except KeyError:
            return False
        return True

    def put(self, data: bytes, suffix: str) -> str:
        """Keep the bytes, once; returns their sha256."""
        if suffix not in SUFFIXES:
            raise ValueError(f"an image is one of {', '.join(SUFFIXES)}, not {suffix!r}")
        sha256 = sha256_hex(data)
        path = self._place(sha256, suffix)
        try:
            if path.stat().st_size == len(data):  # a shorter one was cut off when the machine went down
                return sha256
        except OSError:
            pass
        write_atomic(path, data, sync=False, passing=self.passing)
        return sha256

    def remove(self, sha256: str) -> None:
        """Remove the image, where it is there."""
        with suppress(KeyError):
            path = self.path(sha256)
            with disk_errors(path, "remove"):
                path.unlink(missing_ok=True)

    def _place(self, sha256: str, suffix: str) -> Path:
        return self._folder / sha256[:2] / f"{sha256}.{suffix}"
