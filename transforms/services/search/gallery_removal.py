"""Pictures that leave a gallery: what stays is written anew, and the index has another version."""

import json
from collections.abc import Iterator, Set
from pathlib import Path

import numpy as np

from gog.transforms.object_path import ObjectPath
from gog.transforms.services.search.gallery_files import EMBEDDINGS, GalleryWriter
from gog.transforms.services.search.index_bucket import read_manifest
from gog.transforms.services.search.index_cache import cached, changed, drop_cached
from gog.transforms.services.search.index_folder import building, read_head
from gog.transforms.services.search.vector_cells import Earlier, write_cells
from gog.transforms.services.search.vector_table import write_rows


def pictures_in(folder: Path, sha256s: Set[str]) -> list[int]:
    """Numbers of the index's pictures whose file has one of the hashes. Raises `IndexFolderError`, `OSError`.

    An index of before hashes were kept in it holds none; one on an object store is fetched.
    """
    if isinstance(folder, ObjectPath):
        folder = cached(folder.parent, folder.name)
    read_head(folder, "gallery")
    return [number for number, line in enumerate(_lines(folder)) if json.loads(line).get("sha256") in sha256s]


def remove_pictures(folder: Path, sha256s: Set[str]) -> int:
    """Take pictures out of an index, which is whole before and after; returns how many left.

    Of one on an object store nothing stays on this machine either. Raises `IndexFolderError`, and `OSError` where a
    file cannot be read.
    """
    if isinstance(folder, ObjectPath):
        return _remove_there(folder, sha256s)
    leaving = set(pictures_in(folder, sha256s))
    if not leaving:
        return 0
    head = read_head(folder, "gallery")
    rows = np.load(folder / "rows.npy", allow_pickle=False)
    table = np.load(folder / EMBEDDINGS, mmap_mode="r", allow_pickle=False)
    stays = np.array([number not in leaving for number in range(len(rows))])
    views = int(head["views"])
    with building(folder) as fresh, (folder / "thumbnails.bin").open("rb") as thumbnails:
        with GalleryWriter(fresh, head["embedder"]) as writer:
            for line, (_, _, start, length), stay in zip(_lines(folder), rows.tolist(), stays, strict=True):
                if stay:
                    thumbnails.seek(start)
                    writer.add(line, thumbnails.read(length))
        write_rows(fresh / EMBEDDINGS, table, np.flatnonzero(np.repeat(stays, views)))
        cells = (
            write_cells(fresh / EMBEDDINGS, Earlier(folder, head, np.flatnonzero(stays))) if head.get("encoder") else {}
        )
        writer.finish({key: value for key, value in head.items() if key != "approximate"} | cells)
    return len(leaving)


def _remove_there(at: ObjectPath, sha256s: Set[str]) -> int:
    content = read_manifest(at.parent, at.name).content
    if not pictures_in(at, sha256s):
        return 0
    with changed(at.parent, (at.name,), (at.name,)) as work:
        left = remove_pictures(work / at.name, sha256s)
    drop_cached(content)
    return left


def _lines(folder: Path) -> Iterator[bytes]:
    with (folder / "meta.jsonl").open("rb") as meta:
        yield from meta
