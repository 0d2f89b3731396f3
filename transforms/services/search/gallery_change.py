"""Pictures that come to a gallery, and that leave it: what is there is written anew, and the index has another version.

Nothing is encoded again. Bytes are those of a build of the same pictures in the same order, but for cells of vectors
(`vector_cells`), and for mean colours of a grid: once an index had more than `grid_table.MANY` pictures, each has one
view.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gog.transforms.object_path import ObjectPath
from gog.transforms.services.search.encoders_of import named_encoder
from gog.transforms.services.search.gallery import build_gallery
from gog.transforms.services.search.gallery_files import EMBEDDINGS, GalleryWriter
from gog.transforms.services.search.grid_table import MANY
from gog.transforms.services.search.index_bucket import read_manifest
from gog.transforms.services.search.index_cache import cached, changed, drop_cached
from gog.transforms.services.search.index_folder import (
    MAX_ADDRESS,
    IndexFolderError,
    check_head,
    clean,
    held,
    read_head,
    replacing,
)
from gog.transforms.services.search.index_parts import Staying, merged_origin
from gog.transforms.services.search.vector_cells import Cells, Earlier, cells_in, write_cells
from gog.transforms.services.search.vector_table import write_rows

Key = tuple[str, str]
"""What a picture is known by: its address and the hash of its file, or its address alone."""


class Added(NamedTuple):
    """What became of what was to be added: how much is new, stands in the place of something, and was there."""

    new: int
    changed: int
    same: int
    total: int
    """In the index by now."""
    skipped: tuple[tuple[str, str], ...]
    """Left out: where it is, and why."""
    cells: Cells | None


def add_pictures(folder: Path, pictures: Iterable[tuple[str, str, str, bytes]], alone: Set[str] = frozenset()) -> Added:
    """Add pictures (url, title, snippet, file) to the index in a folder, which is whole before and after.

    One that is there, by address and file, is taken to have the title and the snippet that are given now. `alone` are
    addresses, read when all pictures were, that one picture has: another file takes the place of an earlier one. Raises
    `IndexFolderError`, `IndexUnwrittenError`, and `ServiceError` where the encoder fails.
    """
    with held(folder):
        head, fresh = read_head(folder, "gallery"), folder.with_name(f".{folder.name}.added")
        encoder = named_encoder(folder, head)
        report = build_gallery(pictures, fresh, name=str(head["name"]), encoder=encoder, known=folder)
        check_head(folder, "gallery", head)
        single = {clean(address, MAX_ADDRESS) for address in alone}
        there, come = _by_key(folder, single), _by_key(fresh, single)
        lines = [_lines_at(one, keys, come) for one, keys in ((folder, there), (fresh, come))]
        same = {key for key in come if lines[0].get(key) == lines[1][key]}
        old = Staying(folder, _without(head["pictures"], there, come.keys() - same))
        new = Staying(fresh, _without(report.pictures, come, same))
        if new.stays.any():
            head = _merged(folder, head, [old, new])
        shutil.rmtree(fresh)
    counts = {key: len(numbers) for key, numbers in come.items()}
    return Added(
        new=sum(count for key, count in counts.items() if key not in there),
        changed=sum(count for key, count in counts.items() if key in there and key not in same),
        same=sum(counts[key] for key in same),
        total=int(head["pictures"]),
        skipped=report.skipped,
        cells=cells_in(head),
    )


def pictures_in(folder: Path, sha256s: Set[str], addresses: Set[str] = frozenset()) -> list[int]:
    """Numbers of the index's pictures whose file has one of the hashes, or that have one of the addresses.

    An index of before hashes were kept in it holds none; one on an object store is fetched. Raises `IndexFolderError`,
    `OSError`.
    """
    if isinstance(folder, ObjectPath):
        folder = cached(folder.parent, folder.name)
    read_head(folder, "gallery")
    entries = enumerate(map(json.loads, _lines(folder)))
    return [number for number, one in entries if one.get("sha256") in sha256s or one["url"] in addresses]


def names_in(folder: Path, names: Set[str]) -> set[str]:
    """Which of some addresses and hashes of files the index has pictures of. Raises `IndexFolderError`."""
    read_head(folder, "gallery")
    entries = map(json.loads, _lines(folder))
    return {name for one in entries for name in (one["url"], one.get("sha256")) if name in names}


def remove_pictures(folder: Path, sha256s: Set[str], addresses: Set[str] = frozenset()) -> int:
    """Take pictures out of an index, which is whole before and after; returns how many left.

    Of one on an object store nothing stays on this machine either. Raises `IndexFolderError`, `IndexUnwrittenError`,
    and `OSError` where a file cannot be read.
    """
    if isinstance(folder, ObjectPath):
        return _remove_there(folder, sha256s, addresses)
    with held(folder):
        leaving = pictures_in(folder, sha256s, addresses)
        if leaving:
            head = read_head(folder, "gallery")
            stays = np.ones(int(head["pictures"]), np.bool_)
            stays[leaving] = False
            _merged(folder, head, [Staying(folder, stays)])
    return len(leaving)


def _remove_there(at: ObjectPath, sha256s: Set[str], addresses: Set[str]) -> int:
    content = read_manifest(at.parent, at.name).content
    if not pictures_in(at, sha256s, addresses):
        return 0
    with changed(at.parent, (at.name,), (at.name,)) as work:
        left = remove_pictures(work / at.name, sha256s, addresses)
    drop_cached(content)
    return left


def _merged(folder: Path, head: dict[str, Any], parts: list[Staying]) -> dict[str, Any]:
    """Write what stays of the parts, of which the first is the index in the folder; returns the new head."""
    heads = [read_head(part.folder, "gallery") for part in parts]
    views = _views([one for one, part in zip(heads, parts, strict=True) if part.stays.any()], parts)
    with replacing(folder, "gallery", head) as fresh:
        with GalleryWriter(fresh, head["embedder"]) as writer:
            for part in parts:
                writer.copy(part)
        rows = [_rows(part, one, views) for part, one in zip(parts, heads, strict=True)]
        write_rows(fresh / EMBEDDINGS, rows, 1 if head.get("encoder") else rows[0][0].shape[1])
        earlier = Earlier(folder, head, merged_origin(parts))
        cells = write_cells(fresh / EMBEDDINGS, earlier) if head.get("encoder") else {}
        left = {key: value for key, value in head.items() if key != "approximate"}
        writer.finish({**left, "views": views, **cells})
    return read_head(folder, "gallery")


def _views(heads: list[dict[str, Any]], parts: list[Staying]) -> int:
    """Rows of each picture: one, where a part has no more, or where they are many by now."""
    many = sum(int(part.stays.sum()) for part in parts) > MANY
    return 1 if many or not heads else min(int(head["views"]) for head in heads)


def _rows(part: Staying, head: dict[str, Any], views: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Embeddings of a part, and which of them stay: the first views of each picture."""
    firsts = np.flatnonzero(part.stays) * int(head["views"])
    return part.load("embeddings"), (firsts[:, None] + np.arange(views)).reshape(-1)


