"""Where an export is made, and how it comes to its place: in one step in a folder, its manifest last elsewhere."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from gog.transforms.atomic import passing_folder, recover, swap_in
from gog.transforms.object_path import ObjectPath
from gog.transforms.place import files_below, name_below

MANIFEST: Final = "manifest.json"

UPLOADS: Final = 8
"""Files that are sent to an object store at once."""


def folder_for(final: Path) -> Path:
    """A folder of this machine, which is not there yet, for the new content of `final`. Raises `OSError`."""
    if isinstance(final, ObjectPath):
        return Path(tempfile.mkdtemp(prefix="gog-export-")) / "new"
    final.parent.mkdir(parents=True, exist_ok=True)
    recover(final)
    return passing_folder(final)


def put_in_place(made: Path, final: Path) -> None:
    """Let what was made in the folder that `folder_for` gave take its place. Raises `OSError`.

    On an object store the old manifest goes first and the new one comes last, so that no mixture has one.
    """
    if not isinstance(final, ObjectPath):
        swap_in(final)
        return
    before = final.below()
    (final / MANIFEST).unlink(missing_ok=True)
    names = {name_below(path, made) for path in files_below(made)}

    def upload(name: str) -> None:
        (final / name).upload(made / name)

    with ThreadPoolExecutor(UPLOADS, "gog-upload") as threads:
        for _ in threads.map(upload, sorted(names - {MANIFEST})):
            pass
    for old in before:
        if name_below(old, final) not in names:
            old.unlink(missing_ok=True)
    if MANIFEST in names:
        upload(MANIFEST)
