"""Pictures that leave a gallery: what stays is written anew, and the index has another version."""

import hashlib
import json
from collections.abc import Iterator, Set
from pathlib import Path

import numpy as np

from gog.transforms.services.search.gallery import EMBEDDER
from gog.transforms.services.search.index_folder import building, read_head, write_head


def pictures_in(folder: Path, sha256s: Set[str]) -> list[int]:
    """Numbers of the index's pictures whose file has one of the hashes. Raises `IndexFolderError`, `OSError`.

    An index of before hashes were kept in it holds none.
    """
    read_head(folder, "gallery")
    return [number for number, line in enumerate(_lines(folder)) if json.loads(line).get("sha256") in sha256s]


def remove_pictures(folder: Path, sha256s: Set[str]) -> int:
    """Take pictures out of an index, which is whole before and after; returns how many left.

    Raises `IndexFolderError`, and `OSError` where a file cannot be read.
    """
    leaving = set(pictures_in(folder, sha256s))
    if not leaving:
        return 0
    head = read_head(folder, "gallery")
    lines = list(_lines(folder))
    stay = [number for number in range(len(lines)) if number not in leaving]
    digest = hashlib.sha256(EMBEDDER.encode())
    rows = np.load(folder / "rows.npy", allow_pickle=False)
    table = np.load(folder / "embeddings.npy", allow_pickle=False)
    views = int(head["views"])
    kept_rows: list[tuple[int, int, int, int]] = []
    meta_at = thumb_at = 0
    with (
        building(folder) as fresh,
        (folder / "thumbnails.bin").open("rb") as old,
        (fresh / "meta.jsonl").open("wb") as meta,
        (fresh / "thumbnails.bin").open("wb") as thumbs,
    ):
        for number in stay:
            start, length = (int(value) for value in rows[number][2:])
            old.seek(start)
            thumbs.write(old.read(length))
            meta.write(lines[number])
            digest.update(lines[number])
            kept_rows.append((meta_at, len(lines[number]), thumb_at, length))
            meta_at, thumb_at = meta_at + len(lines[number]), thumb_at + length
        shape = (len(lines), views, table.shape[1])
        np.save(fresh / "embeddings.npy", table.reshape(shape)[stay].reshape(-1, shape[2]))
        np.save(fresh / "rows.npy", np.array(kept_rows, np.int64).reshape(-1, 4))
        version = digest.hexdigest()[:12]
        write_head(fresh, "gallery", {**head, "pictures": len(stay), "version": version})
    return len(leaving)


def _lines(folder: Path) -> Iterator[bytes]:
    with (folder / "meta.jsonl").open("rb") as meta:
        yield from meta
