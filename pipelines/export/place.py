"""Where an export is made, and how it comes to its place: in one step in a folder, its manifest last elsewhere."""

import secrets
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from gog.transforms.atomic import in_place_of, passing_folder, recover, swap_in
from gog.transforms.object_path import ObjectPath
from gog.transforms.place import files_below, name_below, remove_folder

MANIFEST: Final = "manifest.json"

SPILL: Final = ".spill"
"""Folder, in that of an export on its way, of what goes before it is whole."""

UPLOADS: Final = 8
"""Files that are sent to an object store, or copied in it, at once."""


def folder_for(final: Path) -> Path:
    """A folder of this machine, which is not there yet, for the new content of `final`. Raises `OSError`."""
    if isinstance(final, ObjectPath):
        return Path(tempfile.mkdtemp(prefix="gog-export-")) / "new"
    final.parent.mkdir(parents=True, exist_ok=True)
    recover(final)
    return passing_folder(final)


def stage_of(final: Path, passing: Path) -> Path:
    """Where workers can write what is to come to `final`, under a name that no earlier try had. Raises `OSError`.

    `passing` is the folder that `folder_for` gave. On an object store what an earlier try left there goes.
    """
    folder = passing / SPILL
    if isinstance(final, ObjectPath):
        folder = final.parent / f".{final.name}.new"
        remove_folder(folder)
    return folder / secrets.token_hex(6)


def hand_in(file: Path, to: Path) -> None:
    """Bring a file of this machine to a place on a stage, whole. Raises `OSError`."""
    if isinstance(to, ObjectPath):
        to.upload(file)
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    with in_place_of(to, sync=True) as fresh:
        shutil.copyfile(file, fresh)


def put_in_place(made: Path, final: Path, staged: Path | None = None) -> None:
    """Let what was made in the folder that `folder_for` gave take its place. Raises `OSError`.

    On an object store the old manifest goes first and the new one comes last, so that no mixture has one. What is
    `staged` there is copied by the store.
    """
    if not isinstance(final, ObjectPath):
        swap_in(final)
        return
    before = final.below()
    (final / MANIFEST).unlink(missing_ok=True)
    names = {name_below(path, made) for path in files_below(made)}
    there = {name_below(path, staged): path for path in files_below(staged)} if staged else {}

    def bring(name: str) -> None:
        if isinstance(path := there.get(name), ObjectPath):
            path.copy(final / name)
        else:
            (final / name).upload(made / name)

    with ThreadPoolExecutor(UPLOADS, "gog-upload") as threads:
        for _ in threads.map(bring, sorted((names | there.keys()) - {MANIFEST})):
            pass
    for old in before:
        if name_below(old, final) not in names | there.keys():
            old.unlink(missing_ok=True)
    if MANIFEST in names:
        bring(MANIFEST)
