"""Images by content: kept once, checked when read, safe in threads."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gog.pipelines.lake.disk import LakeError
from gog.pipelines.lake.image_files import ImageFiles
from gog.transforms.images import sha256_hex

SHA = sha256_hex(b"x")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_are_kept_once_by_content(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path)
    sha256 = images.put(b"x", "jpg")
    assert sha256 == SHA
    written = images.path(sha256).stat().st_mtime_ns
    assert images.put(b"x", "jpg") == sha256
    assert images.read(sha256) == b"x"
    assert images.path(sha256).stat().st_mtime_ns == written
    assert files(tmp_path) == [f"{SHA[:2]}/{SHA}.jpg"]


@pytest.mark.parametrize("sha256", ["0" * 64, "", "../lake.json", "X" * 64, "0" * 63 + "/"])
def test_missing_ones_are_key_errors(tmp_path: Path, sha256: str) -> None:
    with pytest.raises(KeyError):
        ImageFiles(tmp_path).read(sha256)


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="svg"):
        ImageFiles(tmp_path).put(b"x", "svg")


def test_a_cut_off_file_is_noticed_and_healed(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path)
    path = images.path(images.put(b"longer", "png"))
    path.write_bytes(b"lon")
    with pytest.raises(LakeError, match="damaged"):
        images.read(path.stem)
    images.put(b"longer", "png")
    assert images.read(path.stem) == b"longer"


def test_many_threads_put_the_same(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        shas = set(pool.map(lambda n: images.put(b"%d" % (n % 5), "png"), range(100)))
    assert len(shas) == 5
    assert len(files(tmp_path)) == 5
