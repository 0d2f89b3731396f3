"""Where the image of a row may lie."""

import pytest
from ingesting import PNG, reject_of, row

from gog.transforms.images import ImageError
from gog.transforms.sources.row_images import safe_path


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "plain"),
        [
            ("a.png", "a.png"),
            ("a/b.png", "a/b.png"),
            (" ./a.png ", "a.png"),
            ("a b/ü.png", "a b/ü.png"),
            ("a\\b.png", "a/b.png"),
            ("a..b/...png", "a..b/...png"),
        ],
    )
    def test_inside(self, path: str, plain: str) -> None:
        assert safe_path(path) == plain

    @pytest.mark.parametrize(
        "path",
        [
            "../a.png",
            "a/../../b",
            "/etc/passwd",
            "..\\a",
            "C:\\a.png",
            "c:/a",
            "a\0b",
            "//host/a",
            ".",
            "x" * 1001,
            "file:///a",
        ],
    )
    def test_outside(self, path: str) -> None:
        with pytest.raises(ImageError) as caught:
            safe_path(path)
        assert caught.value.reason == "ingest.image_unreadable"

    def test_a_row_cannot_name_a_file_outside(self) -> None:
        asked: list[str] = []

        def read(path: str) -> bytes:
            asked.append(path)
            return PNG

        assert reject_of(row(image="../secret.png"), read_image=read).reason == "ingest.image_unreadable"
        assert asked == []
