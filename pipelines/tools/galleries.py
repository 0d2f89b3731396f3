"""The indexes that a lake and its runs have to do with."""

from pathlib import Path
from typing import Any, Final

from gog.pipelines.config.kept import taken_up
from gog.pipelines.lake.lake import Lake
from gog.transforms.object_path import ObjectPath
from gog.transforms.place import place
from gog.transforms.services.provider import BUNDLED
from gog.transforms.services.search.corpus_change import pages_in
from gog.transforms.services.search.gallery_change import pictures_in
from gog.transforms.services.search.index_bucket import IndexMissingError, read_manifest

_NEEDED: Final = ("text_search", "image_search", "folder")


def galleries_showing(lake: Lake, images: set[str]) -> dict[str, int]:
    """Folders (or addresses on object stores) of the lake's galleries, and of those that its runs search, with how many
    of the images each shows.

    Images are named by the sha256 of their files. Raises `IndexFolderError` where an index is damaged, `LakeError`.
    """
    shown = {_whole(folder): len(pictures_in(folder, images)) for folder in _indexes(lake, "gallery")}
    return {folder: count for folder, count in sorted(shown.items()) if count}


def corpora_with(lake: Lake, pages: set[str]) -> dict[str, int]:
    """The same of corpora, with how many of the pages each has, which are named by the sha256 of their addresses."""
    if not pages:
        return {}
    had = {_whole(folder): len(pages_in(folder, pages)) for folder in _indexes(lake, "corpus")}
    return {folder: count for folder, count in sorted(had.items()) if count}


def _indexes(lake: Lake, kind: str) -> list[Path]:
    folders: set[Path] = {path.parent for path in lake.indexes.rglob(f"{kind}/index.json")}
    for run in lake.runs():
        manifest = lake.read_manifest(run)
        if manifest is not None:
            # Other keys of the config may be of an older version.
            named: dict[str, Any] = {key: manifest.config[key] for key in _NEEDED if key in manifest.config}
            config = taken_up(named, lake.root, run)
            for address in (config.text_search, config.image_search):
                scheme, _, rest = address.partition(":")
                if scheme == kind and rest != BUNDLED:
                    folders.add(place(rest) / kind)
    return [folder for folder in folders if is_index(folder)]


def is_index(folder: Path) -> bool:
    """Whether there is one. Raises `IndexFolderError` where an object store does not say so."""
    if not isinstance(folder, ObjectPath):
        return folder.is_dir()
    try:
        read_manifest(folder.parent, folder.name)
    except IndexMissingError:
        return False
    return True


def _whole(folder: Path) -> str:
    return str(folder if isinstance(folder, ObjectPath) else folder.resolve())
