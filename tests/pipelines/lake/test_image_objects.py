"""Images by content on an object store."""

from pathlib import Path

import pytest
from object_stores import S3

from gog.pipelines.lake.disk import LakeError
from gog.pipelines.lake.image_objects import ImageCache, ImageObjects
from gog.transforms.images import sha256_hex
from gog.transforms.object_path import ObjectPath


def images_at(remote: str, cache: Path) -> ImageObjects:
    return ImageObjects(ObjectPath(f"{remote}/images"), cache)


def test_kept_once_and_read_from_the_disk(remote: str, tmp_path: Path, s3: S3) -> None:
    here = images_at(remote, tmp_path / "a")
    sha256 = here.put(b"picture", "png")
    before = s3.asked()
    assert here.put(b"picture", "png") == sha256
    assert here.read(sha256) == b"picture"
    assert here.has(sha256)
    assert s3.asked() == before
    there = images_at(remote, tmp_path / "b")
    assert there.put(b"picture", "png") == sha256  # another process does not know that it is there
    assert there.path(sha256).name == f"{sha256}.png"
    assert images_at(remote, tmp_path / "c").read(sha256) == b"picture"


def test_what_is_not_there(remote: str, tmp_path: Path) -> None:
    images = images_at(remote, tmp_path)
    for name in ("0" * 64, "../x", ""):
        assert not images.has(name)
        with pytest.raises(KeyError):
            images.read(name)


def test_removed_here_and_there(remote: str, tmp_path: Path) -> None:
    images = images_at(remote, tmp_path)
    sha256 = images.put(b"picture", "jpg")
    images.remove(sha256)
    images.remove(sha256)
    assert not images.has(sha256)
    assert not images_at(remote, tmp_path / "other").has(sha256)


def test_another_content_is_damage(remote: str, tmp_path: Path) -> None:
    images = images_at(remote, tmp_path / "a")
    sha256 = images.put(b"picture", "jpg")
    ObjectPath(str(images.path(sha256))).write(b"changed")
    with pytest.raises(LakeError, match="damaged"):
        images_at(remote, tmp_path / "b").read(sha256)


def test_the_cache_keeps_to_its_bound_and_keeps_the_latest(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 1000)
    pictures = [bytes([number]) * 100 for number in range(50)]
    for data in pictures:
        cache.keep(sha256_hex(data), data)
    kept = [data for data in pictures if cache.read(sha256_hex(data)) is not None]
    assert 5 <= len(kept) <= 10
    assert pictures[-1] in kept
    cache.keep("0" * 64, b"x" * 2000)
    assert not cache.has("0" * 64)
