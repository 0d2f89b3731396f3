"""Where the image of a row may lie."""

import base64
import json
from typing import Any

import pytest
from ingesting import PNG, png, reject_of, row, seed_of

from gog.schemas import FurtherImage
from gog.transforms.images import ImageError, sha256_hex
from gog.transforms.sources.mapping import FieldMapping
from gog.transforms.sources.row_images import safe_path

SECOND, THIRD = png((200, 0, 0), (60, 50)), png((0, 0, 200), (70, 40))
THREE = [PNG, SECOND, THIRD]


def as_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


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


class TestSeveral:
    """A question about several pictures."""

    @pytest.mark.parametrize(
        "value",
        [
            THREE,
            tuple(THREE),
            [{"bytes": data, "path": None} for data in THREE],
            [[data] for data in THREE],
            [as_text(PNG), {"bytes": SECOND}, f"data:image/png;base64,{as_text(THIRD)}"],
            json.dumps([as_text(data) for data in THREE]),
            {"image": [{"bytes": data} for data in THREE]},
            [list(data) for data in THREE],
        ],
    )
    def test_a_list_of_them(self, value: Any) -> None:
        seed = seed_of(row(image=value), question_images=3)
        assert seed.image_hashes == tuple(map(sha256_hex, THREE))
        assert [(image.width, image.height) for image in seed.further_images] == [(60, 50), (70, 40)]

    def test_columns_of_their_own_which_may_be_empty(self) -> None:
        mapping = FieldMapping(image="image", further_images=("image_2", "image_3", "image_4"))
        seed = seed_of(row(image_2=SECOND, image_3=None, image_4=THIRD), mapping, question_images=3)
        assert seed.image_hashes == tuple(map(sha256_hex, THREE))
        assert seed_of(row(image_2="", image_3=None), mapping).further_images == ()
        assert seed_of(row(), mapping).further_images == ()

    def test_paths(self) -> None:
        files = {"a.png": PNG, "b/c.png": SECOND}
        seed = seed_of(row(image=list(files)), read_image=files.__getitem__, question_images=2)
        assert seed.image_hashes == (sha256_hex(PNG), sha256_hex(SECOND))

    def test_more_than_a_question_may_have_are_told(self) -> None:
        reject = reject_of(row(image=THREE), question_images=2)
        assert reject.reason == "ingest.too_many_images"
        assert reject.detail == "the question has 3 pictures, and may have 2: see episode.question_images"

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ([PNG, None], "ingest.image_unreadable"),
            ([PNG, b"no picture"], "ingest.image_unreadable"),
            ([PNG, ""], "ingest.image_unreadable"),
            ([1, 2], "ingest.bad_row"),
            ([PNG, 7], "ingest.bad_row"),
        ],
    )
    def test_one_that_is_none_costs_the_row(self, value: Any, reason: str) -> None:
        assert reject_of(row(image=value), question_images=2).reason == reason

    def test_a_seeds_id_is_of_all_of_them_and_of_one_as_it_was(self) -> None:
        two = seed_of(row(image=[PNG, SECOND]), question_images=2)
        ids = {two.seed_id, seed_of(row(image=[SECOND, PNG]), question_images=2).seed_id, seed_of(row()).seed_id}
        assert len(ids) == 3
        assert seed_of(row(image=[PNG])).seed_id == seed_of(row()).seed_id

    def test_the_same_picture_twice_is_two(self) -> None:
        seed = seed_of(row(image=[PNG, PNG]), question_images=2)
        assert seed.further_images == (
            FurtherImage(sha256=seed.image_sha256, width=40, height=30, phash=seed.image_phash),
        )

    def test_placeholders_become_the_numbers_of_the_images(self) -> None:
        seed = seed_of(row(image=[PNG, SECOND], question="Is <image> older than <image>?"), question_images=2)
        assert seed.question == "Is image 0 older than image 1?"
