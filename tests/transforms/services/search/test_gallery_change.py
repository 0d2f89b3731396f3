"""Pictures leave a gallery; what stays is found as before."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from textures import jpeg, texture

from gog.pipelines.lake.image_files import ImageFiles as ImageStore
from gog.transforms.services.search import grid_table, vector_cells
from gog.transforms.services.search.gallery import Gallery, build_gallery
from gog.transforms.services.search.gallery_change import pictures_in, remove_pictures
from gog.transforms.services.search.index_folder import IndexFolderError

FILES = [jpeg(texture(number, 120, 90), 90) for number in range(5)]
SHAS = [hashlib.sha256(data).hexdigest() for data in FILES]


def built(folder: Path, numbers: list[int]) -> Path:
    build_gallery([(f"https://a.example/{n}", f"title {n}", "", FILES[n]) for n in numbers], folder, name="five")
    return folder


def hits(folder: Path, root: Path, number: int) -> list[tuple[str, float]]:
    images = ImageStore(root)
    sha256 = images.put(FILES[number], "jpg")
    found = asyncio.run(Gallery.open(folder, images).search(sha256, 3))
    assert all(images.has(hit.thumbnail_sha256) for hit in found if hit.thumbnail_sha256)
    return [(hit.title, hit.score) for hit in found if hit.score is not None]


def test_what_stays_is_as_if_the_picture_had_never_been_there(tmp_path: Path) -> None:
    index = built(tmp_path / "all" / "gallery", [0, 1, 2, 3, 4])
    assert pictures_in(index, {SHAS[1], SHAS[3], "0" * 64}) == [1, 3]
    assert remove_pictures(index, {SHAS[1], SHAS[3], "0" * 64}) == 2
    fresh = built(tmp_path / "some" / "gallery", [0, 2, 4])
    for name in ("meta.jsonl", "thumbnails.bin", "rows.npy", "embeddings.npy", "index.json"):
        assert (index / name).read_bytes() == (fresh / name).read_bytes(), name
    assert hits(index, tmp_path / "images", 2)[0] == ("title 2", 1.0)
    assert not {"title 1", "title 3"} & {title for title, _ in hits(index, tmp_path / "images", 1)}


def test_mean_colours_are_put_in_no_cells_however_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_table, "MANY", 2)
    monkeypatch.setattr(vector_cells, "EXACT", 1)
    index = built(tmp_path / "all" / "gallery", [0, 1, 2, 3, 4])
    assert remove_pictures(index, {SHAS[1]}) == 1
    assert "approximate" not in json.loads((index / "index.json").read_text())
    assert not (index / "cells.faiss").exists()


def test_nothing_is_written_where_nothing_leaves_and_the_last_picture_may(tmp_path: Path) -> None:
    index = built(tmp_path / "gallery", [0])
    before = {path.name: path.stat().st_mtime_ns for path in index.iterdir()}
    assert remove_pictures(index, {SHAS[4]}) == 0
    assert {path.name: path.stat().st_mtime_ns for path in index.iterdir()} == before
    assert remove_pictures(index, {SHAS[0]}) == 1
    assert hits(index, tmp_path / "images", 0) == []


def test_a_folder_that_is_no_gallery_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndexFolderError, match="is not a gallery index"):
        remove_pictures(tmp_path, {SHAS[0]})
