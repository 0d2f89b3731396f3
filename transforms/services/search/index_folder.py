"""Index folders on disk: written whole or not at all, and checked when opened."""

import json
import mmap
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from gog.schemas import canonical_json
from gog.schemas.errors import UsageError, UserError
from gog.transforms.atomic import passing_beside, sweep_beside, take_place
from gog.transforms.services.provider import ProviderError

T = TypeVar("T")

HEAD: Final = "index.json"
MAX_ADDRESS: Final = 2000
"""Characters of an address that an index keeps."""
_TRIES: Final = 5
"""To open an index that others replace."""


class IndexFolderError(UsageError, ProviderError):
    """The folder is not a usable index; the message names it and says what to do."""


class IndexUnwrittenError(UserError):
    """The disk did not take the index; the message names it and says why."""


@contextmanager
def building(folder: Path, *, replace: bool = True) -> Iterator[Path]:
    """A folder beside `folder` to write in, which takes its name when the block ends well and vanishes otherwise.

    An earlier folder of that name is replaced, or kept, and the new one dropped, with `replace` off. Raises
    `IndexUnwrittenError` when the disk fails.
    """
    fresh = passing_beside(folder)
    sweep_beside(folder)
    try:
        fresh.mkdir(parents=True)
        yield fresh
        if folder.exists() and replace:
            take_place(fresh, folder)
            return
        try:
            fresh.rename(folder)
        except OSError:
            # Another process was first; what it wrote is as good.
            if not folder.exists():
                raise
    except OSError as error:
        # NumPy says how many bytes it could not write, not why.
        why = error.strerror or f"{error}: is the disk full?"
        raise IndexUnwrittenError(f"cannot write the index {folder}: {why}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """While no other process changes this index, or one beside it.

    Raises `IndexUnwrittenError` where one does, and `IndexFolderError` where there is none.
    """
    import fcntl  # not on Windows, where only this fails

    try:
        lock = os.open(folder.parent, os.O_RDONLY)
    except OSError as error:
        raise IndexFolderError(f"there is no index in {folder.parent}: make one with `gog index build`") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IndexUnwrittenError(f"another process changes the index {folder}: wait for it to end") from None
        yield
    finally:
        os.close(lock)


@contextmanager
def replacing(folder: Path, kind: str, head: dict[str, Any]) -> Iterator[Path]:
    """`building` what takes the place of the index of this head. Raises `IndexUnwrittenError` also where another has
    taken its place meanwhile.
    """
    with building(folder) as fresh:
        yield fresh
        check_head(folder, kind, head)


def check_head(folder: Path, kind: str, head: dict[str, Any]) -> None:
    """Raise `IndexUnwrittenError` where an index is another by now than that of this head."""
    if read_head(folder, kind) != head:
        raise IndexUnwrittenError(f"{folder} was changed by another meanwhile, and stays as that left it")


def write_head(folder: Path, kind: str, head: dict[str, Any]) -> None:
    """Write `index.json`, last of all files: what the folder holds."""
    (folder / HEAD).write_text(canonical_json({**head, "kind": kind}) + "\n", "utf-8")


def read_head(folder: Path, kind: str) -> dict[str, Any]:
    """What `index.json` says. Raises `IndexFolderError`."""
    try:
        head = json.loads((folder / HEAD).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise IndexFolderError(f"{folder} is not a {kind} index ({error}); make one with `gog index build`") from error
    if not isinstance(head, dict) or head.get("kind") != kind:
        raise IndexFolderError(f"{folder} is not a {kind} index; make one with `gog index build`")
    return head


def opened(folder: Path, kind: str, make: Callable[[dict[str, Any]], T]) -> T:
    """What `make` makes of an index's head and its files, all of one version though another build takes its place.

    Raises `IndexFolderError`, also where the files are damaged, and what else `make` raises.
    """
    for _ in range(_TRIES):
        head = read_head(folder, kind)
        try:
            made = make(head)
        except ProviderError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            if read_head(folder, kind) == head:
                raise IndexFolderError(f"{folder} is damaged ({error}); build it anew") from error
            continue
        if read_head(folder, kind) == head:
            return made
    raise IndexFolderError(f"{folder} is replaced over and over: try again when that has ended")


class HeldFile:
    """A file of an index, mapped: what takes the index's place changes nothing of what is read."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError`."""
        with path.open("rb") as file:
            # A file without a byte cannot be mapped.
            empty = not os.fstat(file.fileno()).st_size
            self._bytes = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def read(self, start: int, length: int) -> bytes:
        """Bytes from a place on; fewer where the file ends."""
        return self._bytes[start : start + length]


def clean(text: str, limit: int) -> str:
    """The text cut to a length, on one line, without control characters and lone surrogates."""
    text = text[: 4 * limit]
    if not text.isprintable():
        text = text.encode("utf-8", "replace").decode("utf-8")
        text = "".join(ch if ch.isprintable() else " " for ch in text)
    return " ".join(text.split())[:limit]
