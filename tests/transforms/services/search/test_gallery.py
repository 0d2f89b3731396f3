"""The gallery: right crops score high, wrong ones low; bad pictures and folders are said to be so."""

import asyncio
import hashlib
import io
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gog.schemas import Box, FailureClass, Hit
from gog.transforms.atlas.facts import by_code
from gog.transforms.atlas.scenes import compose_scene
from gog.transforms.atlas.world import atlas_world
from gog.transforms.images import CropSettings, cut_crop, encode
from gog.transforms.services.protocols import ImageSearch, ServiceError
from gog.transforms.services.search import grid, grid_table
from gog.transforms.services.search.gallery import Gallery, build_gallery
from gog.transforms.services.search.grid_table import score_of
from gog.transforms.services.search.index_folder import IndexFolderError


class Images:
    """An image store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def has(self, sha256: str) -> bool:
        return sha256 in self.kept

    def read(self, sha256: str) -> bytes:
        return self.kept[sha256]

    def put(self, data: bytes, suffix: str) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self.kept[sha256] = data
        return sha256


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def picture(number: int) -> Image.Image:
    rng = np.random.Generator(np.random.PCG64(number))
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return small.resize((200, 160), Image.Resampling.NEAREST)


def rows(count: int) -> Iterator[tuple[str, str, str, bytes]]:
    for n in range(count):
        yield f"https://example.org/{n}", f"Picture {n}", f"About {n}", png(picture(n))


def find(gallery: Gallery, images: Images, image: Image.Image, k: int = 5) -> tuple[Hit, ...]:
    return asyncio.run(gallery.search(images.put(png(image), "png"), k))


ATLAS = Images()


@pytest.fixture(scope="session")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return Gallery.open(atlas_world(tmp_path_factory.mktemp("cache")) / "gallery", ATLAS)


def test_round_trip(tmp_path: Path) -> None:
    assert build_gallery(rows(12), tmp_path / "g").pictures == 12
    images = Images()
    service: ImageSearch = Gallery.open(tmp_path / "g", images)
    hits = asyncio.run(service.search(images.put(png(picture(7)), "png"), 3))
    assert [hit.rank for hit in hits] == [1, 2, 3]
    best = hits[0]
    assert (best.title, best.url, best.snippet) == ("Picture 7", "https://example.org/7", "About 7")
    assert best.score is not None
    assert best.score > 0.99
    assert best.thumbnail_sha256 in images.kept
    assert [hit.score for hit in hits] == sorted((hit.score or 0 for hit in hits), reverse=True)
    assert service.id.startswith("gallery:g@")


def test_the_id_names_what_is_in_it(tmp_path: Path) -> None:
    ids = []
    for folder, count in (("a", 3), ("b", 3), ("c", 4)):
        build_gallery(rows(count), tmp_path / folder, name="same")
        ids.append(Gallery.open(tmp_path / folder, Images()).id)
    assert ids[0] == ids[1] != ids[2]


def test_building_again_replaces(tmp_path: Path) -> None:
    build_gallery(rows(3), tmp_path / "g")
    build_gallery(rows(2), tmp_path / "g")
    assert len(Gallery.open(tmp_path / "g", Images())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_a_failed_build_leaves_what_was_there(tmp_path: Path) -> None:
    build_gallery(rows(3), tmp_path / "g")

    def broken() -> Iterator[tuple[str, str, str, bytes]]:
        yield from rows(1)
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError):
        build_gallery(broken(), tmp_path / "g")
    assert len(Gallery.open(tmp_path / "g", Images())) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_bad_pictures_are_left_out_and_reported(tmp_path: Path) -> None:
    good = png(picture(1))
    given = [
        ("https://a", "A", "", good),
        ("https://b", "B", "", b"no picture"),
        ("https://c", "C", "", good[:200]),
        ("", "D", "", good),
        ("https://e", "x\x00y\n\u2028z \ud800" + "t" * 5000, "s" * 5000, good),
        ("https://f", "F", "", b""),
    ]
    report = build_gallery(given, tmp_path / "g")
    assert report.pictures == 2
    assert [where for where, _ in report.skipped] == ["https://b", "https://c", "picture 3", "https://f"]
    assert all(reason for _, reason in report.skipped)
    images = Images()
    hits = find(Gallery.open(tmp_path / "g", images), images, picture(1))
    assert [hit.url for hit in hits] == ["https://a", "https://e"]
    assert hits[1].title.startswith("x y z ?t")
    assert len(hits[1].title) <= 300
    assert len(hits[1].snippet) <= 1000


def test_equal_pictures_come_in_the_order_of_the_index(tmp_path: Path) -> None:
    same = png(picture(3))
    build_gallery([(f"https://{n}", str(n), "", same) for n in range(20)], tmp_path / "g")
    images = Images()
    gallery = Gallery.open(tmp_path / "g", images)
    for k in (1, 5, 20, 100):
        assert [hit.title for hit in find(gallery, images, picture(3), k)] == [str(n) for n in range(min(k, 20))]


@pytest.mark.parametrize("k", [0, -3])
def test_nothing_asked_nothing_found(tmp_path: Path, k: int) -> None:
    build_gallery(rows(2), tmp_path / "g")
    images = Images()
    assert find(Gallery.open(tmp_path / "g", images), images, picture(0), k) == ()


def test_an_empty_gallery_finds_nothing(tmp_path: Path) -> None:
    assert build_gallery([], tmp_path / "g").pictures == 0
    images = Images()
    assert find(Gallery.open(tmp_path / "g", images), images, picture(0)) == ()


def test_bad_queries_fail_with_their_class(tmp_path: Path) -> None:
    build_gallery(rows(2), tmp_path / "g")
    images = Images()
    gallery = Gallery.open(tmp_path / "g", images)
    with pytest.raises(ServiceError) as missing:
        asyncio.run(gallery.search("0" * 64, 3))
    assert missing.value.failure is FailureClass.NOT_FOUND
    with pytest.raises(ServiceError) as unreadable:
        asyncio.run(gallery.search(images.put(b"nothing to see", "png"), 3))
    assert unreadable.value.failure is FailureClass.BAD_REQUEST


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (1500, 1000)])
def test_any_shape_can_be_searched(tmp_path: Path, size: tuple[int, int]) -> None:
    build_gallery(rows(2), tmp_path / "g")
    images = Images()
    hits = find(Gallery.open(tmp_path / "g", images), images, picture(0).resize(size))
    assert len(hits) == 2
    assert all(hit.score is not None and 0 <= hit.score <= 1 for hit in hits)


def test_folders_that_are_no_gallery(tmp_path: Path) -> None:
    with pytest.raises(IndexFolderError, match="gog index build"):
        Gallery.open(tmp_path / "none", Images())
    (tmp_path / "index.json").write_text('{"kind": "corpus"}')
    with pytest.raises(IndexFolderError, match="not a gallery index"):
        Gallery.open(tmp_path, Images())
    build_gallery(rows(3), tmp_path / "g")
    np.save(tmp_path / "g" / "rows.npy", np.zeros((9, 4), np.int64))
    with pytest.raises(IndexFolderError, match="damaged"):
        Gallery.open(tmp_path / "g", Images())
    head = tmp_path / "g" / "index.json"
    head.write_text(head.read_text().replace(grid.NAME, "other"))
    with pytest.raises(IndexFolderError, match="build it anew"):
        Gallery.open(tmp_path / "g", Images())


def test_damaged_thumbnails_are_not_served(tmp_path: Path) -> None:
    build_gallery(rows(1), tmp_path / "g")
    thumbs = tmp_path / "g" / "thumbnails.bin"
    thumbs.write_bytes(b"x" * thumbs.stat().st_size)
    images = Images()
    gallery = Gallery.open(tmp_path / "g", images)
    with pytest.raises(ServiceError) as error:
        find(gallery, images, picture(0))
    assert error.value.failure is FailureClass.SERVER


def test_many_pictures_are_kept_as_one_view_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_table, "MANY", 5)
    build_gallery(rows(9), tmp_path / "g")
    assert np.load(tmp_path / "g" / "embeddings.npy").shape == (9, grid.DIMENSIONS + 2)
    images = Images()
    gallery = Gallery.open(tmp_path / "g", images)
    for number in (0, 4, 8):
        assert find(gallery, images, picture(number))[0].title == f"Picture {number}"


def test_scores_fall_with_distance() -> None:
    scores = score_of(np.linspace(0, 100, 200, dtype=np.float32))
    assert scores[0] == 1
    assert scores[-1] < 0.01
    assert (np.diff(scores) <= 0).all()


def test_lab_agrees_with_known_colours() -> None:
    rgb = np.array([(255, 255, 255), (0, 0, 0), (255, 0, 0)], np.float32)
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.2]]
    assert np.abs(grid.lab(rgb) - np.array(expected)).max() < 0.1


def test_a_view_is_the_trimmed_picture() -> None:
    image = picture(5)
    trimmed = image.crop((20, 16, 180, 144))
    whole = grid.views(trimmed, ((0.0, 0.0),))[0]
    view = grid.views(image, ((0.0, 0.0), (0.1, 0.1)))[3]
    assert np.sqrt(((whole - view) ** 2).sum()) < 3


def crops(kind: str, count: int) -> Iterator[tuple[str, Image.Image, Box, tuple[Box, ...], tuple[Box, ...]]]:
    for index in range(count):
        scene = compose_scene("gaze" if kind == "gaze" else "trap", 99, index)
        assert scene.target_index is not None
        code, box = scene.boxes[scene.target_index]
        yield code, scene.image, box, tuple(b for _, b in scene.boxes), scene.decoys


def nearest(gallery: Gallery, image: Image.Image, box: Box | None) -> tuple[str, float]:
    crop = image if box is None else cut_crop(image, box, CropSettings())[0]
    (hit,) = asyncio.run(gallery.search(ATLAS.put(*encode(crop)), 1))
    assert hit.score is not None
    return hit.url.rpartition("/")[2], hit.score


def same(one: str, other: str) -> bool:
    return one == other or other in by_code()[one].twins


def test_right_crops_score_high(atlas: Gallery) -> None:
    rng = random.Random(0)
    found = []
    for code, image, box, _, _ in [*crops("gaze", 25), *crops("trap", 25)]:
        w, h = box.x2 - box.x1, box.y2 - box.y1
        near = [v + rng.uniform(-0.05, 0.05) * side for v, side in zip(box, (w, h, w, h), strict=True)]
        for tried in (box, Box(max(0, near[0]), max(0, near[1]), min(1, near[2]), min(1, near[3]))):
            other, score = nearest(atlas, image, tried)
            found.append((same(code, other), score))
    assert sum(right for right, _ in found) >= 0.98 * len(found)
    assert sum(score > 0.8 for _, score in found) >= 0.93 * len(found)


def test_wrong_crops_score_low(atlas: Gallery) -> None:
    scores = []
    for _, image, box, flags, decoys in [*crops("gaze", 20), *crops("trap", 20)]:
        scores += [nearest(atlas, image, decoy)[1] for decoy in decoys]
        w, h = box.x2 - box.x1, box.y2 - box.y1
        for dx, dy in ((0.5 * w, 0), (-0.5 * w, 0), (0, 0.5 * h)):
            x1, y1 = box.x1 + dx, box.y1 + dy
            if x1 >= 0 and x1 + w <= 1 and y1 + h <= 1:
                scores.append(nearest(atlas, image, Box(x1, y1, x1 + w, y1 + h))[1])
        corner = Box(0, 0, 0.15, 0.15)
        if all(b.x1 > 0.17 or b.y1 > 0.17 for b in (*flags, *decoys)):
            scores.append(nearest(atlas, image, corner)[1])
    assert len(scores) > 80
    assert sum(score < 0.6 for score in scores) >= 0.94 * len(scores)


def test_the_whole_picture_fails_on_small_flags_and_works_on_a_large_one(atlas: Gallery) -> None:
    small = [(code, nearest(atlas, image, None)) for code, image, *_ in crops("gaze", 20)]
    assert sum(same(code, other) for code, (other, _) in small) <= 2
    assert sum(score < 0.6 for _, (_, score) in small) >= 18
    right = 0
    for index in range(20):
        scene = compose_scene("glance", 99, index)
        other, score = nearest(atlas, scene.image, None)
        right += same(scene.boxes[0][0], other) and score > 0.7
    assert right >= 17