def _by_key(folder: Path, single: Set[str]) -> dict[Key, list[int]]:
    """Numbers of the pictures that are known by each key. Raises `IndexFolderError` where it has no hashes."""
    found: dict[Key, list[int]] = defaultdict(list)
    for number, line in enumerate(_lines(folder)):
        entry = json.loads(line)
        if "sha256" not in entry:
            raise IndexFolderError(f"{folder} was built before pictures could be added to it: build it anew")
        found[entry["url"], "" if entry["url"] in single else entry["sha256"]].append(number)
    return dict(found)


def _lines_at(folder: Path, there: dict[Key, list[int]], wanted: Iterable[Key]) -> dict[Key, list[bytes]]:
    """What is said of the pictures of some keys."""
    of = {number: key for key in wanted if key in there for number in there[key]}
    said: dict[Key, list[bytes]] = defaultdict(list)
    for number, line in enumerate(_lines(folder)):
        if number in of:
            said[of[number]].append(line)
    return dict(said)


def _without(count: int, numbers: dict[Key, list[int]], keys: Iterable[Key]) -> NDArray[np.bool_]:
    stays = np.ones(count, np.bool_)
    for key in keys:
        stays[numbers.get(key, [])] = False
    return stays


def _lines(folder: Path) -> Iterator[bytes]:
    with (folder / "meta.jsonl").open("rb") as meta:
        yield from meta
