"""Images as data URLs within a budget."""

import asyncio
import base64
import io
import threading
from dataclasses import replace
from typing import Any

import pytest
from fakes import MemoryImages, picture, sha
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gog.schemas import BoxError, FailureClass, Frame
from gog.schemas.boxes import WHOLE, to_frame
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.services.models.chat.pictures import Pictures, encode_picture, fitted_size
from gog.transforms.services.models.chat.settings import ModelSettings
from gog.transforms.services.protocols import ServiceError


def file(width: int, height: int, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 60)).save(out, kind)
    return out.getvalue()


def size_of(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_within_the_budget_goes_as_it_is(kind: str) -> None:
    data = file(400, 300, kind)
    assert encode_picture(data, ModelSettings()) == (data, kind.lower())
    assert encode_picture(data, ModelSettings(family="qwen2.5-vl")) == (data, kind.lower())


def test_other_types_are_written_anew() -> None:
    data, kind = encode_picture(file(40, 30, "WEBP"), ModelSettings(image_types=("jpeg",)))
    assert (kind, size_of(data)) == ("jpeg", (40, 30))
    data, kind = encode_picture(file(40, 30, "JPEG"), ModelSettings(image_types=("png",)))
    assert (kind, size_of(data)) == ("png", (40, 30))


def test_a_large_image_is_scaled_down_to_the_budget() -> None:
    data, kind = encode_picture(file(2000, 1000), ModelSettings(max_pixels=20_000))
    assert (kind, size_of(data)) == ("jpeg", (200, 100))


SIDES = st.integers(1, 3000)


@given(SIDES, SIDES, st.sampled_from(list(BACKBONES)), st.integers(14, 22))
def test_what_is_sent_has_the_frame_of_the_original(width: int, height: int, family: Any, log_pixels: int) -> None:
    """The endpoint resizes what it gets to the very size that the engine reckons with for the original."""
    settings = ModelSettings(family=family, min_pixels=3136, max_pixels=1 << log_pixels)
    least, most = settings.least_pixels, settings.most_pixels
    backbone = replace(BACKBONES[family], min_pixels=least, max_pixels=most)
    try:
        size = fitted_size(width, height, settings)
    except BoxError:
        assert max(width, height) > 200 * min(width, height)
        return
    seen = backbone.resized(*(size or (width, height)))
    assert seen == backbone.resized(width, height)
    if size is not None:
        assert seen == size, "the processor leaves it as it is"
    if backbone.frame is Frame.RESIZED_PIXELS:
        assert to_frame(WHOLE, backbone.spec, width, height)[2:] == seen


@given(SIDES, SIDES, st.integers(1, 500), st.integers(4096, 1 << 22))
def test_without_a_family_the_budget_holds_and_the_shape_is_kept(
    width: int, height: int, least: int, most: int
) -> None:
    size = fitted_size(width, height, ModelSettings(min_pixels=least, max_pixels=most))
    if size is None:
        assert least <= width * height <= most
        return
    assert size[0] * size[1] <= max(most, *size), "a line of one pixel may be longer"
    if width * height > most and min(size) > 20:
        assert size[0] / size[1] == pytest.approx(width / height, rel=0.1)


def urls(pictures: Pictures, *hashes: str) -> dict[str, str]:
    return asyncio.run(pictures.urls(hashes))


def test_urls_hold_the_bytes() -> None:
    images = MemoryImages()
    one = images.put(picture(), "png")
    url = urls(Pictures(images, ModelSettings()), one)[one]
    head, _, text = url.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(text) == picture()


class CountedImages(MemoryImages):
    """Knows how often, and on which thread, it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def read(self, sha256: str) -> bytes:
        self.threads.append(threading.get_ident())
        return super().read(sha256)


def test_an_image_is_encoded_once_for_all_who_ask_and_on_another_thread() -> None:
    images = CountedImages()
    one = images.put(file(1500, 1500), "png")
    pictures = Pictures(images, ModelSettings(max_pixels=5000))

    async def together() -> None:
        made = await asyncio.gather(*(pictures.urls([one, one]) for _ in range(5)))
        assert len({url for found in made for url in found.values()}) == 1

    asyncio.run(together())
    asyncio.run(together())
    assert len(images.threads) == 1
    assert images.threads[0] != threading.get_ident()


def test_what_is_remembered_is_bounded() -> None:
    images = CountedImages()
    hashes = [images.put(file(60 + n, 60), "png") for n in range(6)]
    pictures = Pictures(images, ModelSettings(), max_bytes=1)
    for _ in range(2):
        urls(pictures, *hashes)
    urls(pictures, hashes[-1])
    assert len(images.threads) == 12, "all but the last were forgotten"
    assert len(pictures._urls) == 1


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (None, FailureClass.NOT_FOUND),
        (b"no picture", FailureClass.BAD_REQUEST),
        (file(300, 1), FailureClass.BAD_REQUEST),
        (file(200, 200)[:60], FailureClass.BAD_REQUEST),
    ],
    ids=["none", "text", "thin", "cut"],
)
def test_images_that_cannot_be_sent(data: bytes | None, failure: FailureClass) -> None:
    images = MemoryImages()
    one = sha("none") if data is None else images.put(data, "png")
    with pytest.raises(ServiceError, match=one[:12]) as caught:
        urls(Pictures(images, ModelSettings(family="qwen2.5-vl", max_pixels=3136)), one)
    assert caught.value.failure is failure


def test_who_gives_up_takes_nothing_from_the_others() -> None:
    images = MemoryImages()
    one = images.put(file(900, 900), "png")
    pictures = Pictures(images, ModelSettings(max_pixels=2000))

    async def go() -> dict[str, str]:
        first = asyncio.create_task(pictures.urls([one]))
        second = asyncio.create_task(pictures.urls([one]))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert one in asyncio.run(go())
