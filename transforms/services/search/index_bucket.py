"""Indexes on object stores: objects are written whole, the manifest last, and none is written over.

`KIND/index.json`, the manifest, says what the index's own says, and: the folder that its files are in (`at`, below
`KIND/`), the size and sha256 of each (`files`), and a hash of all this (`content`).
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from gog.schemas import canonical_json
from gog.transforms.object_path import ABSENT, AddressError, ObjectPath
from gog.transforms.place import write_whole
from gog.transforms.services.search.index_folder import HEAD, IndexFolderError, IndexUnwrittenError, read_head

_OURS: Final = frozenset({"at", "content", "files"})
_MOST: Final = 1 << 20
"""Bytes of a manifest."""
_MOST_FILES: Final = 64
_NAME: Final = re.compile(r"[a-z0-9_-]{1,60}(?:\.[a-z0-9]{1,20})?")


class IndexMissingError(IndexFolderError):
    """There is no index at the address."""


class FileInIndex(NamedTuple):
    """What the manifest says of a file."""

    size: int
    sha256: str


class Manifest(NamedTuple):
    """What the manifest of an index says, and the tag of its object."""

    head: dict[str, Any]
    """Of the index itself, as a folder has it."""
    at: str
    content: str
    files: dict[str, FileInIndex]
    tag: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def read_manifest(place: ObjectPath, kind: str) -> Manifest:
    """The manifest of the index of a kind at a place. Raises `IndexMissingError`, `IndexFolderError`."""
    path = place / kind / HEAD
    try:
        with _refused(place):
            data, stat = path.read_tagged(_MOST)
        return _manifest(json.loads(data), kind, stat.tag)
    except FileNotFoundError:
        raise IndexMissingError(
            f"there is no {kind} index in {place}: `gog index build --out {place}` makes one"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IndexFolderError(f"{path} is no manifest of a {kind} index ({error}): build it anew") from error


def _manifest(said: Mapping[str, Any], kind: str, tag: str) -> Manifest:
    head = {key: value for key, value in said.items() if key not in _OURS}
    files = {name: FileInIndex(int(file["bytes"]), str(file["sha256"])) for name, file in said["files"].items()}
    names_fit = all(_NAME.fullmatch(name) and name != HEAD for name in files) and _NAME.fullmatch(said["at"])
    if head.get("kind") != kind or not names_fit or len(files) > _MOST_FILES:
        raise ValueError("it says something else")
    if any(file.size < 0 for file in files.values()) or said["content"] != _content(head, files):
        raise ValueError("its hash is of something else")
    return Manifest(head, said["at"], said["content"], files, tag)


def _content(head: Mapping[str, Any], files: Mapping[str, FileInIndex]) -> str:
    return hashlib.sha256(canonical_json([head, files]).encode()).hexdigest()


def fetch(place: ObjectPath, kind: str, manifest: Manifest, folder: Path) -> None:
    """Write the index's files into a folder, which is made; each is checked by its hash.

    Raises `FileNotFoundError` where another index has taken its place meanwhile, `OSError`, `IndexFolderError`.
    """
    folder.mkdir(parents=True)
    for name, file in manifest.files.items():
        digest, path = hashlib.sha256(), place / kind / manifest.at / name
        with (folder / name).open("wb") as out:
            for part in path.blocks(file.size):
                digest.update(part)
                out.write(part)
            if out.tell() != file.size or digest.hexdigest() != file.sha256:
                raise IndexFolderError(f"{path} is damaged: its content has another sha256; build the index anew")
    (folder / HEAD).write_text(canonical_json(manifest.head) + "\n", "utf-8")


def publish(folder: Path, place: ObjectPath, kind: str, earlier: Manifest | None) -> Manifest:
    """Put the index in a folder in the place of the one that was there; what that one was of is removed.

    Raises `IndexUnwrittenError` where another has been put there since `earlier` was read, or the store fails.
    """
    head, at = read_head(folder, kind), secrets.token_hex(8)
    files = {
        path.name: FileInIndex(path.stat().st_size, _sha256(path))
        for path in sorted(folder.iterdir())
        if path.name != HEAD
    }
    content = _content(head, files)
    told = {name: {"bytes": file.size, "sha256": file.sha256} for name, file in files.items()}
    data = canonical_json(head | {"at": at, "content": content, "files": told}).encode()
    manifest = place / kind / HEAD
    try:
        # Listed before: what appears later is another writer's, who may come behind us.
        left = [path for path in (place / kind).below() if path != manifest]
        for name in files:
            (place / kind / at / name).upload(folder / name)
        tag = manifest.write(data + b"\n", earlier.tag if earlier else ABSENT)
        for path in left:
            path.unlink()
    except FileExistsError:
        raise IndexUnwrittenError(f"{place} was changed by another meanwhile, and stays as that left it") from None
    except OSError as error:
        raise IndexUnwrittenError(f"cannot write the index {error}") from error
    return Manifest(head, at, content, files, tag)


def check_writable(place: ObjectPath) -> None:
    """Write a small object there and remove it. Raises `IndexFolderError` where that is refused."""
    with _refused(place):
        trial = place / f".trial-{secrets.token_hex(8)}"
        write_whole(trial, b"")
        trial.unlink()


@contextmanager
def _refused(place: ObjectPath) -> Iterator[None]:
    """What keeps an index from being reached, but that it is not there, as `IndexFolderError`."""
    try:
        yield
    except FileNotFoundError:
        raise
    except AddressError as error:
        raise IndexFolderError(str(error)) from None
    except OSError as error:
        why = re.sub(r"^\S+://\S+: ", "", str(error))
        raise IndexFolderError(f"cannot reach {place} with the keys that are set here: {why}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
