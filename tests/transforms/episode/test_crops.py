"""Crops are made once, and a kept one is that of its own image, box and settings."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import MemoryImages
from PIL import Image

from gog.schemas import WHOLE, Box, EpisodeImage
from gog.transforms.episode import crops
from gog.transforms.episode.crops import Cropper
from gog.transforms.image_store import open_image
from gog.transforms.images import CropSettings, crop_phash, cut_crop, encode
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.schema import FILE
from gog.transforms.services.store.sqlite import Store

BOX, OTHER_BOX = Box(0.1, 0.2, 0.5, 0.9), Box(0.4, 0.1, 0.9, 0.6)
OTHERWISE = {"padding": 0.4, "min_side": 190, "max_pixels": 4000}
"""Another value of each setting, one that shows in the crop of `BOX`."""


def noise(number: int, width: int = 320, height: int = 200) -> Image.Image:
    """A picture like no other."""
    pixels = np.random.default_rng(number).integers(0, 256, (height // 20, width // 20, 3), np.uint8)
    return Image.fromarray(pixels).resize((width, height))


def original(images: MemoryImages, number: int) -> EpisodeImage:
    image = noise(number)
    return EpisodeImage(sha256=images.put(*encode(image)), width=image.width, height=image.height, box=WHOLE)


def with_store(folder: Path, work: Callable[[Store], Awaitable[Any]], mode: Mode = Mode.RECORD) -> Any:
    async def go() -> Any:
        with Store(folder, mode) as store:
            return await work(store)

    return asyncio.run(go())


@pytest.fixture
def images() -> MemoryImages:
    return MemoryImages()


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[Box]:
    """Boxes that were really cut or hashed."""
    made: list[Box] = []

    def counted(work: Callable[..., Any]) -> Callable[..., Any]:
        def do(image: Image.Image, box: Box, settings: CropSettings) -> Any:
            made.append(box)
            return work(image, box, settings)

        return do

    monkeypatch.setattr(crops, "cut_crop", counted(cut_crop))
    monkeypatch.setattr(crops, "crop_phash", counted(crop_phash))
    return made


def test_a_crop_is_cut_once_and_kept_with_the_box_that_it_covers(
    tmp_path: Path, images: MemoryImages, cuts: list[Box]
) -> None:
    first = original(images, 1)
    wanted, covered = cut_crop(open_image(images, first.sha256), BOX, CropSettings())
    for _ in range(2):
        made = with_store(tmp_path, lambda store: Cropper(store, images, CropSettings()).crop(first, BOX))
        assert (made.width, made.height) == wanted.size
        assert made.box == covered
        assert images.read(made.sha256) == encode(wanted)[0]
    assert cuts == [BOX]


def test_crops_and_their_hashes_are_told_apart_in_the_store(tmp_path: Path, images: MemoryImages) -> None:
    first = original(images, 1)

    async def work(store: Store) -> None:
        cropper = Cropper(store, images, CropSettings())
        await cropper.crop(first, BOX)
        await cropper.hashes(first, (BOX, WHOLE))

    with_store(tmp_path, work)
    with closing(sqlite3.connect(tmp_path / FILE)) as store:
        assert sorted(store.execute("SELECT kind FROM answers")) == [("crop",), ("crop_hashes",)]


def test_each_image_box_and_setting_has_a_crop_of_its_own(
    tmp_path: Path, images: MemoryImages, cuts: list[Box]
) -> None:
    assert OTHERWISE.keys() == CropSettings.model_fields.keys()
    one, other, plain = original(images, 1), original(images, 2), CropSettings()
    asked = [(one, BOX, plain), (other, BOX, plain), (one, OTHER_BOX, plain)]
    asked += [(one, BOX, CropSettings.model_validate({name: value})) for name, value in OTHERWISE.items()]

    async def work(store: Store) -> tuple[list[EpisodeImage], list[list[str]]]:
        croppers = [(Cropper(store, images, settings), image, box) for image, box, settings in asked]
        return (
            [await cropper.crop(image, box) for cropper, image, box in croppers],
            [await cropper.hashes(image, (box, WHOLE)) for cropper, image, box in croppers],
        )

    made, hashes = with_store(tmp_path, work)
    assert len({crop.sha256 for crop in made}) == len(asked)
    assert hashes == [[crop_phash(open_image(images, i.sha256), b, s) for b in (box, WHOLE)] for i, box, s in asked]
    assert len(cuts) == 3 * len(asked)
    assert with_store(tmp_path, work) == (made, hashes)
    assert len(cuts) == 3 * len(asked), "all of it was kept"


def test_a_crop_whose_picture_is_gone_is_cut_again(tmp_path: Path, images: MemoryImages, cuts: list[Box]) -> None:
    first = original(images, 1)
    made = with_store(tmp_path, lambda store: Cropper(store, images, CropSettings()).crop(first, BOX))
    emptied = MemoryImages()
    original(emptied, 1)
    again = with_store(tmp_path, lambda store: Cropper(store, emptied, CropSettings()).crop(first, BOX))
    assert again == made
    assert emptied.has(made.sha256)
    assert len(cuts) == 2


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.REPLAY])
def test_other_modes_keep_no_crop_but_make_it(
    tmp_path: Path, images: MemoryImages, cuts: list[Box], mode: Mode
) -> None:
    first = original(images, 1)
    Store(tmp_path).close()
    for _ in range(2):
        with_store(tmp_path, lambda store: Cropper(store, images, CropSettings()).crop(first, BOX), mode)
    assert len(cuts) == 2
